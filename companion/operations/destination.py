"""Destination: the directory of the desktop in which a copy arrives, held meanwhile."""

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from companion.errors import Code, CompanionError
from companion.system import links, open_flags

_KEPT_FREE = 512 * 1024 * 1024
"""Bytes of the disk that what comes out may not fill."""


@contextmanager
def opened(directory: Path) -> Iterator[int]:
    """Open a directory by its path without links; one that comes up meanwhile is refused."""
    with ExitStack() as stack:
        try:
            handle = stack.enter_context(links.held(directory))
        except (FileNotFoundError, NotADirectoryError):
            raise CompanionError(f"there is no directory {directory}", "create it first") from None
        except OSError as error:
            raise unwritable(str(directory), error) from None
        yield handle


@contextmanager
def temporary(parent: int) -> Iterator[tuple[str, int]]:
    """Make a directory of ours, which is removed afterwards with what is left in it.

    Yields:
        Its name, and a handle.
    """
    name = f".companion-cp.{secrets.token_hex(6)}"
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except OSError as error:
        raise unwritable("a file there", error) from None
    try:
        handle = os.open(name, os.O_RDONLY | open_flags.DIRECTORY, dir_fd=parent)
        try:
            yield name, handle
        finally:
            os.close(handle)
    finally:
        shutil.rmtree(name, ignore_errors=True, dir_fd=parent)


def room(directory: int) -> int:
    """Return the bytes that may be written there, so that its disk is not filled."""
    if sys.platform == "win32":
        return 0
    disk = os.fstatvfs(directory)
    return max(0, disk.f_bavail * disk.f_frsize - _KEPT_FREE)


def unwritable(place: str, error: OSError) -> CompanionError:
    """Return the error for a place that cannot be written to."""
    what = f"cannot write {place}: {error.strerror or error}"
    return CompanionError(what, "nothing was kept", code=Code.FILE_ACCESS)
