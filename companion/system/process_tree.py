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
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
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
    lines = (process / "status").read_text(errors="replace").splitlines()
    return next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [""])
