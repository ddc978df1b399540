"""Pack: a file or directory of the desktop as an archive, for a sandbox.

Links are packed as links. None is followed below what is packed: an agent may write there while we
read.
"""

import io
import os
import stat
import sys
import tarfile
import time
from collections.abc import Iterator
from typing import IO

from companion.system import open_flags


def pack(stream: IO[bytes], parent: int, name: str, as_name: str, *, owner: int = 0) -> None:
    """Write an archive of `name` in the directory with the handle `parent`, packed as `as_name`.

    Everything in it is of the user and group `owner`. Sockets, pipes and devices are left out, and
    what vanishes meanwhile.

    Raises:
        OSError: the system refuses.
    """
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            _add(archive, parent, name, as_name, owner)
            return
        handle = os.open(name, os.O_RDONLY | open_flags.DIRECTORY, dir_fd=parent)
        try:
            archive.addfile(_header(as_name, found, tarfile.DIRTYPE, owner))
            for path, within, above in _below(handle):
                _add(archive, above, within, f"{as_name}/{path}", owner)
        finally:
            os.close(handle)


def _below(root: int) -> Iterator[tuple[str, str, int]]:
    """Yield (path, name, handle of its directory) of everything below a directory."""
    if sys.platform == "win32":
        raise NotImplementedError  # there, no file is opened in a directory that is held
    for place, directories, names, handle in os.fwalk(".", dir_fd=root, follow_symlinks=False):
        before = "" if place == "." else f"{place.removeprefix('./')}/"
        for name in sorted((*directories, *names)):
            yield before + name, name, handle


def _add(archive: tarfile.TarFile, above: int, name: str, as_name: str, owner: int) -> None:
    """Add one entry; of a directory, only itself."""
    try:
        found = os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        archive.addfile(_header(as_name, found, tarfile.DIRTYPE, owner))
    elif stat.S_ISLNK(found.st_mode):
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
