"""Sockets: the UNIX sockets on which programs of this desktop listen, and those in a directory."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from companion.system import files

_TABLE = Path("/proc/net/unix")
_PATH = 7
MOST_ENTRIES, DEEPEST = 1000, 3
"""How far a directory is searched."""


def bound() -> tuple[frozenset[Path], frozenset[str]]:
    """Return the absolute paths at which sockets are bound, and the names of all others.

    Those of containers are not among them: they are in network namespaces of their own. A system
    without this table (macOS, Windows) runs containers in a virtual machine, where none of its
    sockets lead.
    """
    try:
        lines = _TABLE.read_bytes().splitlines()[1:]
    except OSError:
        return frozenset(), frozenset()
    rows = (line.split(maxsplit=_PATH) for line in lines)
    names = {os.fsdecode(row[_PATH]) for row in rows if len(row) > _PATH}
    plain = {name for name in names if not name.startswith("@")}
    absolute = {Path(name) for name in plain if name.startswith("/")}
    return frozenset(absolute), frozenset(Path(name).name for name in plain if name[0] != "/")


def owner(path: Path) -> int | None:
    """Return the user that owns a socket; None: there is no socket."""
    found = files.status(path)
    return found.st_uid if found and stat.S_ISSOCK(found.st_mode) else None


def look(directory: Path) -> Iterator[Path]:
    """Yield the sockets in a directory and below, as far as the search goes."""
    level, left = [directory], MOST_ENTRIES
    for _ in range(DEEPEST):
        below: list[Path] = []
        for entry in (entry for place in level for entry in _entries(place)):
            left -= 1
            if left < 0:
                return
            if entry.is_dir(follow_symlinks=False):
                below.append(Path(entry.path))
            elif stat.S_ISSOCK(_mode(entry)):
                yield Path(entry.path)
        level = below


def _mode(entry: "os.DirEntry[str]") -> int:
    """Return the mode of what is neither a directory, a file nor a link; 0: no need to look."""
    if entry.is_file(follow_symlinks=False) or entry.is_symlink():
        return 0
    try:
        return entry.stat(follow_symlinks=False).st_mode
    except OSError:
        return 0


def _entries(directory: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(directory) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []
