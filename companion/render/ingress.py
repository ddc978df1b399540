"""What does the HAProxy process read through which the desktop gets in?

It carries SSH and is never reloaded.
"""

from collections.abc import Iterator

from companion.render import haproxy
from companion.sandbox.model import Sandbox
from companion.spec.containers import File

DOORS = "/tmp/doors.lst"  # noqa: S108 - in the gateway, which has no other users
"""The addresses of the gateway's own gateways; written when it starts."""

_DEFAULTS = """
defaults
  log global
  mode tcp
  option dontlognull
  # A caller is held while the agent is replaced: asked again every 100 ms (HAProxy waits as long as
  # a connect may take, one second at most), for five seconds.
  timeout connect 100ms
  retries 50
  timeout client 24h
  timeout server 24h
"""


def render(sandbox: Sandbox) -> File:
    """Return ingress.cfg."""
    inner = sorted({port.container for port in sandbox.ports})
    ways = "".join(_way_in(sandbox, port) for port in inner)
    # HAProxy does not start without a listener.
    listeners = ways or "\nlisten nobody\n  bind 127.0.0.1:2\n"
    head = haproxy.GLOBAL.format(log_level="info", descriptors=512)
    return File("ingress.cfg", (head + _DEFAULTS + listeners).encode())


def _way_in(sandbox: Sandbox, port: int) -> str:
    inside = sandbox.internal_network
    return (
        f"\nlisten port_{port}\n{''.join(_doors(sandbox, port))}"
        f'  log-format "in port={port} bytes=%U/%B ms=%Tt term=%ts"\n'
        f"  server agent {inside.address(3)}:{port}\n"
    )


def _doors(sandbox: Sandbox, port: int) -> Iterator[str]:
    """Yield where the desktop may come in: by which of our addresses, and from which of its own.

    On somebody else's network the engine may lead it to any of ours; whoever else is there comes
    from an address that is no gateway's. Without root, podman leads in by a process in our own
    namespace, to the address that it happens to list first.
    """
    outside, inside = (n.address(2) for n in (sandbox.egress_network, sandbox.internal_network))
    strange = sandbox.contribution.networks
    yield f"  bind {'*' if strange else outside}:{port}\n"
    bridges = f"!{{ src -f {DOORS} }}"
    if sandbox.host.rootless:
        bridges += f" !{{ src {outside} {inside} }}"
        taken = haproxy.ports(sandbox.upstreams, *haproxy.OWN_PORTS)
        if not strange and port not in taken:
            yield f"  bind {inside}:{port}\n"
    if strange or sandbox.host.rootless:
        yield f"  tcp-request connection reject if {bridges}\n"
