"""Users: the home directories of this machine."""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from companion.system import files

_FIRST, _NOBODY = 500, 65534
"""Numbers of people: from 500 on macOS, from 1000 elsewhere, where few programs have one above."""


def own_homes() -> tuple[Path, ...]:
    """Return the home directories of the user who runs this, as the system names them."""
    uid = files.user_id()
    return tuple(path for owner, path in _homes() if owner == uid)


def other_homes() -> tuple[Path, ...]:
    """Return the home directories of other people, and root's."""
    uid = files.user_id()
    return tuple(
        path for owner, path in _homes() if owner != uid and (owner >= _FIRST or owner == 0)
    )


def owner(path: Path) -> int | None:
    """Return the user ID that a path belongs to; None if the system does not tell."""
    found = files.status(path)
    return found.st_uid if found is not None and sys.platform != "win32" else None


def name_of(user_id: int) -> str:
    """Return the name of a user."""
    if sys.platform == "win32":
        return f"user {user_id}"
    import pwd  # noqa: PLC0415 - only on POSIX

    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"user {user_id}"


def home_beside(home: Path, path: Path) -> Path | None:
    """Return the directory beside a home that a path is or lies in, if it is another user's.

    A directory service need not list its users.
    """
    if not path.is_relative_to(home.parent) or path == home.parent:
        return None
    beside = home.parent / path.relative_to(home.parent).parts[0]
    found = files.status(beside)
    is_other = found is not None and found.st_uid not in {0, files.user_id()}
    return beside if is_other and found and found.st_uid >= _FIRST else None


@cache
def _homes() -> tuple[tuple[int, Path], ...]:
    return tuple(_found())


def _found() -> Iterator[tuple[int, Path]]:
    if sys.platform == "win32":
        return
    import pwd  # noqa: PLC0415 - only on POSIX

    for entry in pwd.getpwall():
        path = Path(entry.pw_dir)
        if entry.pw_uid < _NOBODY and path.is_absolute() and path != Path("/") and path.is_dir():
            yield entry.pw_uid, path
