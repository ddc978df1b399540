"""Listeners: the TCP ports on which programs listen, as Linux lists them, also in containers."""

import re
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TABLES = ("tcp", "tcp6")
_ROW = re.compile(
    r"\s*[0-9]+: (?P<address>[0-9A-F]{8}|[0-9A-F]{32}):(?P<port>[0-9A-F]{4}) \S+ 0A"
    r"(?: \S+){3} +[0-9]+ +[0-9]+ (?P<inode>[0-9]{1,20})(?: .*)?\Z"
)
"""A line of a program that listens; what a program inside prints may be anything."""
_MAPPED, _LOOPBACK_6 = bytes(10) + b"\xff\xff", bytes(15) + b"\x01"
_MOST = 256 * 1024
"""Bytes that are read of a table: listeners come first, and programs inside decide its length."""


@dataclass(frozen=True, slots=True, order=True)
class Listener:
    """A port on which a program listens; `inode` identifies its socket."""

    port: int
    is_local: bool
    """Only connections from its own network namespace, to 127.0.0.1 or ::1, reach it."""
    inode: int = 0


def parse(table: str) -> Iterator[Listener]:
    """Yield the listeners in a table of the kernel: the text of /proc/PID/net/tcp or tcp6.

    Lines of any other form are left out.
    """
    for row in filter(None, map(_ROW.match, table.splitlines())):
        yield Listener(int(row["port"], 16), _is_loopback(row["address"]), int(row["inode"]))


def of_container(pid: int, subnets: Collection[str]) -> tuple[Listener, ...] | None:
    """Return the listeners in the network namespace of a container's process.

    Args:
        pid: the process, as the engine numbers it.
        subnets: networks of the container. The engine may run on another machine, where numbers
            mean other processes, so the namespace must have a route to one of these.

    Returns None if the namespace is not on this machine.
    """
    with suppress(OSError, ValueError):
        if is_container(pid, subnets):
            return _of_process(str(pid))
    return None


def is_container(pid: int, subnets: Collection[str]) -> bool:
    """Tell whether a process of this machine is that of a container; arguments as above."""
    wanted = {_in_route_table(subnet) for subnet in subnets}
    with suppress(OSError, ValueError, IndexError):
        lines = _read(_PROC / str(pid) / "net/route").splitlines()[1:]
        return bool(pid and wanted & {line.split()[1] for line in lines if line.strip()})
    return False


def owner(port: int) -> str:
    """Return the program that listens on a port of this machine; "" if that is not visible."""
    with suppress(OSError, ValueError):
        found = {f"socket:[{one.inode}]" for one in _of_process("self") if one.port == port}
        for process in _PROC.glob("[0-9]*"):
            with suppress(OSError):
                if any(str(handle.readlink()) in found for handle in (process / "fd").iterdir()):
                    name = (process / "comm").read_text(errors="replace").strip()
                    return f"{name} (process {process.name})"
    return ""


def _of_process(pid: str) -> tuple[Listener, ...]:
    tables = (_read(_PROC / pid / "net" / name) for name in _TABLES)
    return tuple(sorted({one for table in tables for one in parse(table)}))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode(errors="replace").rpartition("\n")[0]
    except FileNotFoundError:  # without IPv6 there is no tcp6
        return ""


def _is_loopback(text: str) -> bool:
    """Tell whether an address of a table, in words of the machine's byte order, is a loopback."""
    words = (int(text[at : at + 8], 16) for at in range(0, len(text), 8))
    address = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return address.removeprefix(_MAPPED)[:1] == b"\x7f" or address == _LOOPBACK_6


def _in_route_table(subnet: str) -> str:
    address = bytes(map(int, subnet.partition("/")[0].split(".")))
    return f"{int.from_bytes(address, sys.byteorder):08X}"
