"""Port holders: in words, which sandbox or program has a port of the desktop."""

import re
import socket
from collections.abc import Iterable
from contextlib import suppress

from companion.errors import PortTakenError
from companion.project import forwards, store
from companion.spec.containers import Publish
from companion.system import listeners, network
from companion.system.paths import Paths

_ENGINES = {"conmon": "podman", "rootlessport": "podman", "docker-proxy": "docker"}
"""Program that listens for a container → its engine."""
_NAMED = re.compile(r"(?::|\bport )(\d{1,5})\b")
"""What may be a port in the output of an engine; that of the desktop comes first."""


def is_free(port: int) -> bool:
    """Tell whether nothing on this machine answers on a loopback port, and we may listen there."""
    return network.port_is_free(port) and not _answers_by_ipv6(port)


def next_free(port: int) -> int:
    """Return a port or the next one that is free; the port itself if none is."""
    return next((p for p in range(port, 1 << 16) if is_free(p)), port)


def holder(home: Paths, port: int, own: tuple[str, str] = ("", "")) -> str:
    """Return what has a port: a forward, a sandbox other than `own`, or a program.

    `own` is the ID of a project and the name of an agent.
    """
    for forward in forwards.active(home):
        if forward.port == port:
            return f"`companion port`, which forwards it to {forward.alias}"
    for who, record in store.all_records(home):
        its = (record.allocation.ssh_port, *record.config.ports)
        if who != own and record.wanted == "up" and port in its:
            return f"the sandbox {record.allocation.alias}"
    owner = listeners.owner(port)
    engine = _ENGINES.get(owner.partition(" ")[0], "")
    return f"a container that `{engine} ps` lists" if engine else owner or "another program"


def taken(
    home: Paths, own: tuple[str, str], published: Iterable[Publish], error: PortTakenError
) -> PortTakenError:
    """Return an engine's error with the port that is taken and what has it, if that is known.

    The engine may name the port. If it runs in a virtual machine, the port can seem free here.
    """
    ports = [one.host_port for one in published]
    named = (int(text) for text in _NAMED.findall(error.log))
    port = next((p for p in named if p in ports), 0)
    port = port or next((p for p in ports if not is_free(p)), 0)
    if not port:
        return error
    what = f"port {port} is taken by {holder(home, port, own)}"
    hint = "stop that, or choose another port in agent.yaml"
    return PortTakenError(what, hint, error.log, port=port)


def _answers_by_ipv6(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("::1", port), timeout=1):
        return True
    return False
