"""Configuration of the HAProxy process that forwards the desktop's connections to the agent.

It carries SSH and is never reloaded.
"""

from collections.abc import Iterator

from companion.render import haproxy
from companion.sandbox.model import Sandbox
from companion.spec.containers import File

_BRIDGES = "/tmp/doors.lst"  # noqa: S108 - in the gateway, which has no other users
"""The bridge addresses of the gateway's networks; written when the gateway starts."""

_DEFAULTS = """
defaults
  log global
  mode tcp
  option dontlognull
  # A client waits while the agent is replaced: HAProxy retries every 100 ms (it waits for the
  # connect timeout, at most one second), for five seconds.
  timeout connect 100ms
  retries 50
  timeout client 24h
  timeout server 24h
"""


def render(sandbox: Sandbox) -> File:
    """Return ingress.cfg."""
    ports = sorted({port.container for port in sandbox.ports})
    # HAProxy does not start without a listener.
    placeholder = "\nlisten nobody\n  bind 127.0.0.1:2\n"
    listeners = "".join(_listener(sandbox, port) for port in ports) or placeholder
    head = haproxy.GLOBAL.format(log_level="info", descriptors=512)
    return File("ingress.cfg", (head + _DEFAULTS + listeners).encode())


def _listener(sandbox: Sandbox, port: int) -> str:
    inside = sandbox.internal_network
    return (
        f"\nlisten port_{port}\n{''.join(_binds(sandbox, port))}"
        f'  log-format "in port={port} bytes=%U/%B ms=%Tt term=%ts"\n'
        f"  server agent {inside.address(3)}:{port}\n"
    )


def _binds(sandbox: Sandbox, port: int) -> Iterator[str]:
    """Yield the addresses to listen on, and the rule that rejects all clients but the desktop.

    Once the gateway joins foreign networks, the engine may forward to any of its addresses; other
    containers there connect from an address that is not a bridge's. Rootless podman forwards from a
    process in the gateway's own namespace, to whichever address it lists first.
    """
    outside, inside = (n.address(2) for n in (sandbox.egress_network, sandbox.internal_network))
    foreign_networks = sandbox.contribution.networks
    yield f"  bind {'*' if foreign_networks else outside}:{port}\n"
    not_desktop = f"!{{ src -f {_BRIDGES} }}"
    if sandbox.host.rootless:
        not_desktop += f" !{{ src {outside} {inside} }}"
        taken = haproxy.ports(sandbox.upstreams, *haproxy.OWN_PORTS)
        if not foreign_networks and port not in taken:
            yield f"  bind {inside}:{port}\n"
    if foreign_networks or sandbox.host.rootless:
        yield f"  tcp-request connection reject if {not_desktop}\n"
