"""User files: changes of files that belong to the user, who may change them at the same time."""

from pathlib import Path

from companion.errors import Code, CompanionError
from companion.system import files

_BACKUP = ".before-companion"
_KEEP_BYTES = "surrogateescape"


def read(path: Path) -> str | None:
    """Return the text of a file, or None if there is none.

    Bytes that are not UTF-8 become lone surrogates, which write() turns into those bytes again.

    Raises:
        CompanionError: it exists but cannot be read.
    """
    return files.read_text(path, _KEEP_BYTES)


def write(path: Path, new: str, expected: str | None) -> None:
    """Replace a file, only if it still reads `expected`.

    Symlinks are followed, the mode is kept, one backup is made at the first touch.

    Raises:
        CompanionError: the file changed since it was read, or the system refuses.
    """
    _write(path, new, expected, backup=True)


def restore(path: Path, new: str, expected: str) -> None:
    """Do as write() does when our entries leave a file: without a backup.

    A backup that equals the result is removed, and an empty file of ours.

    Raises:
        CompanionError: the file changed since it was read, or the system refuses.
    """
    if new != expected:
        _write(path, new, expected, backup=False)
    target = files.real(path)
    backup = target.with_name(target.name + _BACKUP)
    if read(backup) == new:
        files.remove(backup)
    elif not new and expected:
        files.remove(target)


def _write(path: Path, new: str, expected: str | None, *, backup: bool) -> None:
    target = files.real(path)
    try:
        _replace(path, target, new, expected, backup=backup)
    except OSError as error:
        what = f"cannot write {target}: {error.strerror}"
        raise CompanionError(
            what, "change its owner or mode, or edit it yourself", code=Code.FILE_ACCESS
        ) from None


def _replace(path: Path, target: Path, new: str, expected: str | None, *, backup: bool) -> None:
    if read(target) != expected:
        raise CompanionError(f"{path} changed while we worked on it", "run the command again")
    mode = target.stat().st_mode & 0o7777 if expected is not None else files.PRIVATE
    kept = target.with_name(target.name + _BACKUP)
    if backup and expected is not None and not kept.exists():
        files.replace(kept, _encoded(expected), mode)
    if new != expected:
        files.make_private_dir(target.parent)
        files.replace(target, _encoded(new), mode)


def _encoded(text: str) -> bytes:
    return text.encode(errors=_KEEP_BYTES)
