"""Made directories: those that we made in other programs' places, to remove them again."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from companion.errors import CompanionError
from companion.system import locks, user_files
from companion.system.json_store import Store
from companion.system.paths import Paths


@dataclass(frozen=True, slots=True)
class _Made:
    directories: tuple[str, ...] = ()


_STORE = Store(_Made, "remove it; empty directories that we made then stay")


@contextmanager
def noting(home: Paths) -> Iterator[None]:
    """Remember which of the directories around our own, such as ~/.local/state, a block makes."""
    missing = {p for own in (home.data, home.state) for p in user_files.missing_directories(own)}
    try:
        yield
    finally:
        if not (home.data.exists() or home.state.exists()):  # as after an uninstall
            remove(missing)
        elif missing:
            with suppress(CompanionError):  # then an empty directory remains at the end
                _add(home, missing)


def note(home: Paths, file: Path) -> None:
    """Remember the directories that are missing for a file which is about to be written."""
    if missing := user_files.missing_directories(file):
        _add(home, missing)


def clear(home: Paths) -> tuple[Path, ...]:
    """Remove the directories that we made and that are empty; keep and return the others."""
    if not _read(home):
        return ()
    with locks.exclusive(home.made_directories.with_suffix(".lock")):
        left = remove(Path(name) for name in _read(home))
        _write(home, tuple(map(str, left)))
    return left


def remove(made: Iterable[Path]) -> tuple[Path, ...]:
    """Remove directories that are empty, inner ones first; return those that remain."""
    ordered = sorted(made, key=lambda path: len(path.parts), reverse=True)
    for path in ordered:
        with suppress(OSError):
            path.rmdir()
    return tuple(path for path in ordered if path.is_dir())


def _add(home: Paths, made: Iterable[Path]) -> None:
    with locks.exclusive(home.made_directories.with_suffix(".lock")):
        known = _read(home)
        new = sorted({str(path) for path in made} - {*known})
        _write(home, (*known, *new))


def _read(home: Paths) -> tuple[str, ...]:
    return (_STORE.read(home.made_directories) or _Made()).directories


def _write(home: Paths, directories: tuple[str, ...]) -> None:
    _STORE.write(home.made_directories, _Made(directories))
