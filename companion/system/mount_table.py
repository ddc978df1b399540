"""Mount table: the file systems of this machine, and where a path lies in its own.

The format: proc_pid_mountinfo(5).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")
_OCTAL = re.compile(rb"\\([0-7]{3})")
_DEVICE, _ROOT, _POINT = 2, 3, 4
_REMOTE = frozenset((
    *("9p", "afs", "ceph", "cifs", "drvfs", "fuse", "lustre", "nfs", "nfs4", "prl_fs", "smb3"),
    *("vboxsf", "virtiofs", "vmhgfs"),
))  # fmt: skip
"""Types of network file systems, and of those that a virtual machine shares with its host.

FUSE is among them for SSHFS and the like; `fuseblk` is a local disk.
"""


@dataclass(frozen=True, slots=True)
class MountedAt:
    """A file system, or a directory of one, and where it is mounted."""

    device: str
    """Major and minor number."""
    root: str
    """The directory of the file system that is mounted; `/` for all of it."""
    point: str
    kind: str = ""
    """The type of the file system, as mount(8) names it."""


@dataclass(frozen=True)
class MountTable:
    """What is mounted, in the order in which it was."""

    entries: tuple[MountedAt, ...] = ()

    def device_path(self, path: str) -> tuple[str, str] | None:
        """Return the file system on which an absolute path lies, and its path there."""
        entry = mount_of(self, path)
        if entry is None:
            return None
        rest = path[len(entry.point.rstrip("/")) :]
        return entry.device, (entry.root.rstrip("/") + rest) or "/"

    def mounted_below(self, path: str) -> tuple[tuple[str, str], ...]:
        """Return what is mounted below a directory, as file systems and paths in them."""
        if path not in self._above_points:
            return ()
        return tuple(
            (entry.device, entry.root)
            for entry in self.entries
            if entry.point != path and _is_below(entry.point, path)
        )

    @cached_property
    def by_point(self) -> Mapping[str, MountedAt]:
        """What is mounted at each directory: the last one hides others."""
        return {entry.point: entry for entry in self.entries}

    @cached_property
    def has_remote(self) -> bool:
        """Whether any of the file systems is_remote()."""
        return any(map(is_remote, self.entries))

    @cached_property
    def _above_points(self) -> frozenset[str]:
        return frozenset(above for point in self.by_point for above in _parents(point))


def read() -> MountTable:
    """Return what is mounted on this machine; nothing where the system has no such table."""
    try:
        return parse(_TABLE.read_bytes())
    except OSError:
        return MountTable()


def points(pid: int) -> frozenset[str] | None:
    """Return where something is mounted for a process; None if the system does not tell."""
    try:
        return points_in(Path(f"/proc/{pid}/mountinfo").read_bytes())
    except OSError:
        return None


def points_in(table: bytes) -> frozenset[str]:
    """Return the mount points in the content of a mountinfo file."""
    rows = (line.split(b" ") for line in table.splitlines())
    return frozenset(_name(row[_POINT]) for row in rows if len(row) > _POINT)


@lru_cache(maxsize=2)
def parse(table: bytes) -> MountTable:
    """Return the content of a mountinfo file."""
    rows = (line.split(b" ") for line in table.splitlines())
    return MountTable(
        tuple(
            MountedAt(row[_DEVICE].decode(), _name(row[_ROOT]), _name(row[_POINT]), _kind(row))
            for row in rows
            if len(row) > _POINT
        )
    )


def mount_of(table: MountTable, path: str) -> MountedAt | None:
    """Return what is mounted at an absolute path, or above it."""
    places = (path, *_parents(path))
    return next((table.by_point[place] for place in places if place in table.by_point), None)


def is_remote(entry: MountedAt) -> bool:
    """Tell whether others may change a file system's files without an event on this machine."""
    return entry.kind in _REMOTE or entry.kind.startswith("fuse.")


def _parents(path: str) -> Iterable[str]:
    while path not in {"", "/"}:
        path = path.rpartition("/")[0]
        yield path or "/"


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


def _kind(row: list[bytes]) -> str:
    """Return the field after the separator, which follows any number of optional fields."""
    return _name(row[row.index(b"-") + 1]) if b"-" in row[:-1] else ""


def _name(field: bytes) -> str:
    plain = _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), field)
    return plain.decode(errors="surrogateescape")
