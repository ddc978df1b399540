"""Unpack: a tree that comes out of a sandbox as an archive, written below one directory only.

Whoever sends it is the attacker. Nothing is written through a link, over what is there, or outside;
what is not a file, a directory or a link within the tree is left out.
"""

import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO

from companion.system import open_flags

_PIECE = 256 * 1024
_LONGEST_NAME = 4096
"""Bytes of a name or of what a link leads to, as Linux has it; tarfile reads them at once."""
_MOST_KEPT, _OVERHEAD = 64 * 1024 * 1024, 200
"""Bytes that are kept in memory until the end: of names, and about what each costs besides."""
_MOST_ENTRIES, _DEEPEST = 1_000_000, 200
_NAMES = {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
_FILES = {tarfile.REGTYPE, tarfile.AREGTYPE}
_LEFT_OUT = {tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE}
_KNOWN = {*_NAMES, *_FILES, *_LEFT_OUT, tarfile.DIRTYPE, tarfile.SYMTYPE}
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | open_flags.NO_LINK
_MODE = 0o777
"""Permissions that are kept: no set-user-ID, no set-group-ID."""


class RefusedError(Exception):
    """The archive is not what a well-meaning sender makes; nothing of it is to be kept."""


@dataclass(slots=True)
class Unpacked:
    """What was written: whether it is a directory, how much, and the names that were left out."""

    is_directory: bool = False
    files: int = 0
    left_out: list[str] = field(default_factory=list)


class _Header(tarfile.TarInfo):
    """A header of GNU tar without extensions: those can make tarfile read without an end."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """Read what follows a header, as tarfile does for each: subclasses may override this.

        frombuf() is no place to judge: newer versions of tarfile pass it by.

        Raises:
            RefusedError: the header is of a kind that we did not ask for.
        """
        longest = _LONGEST_NAME + 1  # it ends in a zero
        if self.type not in _KNOWN or (self.type in _NAMES and self.size > longest):
            raise RefusedError("its archive has entries of an unexpected kind")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return found


def unpack(stream: IO[bytes], parent: int, name: str, room: int) -> Unpacked:
    """Write the file or directory that an archive holds as `name`, which must not exist.

    An archive of a directory begins with `.`, and its names with `./`; one of a file has one entry.

    Args:
        stream: the archive, as GNU tar writes it.
        parent: a handle of the directory to write in.
        name: a name in that directory.
        room: bytes that may be written.

    Raises:
        RefusedError: it holds what no well-meaning sender makes, or too much.
        tarfile.TarError: its archive is incomplete.
        OSError: the system refuses.
    """
    try:
        return _unpack(stream, parent, name, room)
    except (FileExistsError, FileNotFoundError, NotADirectoryError):
        raise RefusedError("two of its names mean the same, or one leads through a file") from None
    except RecursionError:  # tarfile reads a long name of a long name of a long name
        raise RefusedError("its archive has entries of an unexpected kind") from None


def _unpack(stream: IO[bytes], parent: int, name: str, room: int) -> Unpacked:
    done = Unpacked()
    links: list[tuple[str, str]] = []
    kept = _MOST_KEPT
    with tarfile.open(
        fileobj=stream, mode="r|", tarinfo=_Header, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for number, entry in enumerate(_entries(archive)):
            if number == 0:
                done.is_directory = _begin(entry, parent, name)
                if done.is_directory:
                    continue
            elif number > _MOST_ENTRIES or not done.is_directory:
                raise RefusedError("it has too many entries")
            path = (name, *_inside(entry.name)) if done.is_directory else (name,)
            if entry.type in _FILES:
                with _directory(parent, path[:-1]) as above:
                    room -= _write(archive, entry, above, path[-1], room)
                done.files += 1
            elif entry.isdir():
                with _directory(parent, path[:-1]) as above:
                    os.mkdir(path[-1], _permissions(entry) | stat.S_IRWXU, dir_fd=above)
            else:
                kept -= len(entry.name) + len(entry.linkname) + _OVERHEAD
                if kept < 0:
                    raise RefusedError("it has too many links")
                if entry.issym() and _stays_inside(path[1:], entry.linkname):
                    links.append((entry.name, entry.linkname))
                else:
                    done.left_out.append(entry.name)
    # Last, so that nothing is written through one.
    for text, target in links:
        path = (name, *_inside(text))
        with _directory(parent, path[:-1]) as above:
            os.symlink(target, path[-1], dir_fd=above)
    return done


def _entries(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while entry := archive.next():
        archive.members = []  # type: ignore[attr-defined] # it would remember each
        yield entry


def _begin(entry: tarfile.TarInfo, parent: int, name: str) -> bool:
    """Make the directory that an archive holds; return False if it holds a file."""
    if entry.type in _FILES:
        return False
    if not entry.isdir() or PurePosixPath(entry.name).parts:
        raise RefusedError("it is neither a file nor a directory")
    os.mkdir(name, _permissions(entry) | stat.S_IRWXU, dir_fd=parent)
    return True


def _inside(text: str) -> tuple[str, ...]:
    """Return the parts of a name below the directory that was asked for.

    Raises:
        RefusedError: the name leads elsewhere.
    """
    first, *rest = text.rstrip("/").split("/")
    if first != "." or not rest or len(rest) > _DEEPEST:
        raise RefusedError("it has a name that leads out of it")
    if any(part in {"", ".", ".."} or "\0" in part for part in rest):
        raise RefusedError("it has a name that leads out of it")
    return tuple(rest)


def _stays_inside(path: tuple[str, ...], target: str) -> bool:
    """Tell whether a link leads to a place within the tree, whatever other links there are.

    Its `..` come first, where they mean real directories, and are fewer than it is deep.
    """
    parts = target.split("/")
    up = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    rest = parts[up:]
    is_plain = not any(part == ".." or "\0" in part for part in rest)
    return bool(target) and not target.startswith("/") and up < len(path) and is_plain


@contextmanager
def _directory(root: int, path: tuple[str, ...]) -> Iterator[int]:
    """Open a directory below `root`, no part of which may be a link."""
    handle = os.dup(root)
    try:
        for part in path:
            inner = os.open(part, os.O_RDONLY | open_flags.DIRECTORY, dir_fd=handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _write(
    archive: tarfile.TarFile, entry: tarfile.TarInfo, above: int, name: str, room: int
) -> int:
    """Write one file, and return its size."""
    if not 0 <= entry.size <= room:
        raise RefusedError("it is larger than the disk has room for")
    content = archive.extractfile(entry)
    handle = os.open(name, _NEW, _permissions(entry) | stat.S_IRUSR | stat.S_IWUSR, dir_fd=above)
    with os.fdopen(handle, "wb") as file:
        left = entry.size
        while content and left and (piece := content.read(min(_PIECE, left))):
            file.write(piece)
            left -= len(piece)
    if left:
        raise tarfile.ReadError("it ends in the middle of a file")
    return entry.size


def _permissions(entry: tarfile.TarInfo) -> int:
    return entry.mode & _MODE
