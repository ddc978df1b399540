"""Made directories: those that we made in other programs' places, to remove them again."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from companion.system import locks, user_files
from companion.system.json_store import Store
from companion.system.paths import Paths


@dataclass(frozen=True, slots=True)
class _Made:
    directories: tuple[str, ...] = ()


_STORE = Store(_Made, "remove it; empty directories that we made then stay")


def note(home: Paths, file: Path) -> None:
    """Remember the directories that are missing for a file which is about to be written."""
    missing = user_files.missing_directories(file)
    if missing:
        with locks.exclusive(home.made_directories.with_suffix(".lock")):
            known = _read(home)
            _write(home, (*known, *(str(p) for p in missing if str(p) not in known)))


def clear(home: Paths) -> None:
    """Remove the directories that we made and that are empty; of the others we keep the names."""
    if not _read(home):
        return
    with locks.exclusive(home.made_directories.with_suffix(".lock")):
        for name in sorted(_read(home), key=len, reverse=True):
            with suppress(OSError):
                Path(name).rmdir()
        _write(home, tuple(name for name in _read(home) if Path(name).is_dir()))


def _read(home: Paths) -> tuple[str, ...]:
    return (_STORE.read(home.made_directories) or _Made()).directories


def _write(home: Paths, directories: tuple[str, ...]) -> None:
    _STORE.write(home.made_directories, _Made(directories))
