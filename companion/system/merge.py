"""Merge: what came out of a sandbox, moved into a directory that is there already.

An agent may write there, too, while we move: each directory is opened from the one above it without
following links, and what is replaced is replaced by a rename, never written through.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EEXIST

from companion.system import open_flags

_GIT = ".git"


class ClashError(OSError):
    """Something that is there is a directory where a file comes, or the reverse."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(EEXIST, what)
        self.path = path

    def __str__(self) -> str:
        return str(self.strerror)


def move(parent: int, name: str, there: int) -> list[str]:
    """Move the entries of a directory of ours into another one, and return what was left out.

    A repository that is there keeps its `.git`: git on the desktop obeys what stands in it. Nothing
    comes into a bare one, and none is completed by what comes.

    Args:
        parent: a handle of the directory that ours lies in; both are on one file system.
        name: its name.
        there: a handle of the directory that receives its entries.

    Raises:
        ClashError: nothing was moved.
        OSError: the system refuses; some of it was moved.
    """
    with _opened(name, parent) as ours:
        _require_no_clash(ours, there, "")
        return list(_moved(ours, there, "."))


def _require_no_clash(ours: int, there: int, before: str) -> None:
    for name in os.listdir(ours):
        if is_git(name) or (old := _mode(name, there)) is None:
            continue
        is_directory = stat.S_ISDIR(_mode(name, ours) or 0)
        if is_directory != stat.S_ISDIR(old):
            kind = "no directory" if is_directory else "a directory"
            raise ClashError(before + name, f"it is {kind}")
        if is_directory:
            with _opened(name, ours) as inner, _opened(name, there) as inner_there:
                _require_no_clash(inner, inner_there, f"{before}{name}/")


def _moved(ours: int, there: int, before: str) -> Iterator[str]:
    is_kept = is_repository([*os.listdir(ours), *os.listdir(there)])
    for name in sorted(os.listdir(ours)):
        if is_kept or is_git(name):
            yield f"{before}/{name}"
        elif stat.S_ISDIR(_mode(name, ours) or 0) and stat.S_ISDIR(_mode(name, there) or 0):
            with _opened(name, ours) as inner, _opened(name, there) as inner_there:
                yield from _moved(inner, inner_there, f"{before}/{name}")
        else:
            os.rename(name, name, src_dir_fd=ours, dst_dir_fd=there)


def is_git(name: str) -> bool:
    """Tell whether a name may mean `.git`: many disks, such as a Mac's, ignore case."""
    return name.casefold() == _GIT


def is_repository(names: list[str]) -> bool:
    """Tell whether git may take a directory with these names for a bare repository."""
    known = set(map(str.casefold, names))
    return "head" in known and ({"objects", "refs"} <= known or "commondir" in known)


def _mode(name: str, directory: int) -> int | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


@contextmanager
def _opened(name: str, directory: int) -> Iterator[int]:
    handle = os.open(name, os.O_RDONLY | open_flags.DIRECTORY, dir_fd=directory)
    try:
        yield handle
    finally:
        os.close(handle)
