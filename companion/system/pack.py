"""Pack: a file or directory of the desktop as an archive, for a sandbox.

Links are packed as links. None is followed below what is packed: an agent may write there while we
read.
"""

import errno
import io
import os
import stat
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, NamedTuple

from companion.system import open_flags

_DEEPEST = 128
"""How many directories may lie in one another: each is held while what is in it is packed."""


class _Held(NamedTuple):
    """A directory that is being packed."""

    handle: int
    path: str
    """Below what is packed."""
    names: Iterator[str]
    """What is in it and not packed yet."""


def pack(stream: IO[bytes], parent: int, name: str, as_name: str, *, owner: int = 0) -> None:
    """Write an archive of `name` in the directory with the handle `parent`, packed as `as_name`.

    Everything in it is of the user and group `owner`. Sockets, pipes and devices are left out, and
    what vanishes meanwhile; nothing else is.

    Raises:
        OSError: the system refuses; it has the path below `name`, "" for `name` itself.
    """
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        with _naming(""):
            top = _add(archive, parent, name, as_name, owner)
        if top is not None:
            _add_below(archive, top, as_name, owner)


def _add_below(archive: tarfile.TarFile, top: int, as_name: str, owner: int) -> None:
    """Add everything below a directory, and close its handle."""
    held = [_Held(top, "", _names(top))]
    try:
        while held:
            above = held[-1]
            with _naming(above.path):
                name = next(above.names, None)
            if name is None:
                os.close(held.pop().handle)
                continue
            path = f"{above.path}/{name}" if above.path else name
            inner = None
            with suppress(FileNotFoundError), _naming(path):
                if len(held) > _DEEPEST:
                    what = f"it lies in more than {_DEEPEST} directories"
                    raise OSError(errno.ENAMETOOLONG, what)
                inner = _add(archive, above.handle, name, f"{as_name}/{path}", owner)
            if inner is not None:
                held.append(_Held(inner, path, _names(inner)))
    finally:
        for one in held:
            os.close(one.handle)


def _names(handle: int) -> Iterator[str]:
    yield from sorted(os.listdir(handle))


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Have an error say where it happened; tarfile's own, of a file's early end, has no number."""
    try:
        yield
    except OSError as error:
        why = error.strerror or "it became shorter while it was read"
        raise OSError(error.errno or errno.EIO, why, path) from None


def _add(archive: tarfile.TarFile, above: int, name: str, as_name: str, owner: int) -> int | None:
    """Add one entry; of a directory, only itself, and return its handle."""
    if sys.platform == "win32":
        raise NotImplementedError  # there, no file is opened in a directory that is held
    found = os.stat(name, dir_fd=above, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        archive.addfile(_header(as_name, found, tarfile.DIRTYPE, owner))
        return os.open(name, os.O_RDONLY | open_flags.DIRECTORY, dir_fd=above)
    if stat.S_ISLNK(found.st_mode):
        link = _header(as_name, found, tarfile.SYMTYPE, owner)
        link.linkname = os.readlink(name, dir_fd=above)
        archive.addfile(link)
    elif stat.S_ISREG(found.st_mode):
        with os.fdopen(os.open(name, open_flags.READ, dir_fd=above), "rb") as file:
            now = os.fstat(file.fileno())
            if stat.S_ISREG(now.st_mode):
                entry = _header(as_name, now, tarfile.REGTYPE, owner)
                entry.size = now.st_size
                archive.addfile(entry, file)
    return None


def _header(name: str, found: os.stat_result, kind: bytes, owner: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.uid = entry.gid = owner
    entry.type, entry.mode = kind, found.st_mode & 0o777
    entry.mtime = int(found.st_mtime)
    return entry


def pack_bytes(stream: IO[bytes], content: bytes, as_name: str) -> None:
    """Write an archive of one file with this content."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        entry = tarfile.TarInfo(as_name)
        entry.size, entry.mtime = len(content), int(time.time())
        archive.addfile(entry, io.BytesIO(content))
