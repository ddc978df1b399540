"""Files: read, write atomically, copy and remove; never half-written, private by default."""

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from companion.errors import Code, CompanionError
from companion.system import open_flags

PRIVATE = 0o600
PRIVATE_DIR = 0o700
_OTHERS_WRITE = 0o022
READABLE = 0o644
_MOST_TEXT = 4 << 20
_MOST_BYTES = 64 << 20
_PIECE = 64 << 10
_HINTS = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk: your quota is used up",
    errno.EFBIG: "make room by a higher limit of file sizes: see `ulimit -f`",
    errno.EROFS: "mount its file system for writing, or set HOME to a directory of yours that is",
}
"""What to do where the system refuses to write, unless it is for the owner or mode."""
_PAUSES = (0.01, 0.05, 0.2, 0.5) if sys.platform == "win32" else ()
"""Seconds between attempts to replace a file."""


def read_text(path: Path, errors: str = "strict") -> str | None:
    """Return the text of a file, or None if there is none; `errors` is as in bytes.decode().

    Raises:
        CompanionError: it exists but cannot be read, is no regular file of at most 4 MiB, or is not
            UTF-8.
    """
    try:
        return _read(path, _MOST_TEXT).decode("utf-8", errors)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise CompanionError(
            f"{path} is not UTF-8 (byte {error.start})", "save it as UTF-8"
        ) from None
    except OSError as error:
        raise CompanionError(
            f"cannot read {path}: {error.strerror}", "check its owner", code=Code.FILE_ACCESS
        ) from None


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file that must exist.

    Raises:
        CompanionError: it cannot be read, or is no regular file of at most 64 MiB.
    """
    try:
        return _read(path, _MOST_BYTES)
    except OSError as error:
        raise CompanionError(
            f"cannot read {path}: {error.strerror}", "check its owner", code=Code.FILE_ACCESS
        ) from None


def _read(path: Path, most: int) -> bytes:
    """Read a regular file: a repository can hold links to devices without an end, and others pipes.

    Raises:
        OSError: the system refuses.
        CompanionError: it is something else, or longer than `most` bytes.
    """
    with open(path, "rb", opener=_at_once) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) and not _is_null(found):
            what = f"cannot read {path}: it is not a regular file"
            raise CompanionError(what, "replace it with a regular file", code=Code.FILE_ACCESS)
        content = bytearray()
        # In pieces: Linux refuses to read a file of /proc/sys into a buffer of megabytes.
        while found.st_size <= most and len(content) <= most and (piece := file.read1(_PIECE)):
            content += piece
        if max(found.st_size, len(content)) > most:
            what = f"cannot read {path}: it is larger than {most >> 20} MiB"
            raise CompanionError(what, "make it smaller, or remove it", code=Code.FILE_ACCESS)
        return bytes(content)


def _at_once(path: str, flags: int) -> int:
    """Open a file without waiting for somebody who writes to it, should it be a pipe."""
    return os.open(path, flags | open_flags.NOT_WAITING)


def _is_null(found: os.stat_result) -> bool:
    """Tell whether it is /dev/null, which is often put in place of an empty file."""
    if sys.platform == "win32":
        return False
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == Path(os.devnull).stat().st_rdev


def expanded(path: Path) -> Path:
    """Return a path with ~ and ~USER replaced; of an unknown user it stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser() raises for that user


def real(path: Path) -> Path:
    """Return a path without symlinks, as far as the system says where they lead; never raises."""
    return Path(os.path.realpath(path))  # Path.resolve() does, where they lead in a circle


def spelled(path: Path) -> Path:
    """Return a path as it was given, made absolute: symlinks stay."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute() leaves `..`


def ignores_case(directory: Path) -> bool:
    """Tell whether the file system takes a directory's path for the same in another case."""
    for place in (directory, *directory.parents):
        other = place.with_name(place.name.swapcase()) if place.name else place
        if other != place:
            with contextlib.suppress(OSError):
                return other.samefile(place)
            return False
    return False


def user_id() -> int | None:
    """Return the number of the user who runs this; None where users have none (Windows)."""
    if sys.platform == "win32":
        return None
    return os.geteuid()


def status(path: Path) -> os.stat_result | None:
    """Return what the system says of a file or directory; None: nothing, so it is missing.

    It says nothing of what is too long to be a path or lies in a mount that is dead, either.
    """
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def is_file(path: Path) -> bool:
    """Tell whether there is a file; of what the system says nothing, there is not."""
    found = status(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def is_link(path: Path) -> bool:
    """Tell whether a path is a symbolic link; never raises."""
    return os.path.islink(path)  # noqa: PTH114 - Path.is_symlink() does, for too long a name


def inode(path: Path | str) -> tuple[int, int] | None:
    """Return device and number of a file or directory, of a link itself; None: it has none."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None


def is_directory(path: Path) -> bool:
    """Tell whether there is a directory; of what the system says nothing, there is not."""
    found = status(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell what the system refused, a full disk for example, as the user's problem it is."""
    try:
        yield
    except OSError as error:
        what = f"cannot write {path}: {error.strerror}"
        raise CompanionError(what, advice(error), code=Code.FILE_ACCESS) from None


def advice(error: OSError) -> str:
    """Return what to do where the system refuses to write."""
    return _HINTS.get(error.errno or 0, "correct its owner or mode")


def make_private_dir(path: Path) -> None:
    """Make `path` and what is missing above it, each for its owner only, whatever the umask.

    Raises:
        CompanionError: the system refuses.
    """
    with writing(path):
        for place in (*reversed(path.parents), path):
            if not place.is_dir():
                place.mkdir(mode=PRIVATE_DIR, exist_ok=True)
                place.chmod(PRIVATE_DIR)


def make_dir(path: Path) -> None:
    """Make a directory of the user's and what is missing above it, as the umask says.

    Raises:
        CompanionError: the system refuses.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        CompanionError: the system refuses.
    """
    with writing(path):
        path.unlink(missing_ok=True)


def require_own(directory: Path) -> None:
    """See that a directory, if it is there, is ours and nobody else may write to it.

    Raises:
        CompanionError: it is somebody else's, or others may write there: nothing in it counts.
    """
    if sys.platform == "win32" or not directory.exists():
        return
    found = directory.stat()
    if found.st_uid != user_id():
        raise CompanionError(
            f"{directory} belongs to another user",
            "run companion as that user",
            code=Code.FILE_ACCESS,
        )
    if found.st_mode & _OTHERS_WRITE:
        hint = f"`chmod 700 {directory}`, and look at what is in it"
        raise CompanionError(f"others may write to {directory}", hint, code=Code.FILE_ACCESS)


def write(path: Path, content: str | bytes, mode: int = PRIVATE, owner: int | None = None) -> bool:
    """Replace a file atomically; mode and owner are right before the content is there.

    Returns False if the file had this content and mode already: then nothing is touched.

    Raises:
        CompanionError: the system refuses; the file is as it was before.
    """
    data = content.encode() if isinstance(content, str) else content
    if is_current(path, data, mode):
        return False
    make_private_dir(path.parent)
    with writing(path):
        replace(path, data, mode, owner)
    return True


def replace(path: Path, data: bytes, mode: int, owner: int | None = None) -> None:
    """Replace a file atomically, whatever it holds; the directory must exist.

    Raises:
        OSError: the system refuses; the file is as it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.new")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if sys.platform != "win32":
                os.fchmod(file.fileno(), mode)
                if owner is not None and user_id() == 0:
                    os.fchown(file.fileno(), owner, owner)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _put(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _put(temporary: Path, path: Path) -> None:
    """Give a file the name of another one.

    Windows refuses that while a program has the other one open, an indexer for example.
    """
    for pause in _PAUSES:
        try:
            temporary.replace(path)
        except PermissionError:
            time.sleep(pause)
        else:
            return
    temporary.replace(path)


def give_to(path: Path, owner: int) -> None:
    """Make `owner` (a uid, used as gid too) the owner of a path; only root can and needs to."""
    if sys.platform != "win32" and user_id() == 0:
        os.chown(path, owner, owner)


def is_current(path: Path, data: bytes, mode: int) -> bool:
    """Tell whether a file has this content and mode."""
    try:
        status = path.lstat()
        right = sys.platform == "win32" or status.st_mode & 0o7777 == mode
        return right and status.st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False
