"""Mount table: the file systems of this machine, and where a path lies in its own.

The format: proc_pid_mountinfo(5).
"""

import re
from dataclasses import dataclass
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")
_OCTAL = re.compile(rb"\\([0-7]{3})")
_DEVICE, _ROOT, _POINT = 2, 3, 4


@dataclass(frozen=True, slots=True)
class MountedAt:
    """A file system, or a directory of one, and where it is mounted."""

    device: str
    """Major and minor number."""
    root: str
    """The directory of the file system that is mounted; `/` for all of it."""
    point: str


def read() -> tuple[MountedAt, ...]:
    """Return what is mounted on this machine; nothing where the system has no such table."""
    try:
        return parse(_TABLE.read_bytes())
    except OSError:
        return ()


def parse(table: bytes) -> tuple[MountedAt, ...]:
    """Return the entries of a mountinfo file, in its order."""
    rows = (line.split(b" ") for line in table.splitlines())
    return tuple(
        MountedAt(row[_DEVICE].decode(), _name(row[_ROOT]), _name(row[_POINT]))
        for row in rows
        if len(row) > _POINT
    )


def device_path(table: tuple[MountedAt, ...], path: str) -> tuple[str, str] | None:
    """Return the file system on which an absolute path lies, and its path there."""
    above = [entry for entry in table if _is_below(path, entry.point)]
    if not above:
        return None
    entry = max(reversed(above), key=lambda found: len(found.point))  # the last one hides others
    rest = path[len(entry.point.rstrip("/")) :]
    return entry.device, (entry.root.rstrip("/") + rest) or "/"


def mounted_below(table: tuple[MountedAt, ...], path: str) -> tuple[tuple[str, str], ...]:
    """Return what is mounted below a directory, as file systems and paths in them."""
    return tuple(
        (entry.device, entry.root)
        for entry in table
        if entry.point != path and _is_below(entry.point, path)
    )


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


def _name(field: bytes) -> str:
    plain = _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), field)
    return plain.decode(errors="surrogateescape")
