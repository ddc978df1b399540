"""Usage: the memory, CPU time and network traffic of a container, as this machine's kernel counts.

The engine's own `stats` takes seconds, because it samples CPU time itself. The kernel's files take
less than a millisecond, and any user may read them.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")
_LONGEST = 64 * 1024
_INACTIVE = re.compile(r"^(?:total_)?inactive_file (\d+)$", re.MULTILINE)
_USED = re.compile(r"^usage_usec (\d+)$", re.MULTILINE)
_NANO, _MICRO = 1e-9, 1e-6
_LOOPBACK = "lo"


@dataclass(frozen=True, slots=True)
class Usage:
    """What one container uses; counters begin at its start."""

    memory: int
    """Bytes, without what the kernel keeps only to read files faster."""
    cpu: float
    """Seconds of CPU time."""
    received: int = 0
    """Bytes that entered its network namespace, which it may share with others."""
    sent: int = 0
    """Bytes that left it."""


def of_container(container_id: str, pid: int, root: Path = _ROOT) -> Usage | None:
    """Return the usage of a running container.

    Args:
        container_id: its whole ID. The engine may run on another machine, where numbers mean other
            processes, so the cgroup of the process must carry it.
        pid: its first process, as the engine numbers it.
        root: the directory that holds the kernel's `proc` and `sys`.

    Returns None if it does not run on this machine, or the kernel does not count for it.
    """
    process = root / "proc" / str(pid)
    with suppress(OSError, ValueError, IndexError):
        groups = dict(_groups(container_id, _read(process / "cgroup"))) if pid else {}
        counted = _counted(root / "sys/fs/cgroup", groups)
        return Usage(*counted, *_traffic(_read(process / "net/dev"))) if counted else None
    return None


def _counted(cgroups: Path, groups: Mapping[str, str]) -> tuple[int, float] | None:
    """Return bytes of memory and seconds of CPU time; None if the kernel does not count them."""
    unified = cgroups / groups.get("", "")
    if groups.get("") and (unified / "memory.current").exists():
        memory, stat = _read(unified / "memory.current"), _read(unified / "memory.stat")
        cpu = _last(_USED, _read(unified / "cpu.stat")) * _MICRO
    elif "memory" in groups and "cpuacct" in groups:
        of_memory = cgroups / "memory" / groups["memory"]
        memory, stat = _read(of_memory / "memory.usage_in_bytes"), _read(of_memory / "memory.stat")
        cpu = int(_read(cgroups / "cpuacct" / groups["cpuacct"] / "cpuacct.usage")) * _NANO
    else:
        return None
    return max(0, int(memory) - _last(_INACTIVE, stat)), cpu


def _groups(container_id: str, table: str) -> Iterator[tuple[str, str]]:
    """Yield the cgroup of a container for each controller, "" for version 2, without its first /.

    A process may be in a group below that of its container, which counts everything in it.
    """
    for line in table.splitlines():
        _, controllers, place = line.split(":", 2)
        parts = place.strip("/").split("/")
        ours = [number for number, part in enumerate(parts, 1) if container_id in part]
        if container_id and ours and ".." not in parts:
            for controller in controllers.split(","):
                yield controller, "/".join(parts[: ours[0]])


def _traffic(table: str) -> tuple[int, int]:
    """Return the bytes received and sent over all interfaces but the loopback."""
    rows = [line.partition(":") for line in table.splitlines()[2:]]
    counts = [counts.split() for name, _, counts in rows if name.strip() != _LOOPBACK]
    return sum(int(row[0]) for row in counts), sum(int(row[8]) for row in counts)


def _last(pattern: re.Pattern[str], text: str) -> int:
    """Return the last number that a pattern finds: in version 1 that is the one of the whole."""
    found = pattern.findall(text)
    return int(found[-1]) if found else 0


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_LONGEST).decode(errors="replace")
