"""Locks between processes and threads: one holder a file; the kernel frees a dead one's."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from companion.errors import Code, CompanionError
from companion.system import files, process

if TYPE_CHECKING:
    from filelock import BaseFileLock

_NOT_OFFERED = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


@contextmanager
def exclusive(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of `path`; if it is taken, call `waiting` once and wait until it is free.

    Raises:
        CompanionError: the system refuses the lock; the body did not run.
    """
    lock = _new(path)
    if not _acquire(lock, wait=False):
        waiting()
        _acquire(lock, wait=True)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def attempt(path: Path) -> Iterator[bool]:
    """Hold the lock of `path` and yield True, or yield False at once if it is taken.

    Raises:
        CompanionError: the system refuses the lock; the body did not run.
    """
    lock = _new(path)
    taken = _acquire(lock, wait=False)
    try:
        yield taken
    finally:
        lock.release()


def _new(path: Path) -> "BaseFileLock":
    from filelock import FileLock  # noqa: PLC0415 - start-up time is a budget

    files.make_private_dir(path.parent)
    return FileLock(path, mode=files.PRIVATE, fallback_to_soft=False)


def _heed_interrupt() -> bool:
    """End a wait in a thread that cannot get the signal of Ctrl-C itself."""
    process.heed_interrupt()
    return False


def _acquire(lock: "BaseFileLock", *, wait: bool) -> bool:
    from filelock import Timeout  # noqa: PLC0415 - as above

    try:
        lock.acquire(blocking=wait, cancel_check=_heed_interrupt)
    except Timeout:
        return False
    except OSError as error:
        hint = files.advice(error)
        if error.errno in _NOT_OFFERED:
            hint = "that file system offers no locks; keep this directory on a local disk"
        what = f"cannot lock {lock.lock_file}: {error.strerror}"
        raise CompanionError(what, hint, code=Code.FILE_ACCESS) from None
    return True
