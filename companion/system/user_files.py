"""User files: changes of files that belong to the user, who may change them at the same time.

A file is exchanged with its new version in one step, and what came out is compared with what was
read. If another program was faster, its version goes back. A kill in between leaves both files,
whose names tell the next call what to do.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from companion.errors import Code, CompanionError
from companion.system import files

T = TypeVar("T")
_BACKUP = ".before-companion"
_KEEP_BYTES = "surrogateescape"
_SWAP = re.compile(r"\.(?P<of>.+)\.(?P<old>[0-9a-f]{16})-(?P<new>[0-9a-f]{16})\.companion")
_PARTLY = re.compile(r"\.(?P<of>.+)\.[0-9a-f]{12}\.new")
"""What files.replace() leaves if it is killed."""
_ATTEMPTS = 20
_HERE, _EXCHANGE = -100, 2
"""Linux's AT_FDCWD and RENAME_EXCHANGE."""
_NOT_OFFERED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}


class ChangedError(CompanionError):
    """Another program changed the file since it was read; a retry may succeed."""


def changing(path: Path, attempt: Callable[[], T]) -> T:
    """Return what `attempt` returns; it reads and writes a file, and is repeated if that changed.

    First, what a killed call left is cleaned up. Hold a lock: two calls must not do that at once.

    Raises:
        ChangedError: it changes faster than we can follow.
        CompanionError: the system refuses.
    """
    with _refusals(path):
        _recover(files.real(path))
    for _ in range(_ATTEMPTS - 1):
        with suppress(ChangedError):
            return attempt()
    return attempt()


def read(path: Path) -> str | None:
    """Return the text of a file, or None if there is none.

    Bytes that are not UTF-8 become lone surrogates, which write() turns into those bytes again.

    Raises:
        CompanionError: it exists but cannot be read, or is a device or the like.
    """
    found = files.status(path)
    if found and not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        what = f"cannot use {path}: it is not a plain file"
        raise CompanionError(what, "make it one", code=Code.FILE_ACCESS)
    return files.read_text(path, _KEEP_BYTES)


def missing_directories(path: Path) -> tuple[Path, ...]:
    """Return the directories that write() would make, outermost first."""
    target = files.real(path)
    return tuple(p for p in reversed(target.parents) if not p.is_dir())


def write(path: Path, new: str, expected: str | None, *, backup: bool = True) -> None:
    """Replace a file, only if it still reads `expected` (None: if there is still none).

    Symlinks are followed and hard links kept, the mode is kept, and one backup is made at the
    first touch, unless the file is one of ours.

    Raises:
        ChangedError: the file changed since it was read.
        CompanionError: the system refuses.
    """
    target = files.real(path)
    with _refusals(target):
        if read(target) != expected:
            raise _changed(path)
        kept = target.with_name(target.name + _BACKUP)
        if backup and expected is not None and not kept.exists():
            files.replace(kept, _encoded(expected), _mode(target))
        if new != expected:
            files.make_private_dir(target.parent)
            _put(path, target, new, expected)


def restore(path: Path, new: str, expected: str) -> None:
    """Do as write() does when our entries leave a file: without a backup.

    A backup that equals the result is removed, and an empty file; a symlink to it stays.

    Raises:
        ChangedError: the file changed since it was read.
        CompanionError: the system refuses.
    """
    write(path, new, expected, backup=False)
    target = files.real(path)
    backup = target.with_name(target.name + _BACKUP)
    if read(backup) == new:
        files.remove(backup)
    elif not new and expected:
        files.remove(target)


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Report what the system refused as the user's problem that it is.

    Raises:
        ChangedError: what was there has been removed.
        CompanionError: the system refuses.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.exists():
            raise _changed(path) from None
        what = f"cannot write {path}: {error.strerror}"
        raise CompanionError(
            what, "change its owner or mode, or edit it yourself", code=Code.FILE_ACCESS
        ) from None


def _put(path: Path, target: Path, new: str, expected: str | None) -> None:
    """Make a file read `new` if it still reads `expected`."""
    if expected is not None and target.stat().st_nlink > 1:
        _overwrite(target, _encoded(new))
        return
    swap = _swap(target, expected, new)
    files.replace(swap, _encoded(new), files.PRIVATE if expected is None else _mode(target))
    try:
        if read(target) != expected:
            raise _changed(path)
        if expected is None:
            _place(swap, target)
        elif not _exchange(swap, target):
            swap.replace(target)
    except FileExistsError:
        raise _changed(path) from None
    finally:
        was_undone = _recover(target)
    if was_undone:
        raise _changed(path)


def _recover(target: Path) -> bool:
    """Clean up after exchanges, ours or one that was killed; tell whether one was undone.

    Raises:
        CompanionError: a version of another program's was in the way twice, and is kept aside.
    """
    undone = False
    for swap, old, new in _swaps(target):
        there = _digest(swap)
        if there not in {old, new} and _digest(target) == new:
            _exchange(swap, target)  # what came out is another program's, so it goes back
            undone, there = True, _digest(swap)
        if there not in {old, new} and target.exists():
            aside = target.with_name(f"{target.name}.other-version-{there}")
            swap.replace(aside)
            what = f"another program wrote {target} twice while we did, and we were stopped"
            raise CompanionError(what, f"compare it with its earlier version, {aside}")
        swap.unlink(missing_ok=True)
    return undone


def _swaps(target: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield the exchanges of a file that are not cleaned up; remove what was never complete."""
    if not target.parent.is_dir():
        return
    for path in list(target.parent.iterdir()):
        partly = _PARTLY.fullmatch(path.name)
        name = partly["of"] if partly else path.name
        swap = _SWAP.fullmatch(name)
        ours = swap["of"] if swap else name.removesuffix(_BACKUP)
        if ours == target.name and partly:
            path.unlink(missing_ok=True)
        elif ours == target.name and swap:
            yield path, swap["old"], swap["new"]


def _swap(target: Path, expected: str | None, new: str) -> Path:
    """Return the name of the file that holds a new version until it is exchanged."""
    old, now = (hashlib.sha256(_encoded(text or "")).hexdigest()[:16] for text in (expected, new))
    return target.with_name(f".{target.name}.{old}-{now}.companion")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else ""


def _place(new: Path, target: Path) -> None:
    """Give a file its name if there is no other file of that name.

    Raises:
        FileExistsError: there is one.
    """
    try:
        os.link(new, target)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        new.replace(target)  # a file system without links


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two files in one step; return False where the system cannot.

    Raises:
        OSError: one of them is missing, or the system refuses.
    """
    import ctypes  # noqa: PLC0415 - slow to load

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_OFFERED:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _overwrite(target: Path, data: bytes) -> None:
    """Write into a file that has other names, too, which a replacement would leave behind."""
    with target.open("r+b") as file:
        file.write(data)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _mode(target: Path) -> int:
    return stat.S_IMODE(target.stat().st_mode)


def _changed(path: Path) -> ChangedError:
    return ChangedError(f"{path} changed while we worked on it", "run the command again")


def _encoded(text: str) -> bytes:
    return text.encode(errors=_KEEP_BYTES)
