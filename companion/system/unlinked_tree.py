"""Unlinked trees: the regular files below a directory, read without following any link.

Each part of a path is opened from the one above it, so nothing that is exchanged meanwhile, such as
by an agent that may write there, leads elsewhere.
"""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from companion.errors import Code, CompanionError
from companion.system import open_flags

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """What was found at a path below the root: a file's content, or why there is none."""

    path: str
    content: bytes = b""
    mode: int = 0
    obstacle: str = ""


def read(root: str, path: str, most: int) -> Iterator[Found]:
    """Yield the files at or below a path, sorted; a path that does not exist yields nothing.

    Args:
        root: an existing directory, which may be reached through links.
        path: relative to it, without `..`.
        most: the size of the largest file that is read, in bytes.

    Raises:
        CompanionError: this system cannot open paths part by part.
    """
    if sys.platform == "win32":
        what = "this system cannot read files without following links"
        raise CompanionError(what, "remove `bring` from settings.yaml", code=Code.FILE_ACCESS)
    *above, name = PurePosixPath(path).parts
    with _directory(root, None, follow=True) as start:
        yield from _descend(start, tuple(above), name, PurePosixPath(), most)


def _descend(
    directory: int, above: tuple[str, ...], name: str, done: PurePosixPath, most: int
) -> Iterator[Found]:
    if not above:
        yield from _entry(directory, name, done / name, most)
        return
    try:
        with _directory(above[0], directory) as inner:
            yield from _descend(inner, above[1:], name, done / above[0], most)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Found(str(done / above[0]), obstacle=_why(error))


def _entry(directory: int, name: str, path: PurePosixPath, most: int) -> Iterator[Found]:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            with _directory(name, directory) as inner:
                with os.scandir(inner) as children:
                    names = sorted(child.name for child in children)
                for child in names:
                    yield from _entry(inner, child, path / child, most)
        elif stat.S_ISREG(status.st_mode):
            yield _file(directory, name, str(path), most)
        else:
            link = stat.S_ISLNK(status.st_mode)
            yield Found(str(path), obstacle="is a link" if link else "is no regular file")
    except FileNotFoundError:
        return
    except OSError as error:
        yield Found(str(path), obstacle=_why(error))


def _file(directory: int, name: str, path: str, most: int) -> Found:
    descriptor = os.open(name, open_flags.READ, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Found(path, obstacle="is no regular file")
        if status.st_nlink > 1:
            return Found(path, obstacle="has another name (a hard link)")
        content = b""
        while len(content) <= most and (piece := os.read(descriptor, _PIECE)):
            content += piece
        if len(content) > most:
            return Found(path, obstacle=f"is larger than {most >> 20} MiB")
        return Found(path, content, status.st_mode & 0o111)
    finally:
        os.close(descriptor)


@contextmanager
def _directory(name: str, above: int | None, *, follow: bool = False) -> Iterator[int]:
    flags = open_flags.EITHER_WAY if follow else open_flags.DIRECTORY
    descriptor = os.open(name, os.O_RDONLY | flags, dir_fd=above)
    try:
        yield descriptor
    finally:
        with suppress(OSError):
            os.close(descriptor)


def _why(error: OSError) -> str:
    if isinstance(error, NotADirectoryError):
        return "is a link, or no directory"
    return f"cannot be read: {error.strerror}"
