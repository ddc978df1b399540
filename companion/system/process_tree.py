"""The tree of processes: which descendants of one run in a container (Linux)."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def contained(ancestor: int) -> Iterator[int]:
    """Yield the descendants of a process that live in a process namespace of their own (Linux)."""
    parents: dict[int, int] = {}
    contained: set[int] = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            fields = _fields(status)
            pid = int(status.parent.name)
            parents[pid] = int(fields["PPid"])
            if len(fields.get("NSpid", "").split()) > len(_own_pids()):
                contained.add(pid)
    for pid in contained:
        above = parents.get(pid)
        while above is not None and above != ancestor:
            above = parents.get(above)
        if above == ancestor:
            yield pid


def is_contained(process: Path) -> bool:
    """Tell whether a process (its directory in /proc) lives in a process namespace of its own."""
    return len(_pids(process)) > len(_own_pids())


def _own_pids() -> list[str]:
    """Return our own process number in each namespace that we live in."""
    return _pids(Path("/proc/self"))


def _pids(process: Path) -> list[str]:
    return _fields(process / "status").get("NSpid", "").split()


def _fields(status: Path) -> dict[str, str]:
    """Return the fields of a process; its name may be any bytes, but has no line feed here."""
    lines = status.read_bytes().decode(errors="replace").split("\n")
    return {key: value for key, _, value in (line.partition(":\t") for line in lines)}
