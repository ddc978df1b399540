"""Links: the symbolic links on a path, and a guard for what we write beside files of others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from companion.errors import Code, CompanionError
from companion.system import files, open_flags

_MOST_LINKS = 40  # as Linux
_HAS_HANDLES = os.open in os.supports_dir_fd


def on_path(path: Path) -> Iterator[Path]:
    """Yield each symbolic link that an absolute path leads through, itself without links above."""
    current, remaining = Path(path.anchor), list(reversed(path.parts[1:]))
    followed = 0
    while remaining and followed < _MOST_LINKS:
        candidate = current / remaining.pop()
        try:
            target = candidate.readlink()
        except OSError:  # not a link, or missing
            current = candidate.parent.parent if candidate.name == ".." else candidate
            continue
        yield candidate
        followed += 1
        current = Path(target.anchor) if target.is_absolute() else current
        remaining += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def unlinked(root: Path, path: Path) -> Path:
    """Return `path`, which lies below `root`, if no symbolic link leads there.

    A repository can hold links. Whatever we write or remove in a project is asked for here, so that
    it stays in the project. `root` itself may be or lie behind a link: the user named it.

    Raises:
        CompanionError: a part of the path below `root` is a link.
    """
    for place in (*reversed(path.parents), path):
        if place != root and place.is_relative_to(root) and files.is_link(place):
            what = f"{place} is a symbolic link, through which Companion does not write"
            raise CompanionError(
                what, "remove it, or replace it with what it links to", code=Code.FILE_ACCESS
            )
    return path


@contextmanager
def held(directory: Path) -> Iterator[int]:
    """Open a directory part by part, so that no link leads there that comes up meanwhile.

    Raises:
        OSError: a part of the path is missing, or is a link.
    """
    handle = os.open(directory.anchor, os.O_RDONLY | open_flags.DIRECTORY)
    try:
        for part in directory.parts[1:]:
            inner = os.open(part, os.O_RDONLY | open_flags.DIRECTORY, dir_fd=handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def make_directory(directory: Path) -> None:
    """Make a directory, and the one above it if that is missing; no link may lead there.

    Raises:
        CompanionError: a part of the path is a link, or something is in the way.
    """
    unlinked(Path(directory.anchor), directory)
    try:
        if not _HAS_HANDLES:
            directory.parent.mkdir(exist_ok=True)
            directory.mkdir()
            return
        with held(directory.parent.parent) as top, suppress(FileExistsError):
            os.mkdir(directory.parent.name, dir_fd=top)
        with held(directory.parent) as parent:
            os.mkdir(directory.name, dir_fd=parent)
    except OSError as error:
        what = f"cannot make {directory}: {error.strerror}"
        raise CompanionError(what, "check what is there", code=Code.FILE_ACCESS) from None


def remove_tree(directory: Path) -> None:
    """Remove a directory with all that is in it, as far as the system lets us.

    Raises:
        CompanionError: a part of the path is a link; nothing was removed.
    """
    import shutil  # noqa: PLC0415 - start-up time is a budget

    unlinked(Path(directory.anchor), directory)
    if not _HAS_HANDLES:
        shutil.rmtree(directory, ignore_errors=True)
        return
    with suppress(OSError), held(directory.parent) as parent:
        shutil.rmtree(directory.name, ignore_errors=True, dir_fd=parent)
