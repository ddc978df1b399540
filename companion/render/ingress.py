"""Configuration of the HAProxy process that forwards the desktop's connections to the agent.

It carries SSH, has a container of its own and is never reloaded.
"""

from collections.abc import Iterator

from companion.render import haproxy
from companion.sandbox.model import Sandbox
from companion.spec.containers import INGRESS, File

FILE = "ingress.cfg"
CONFIG = f"/companion/{FILE}"

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
    return File(FILE, (head + _DEFAULTS + listeners).encode())


def _listener(sandbox: Sandbox, port: int) -> str:
    agent = sandbox.internal_network.address(3)
    return (
        f"\nlisten port_{port}\n{''.join(_binds(sandbox, port))}"
        f'  log-format "in port={port} bytes=%U/%B ms=%Tt term=%ts"\n'
        f"  server agent {agent}:{port}\n"
    )


def _binds(sandbox: Sandbox, port: int) -> Iterator[str]:
    """Yield the addresses to listen on, and the rule that rejects all clients but the desktop.

    Rootless podman forwards from a process in the ingress's own namespace, to whichever address it
    lists first.
    """
    networks = (sandbox.egress_network, sandbox.internal_network)
    outside, inside = (network.address(INGRESS) for network in networks)
    yield f"  bind {outside}:{port}\n"
    if sandbox.host.rootless:
        bridges = " ".join(network.address(1) for network in networks)
        yield f"  bind {inside}:{port}\n"
        yield f"  tcp-request connection reject if !{{ src {bridges} {outside} {inside} }}\n"
