"""Renewal: whether this program was replaced by another version, or removed, while it runs.

A process that goes on without its files fails at whatever it has not loaded yet.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from companion.system import files

_SETTLED, _GONE = 10.0, 60.0
"""Seconds without a further change after which an update is complete, and a removal is meant."""
_BUNDLED = "_internal"


class Fate(Enum):
    """What the files of this program are now."""

    SAME = "same"
    REPLACED = "replaced"
    REMOVED = "removed"


@dataclass(slots=True)
class Renewal:
    """Tells the fate of a program by one of its files, and when its directories are quiet."""

    file: Path
    directories: Sequence[Path]
    _first: object = field(init=False)
    _seen: object = None
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._first = self._identity()

    def fate(self, now: float) -> Fate:
        """Return what became of the program; `now` is a time in seconds, which only grows."""
        identity = self._identity()
        if identity == self._first:
            self._seen = None
            return Fate.SAME
        seen = identity, [_changed(directory) for directory in self.directories]
        if seen != self._seen:
            self._seen, self._since = seen, now
        quiet = now - self._since
        if identity is None:
            return Fate.REMOVED if quiet >= _GONE else Fate.SAME
        return Fate.REPLACED if quiet >= _SETTLED else Fate.SAME

    def _identity(self) -> object:
        """Return what differs between versions of the file; None: it is not there."""
        found = files.status(self.file)
        return found and (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def of_this() -> Renewal:
    """Return that of this process, which must not have been replaced yet.

    Windows lets nobody replace what runs.
    """
    if getattr(sys, "frozen", False):
        program = Path(sys.executable)
        return Renewal(program, (program.parent, program.parent / _BUNDLED))
    package = Path(__file__).parent.parent
    return Renewal(package / "__init__.py", (package, package.parent))


def _changed(directory: Path) -> int:
    found = files.status(directory)
    return found.st_ctime_ns if found else 0
