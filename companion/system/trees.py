"""Trees: directories of ours that are replaced, compared and copied as a whole."""

import os
import shutil
from pathlib import Path

from companion.errors import CompanionError
from companion.system import files

_READABLE_DIR = 0o755


def replace(path: Path, content: dict[str, tuple[bytes, int]]) -> None:
    """Make `path` hold exactly `content` (relative name → content and mode), as one step.

    The old tree is there until the new one is complete.

    Raises:
        CompanionError: the system refuses; the old tree is there.
    """
    with files.writing(path):
        _replace(path, content)


def _replace(path: Path, content: dict[str, tuple[bytes, int]]) -> None:
    staging = path.with_name(f"{path.name}.{os.urandom(4).hex()}.new")
    retired = path.with_name(f"{path.name}.{os.urandom(4).hex()}.old")
    try:
        for name, (data, mode) in content.items():
            target = staging / name
            _make_readable_dir(target.parent)
            target.write_bytes(data)
            target.chmod(mode)
        if path.is_symlink():
            raise CompanionError(f"{path} is a symbolic link", "remove it: it is ours to write")
        if path.exists():
            path.rename(retired)
        staging.rename(path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(retired, ignore_errors=True)


def equals(path: Path, content: dict[str, tuple[bytes, int]]) -> bool:
    """Tell whether `path` holds exactly `content`, as replace() would make it."""
    there = (p for p in path.rglob("*") if p.is_symlink() or not p.is_dir())
    names = {p.relative_to(path).as_posix() for p in there}
    return names == content.keys() and all(
        files.is_current(path / name, data, mode) for name, (data, mode) in content.items()
    )


def copy(source: Path, target: Path) -> None:
    """Make directory `target` hold exactly the files of `source`, with their modes and owners.

    The directory itself stays the one it is: a container may have it mounted.
    """
    names = {path.name for path in source.iterdir()} if source.is_dir() else set()
    if not names and not target.is_dir():
        return
    files.make_private_dir(target)
    for name in names:
        status = (source / name).stat()
        files.write(
            target / name, files.read_bytes(source / name), status.st_mode & 0o7777, status.st_uid
        )
    for path in target.iterdir():
        if path.name not in names:
            files.remove(path)
    if names:
        files.give_to(target, source.stat().st_uid)


def remove(path: Path) -> None:
    """Remove a directory of ours and everything in it."""
    shutil.rmtree(path, ignore_errors=True)


def _make_readable_dir(path: Path) -> None:
    """Make `path` and what is missing above it readable by all, as images want it."""
    for place in (*reversed(path.parents), path):
        if not place.is_dir():
            place.mkdir(exist_ok=True)
            place.chmod(_READABLE_DIR)
