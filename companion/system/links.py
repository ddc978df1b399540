"""Links: the symbolic links on a path, and a guard for what we write beside files of others."""

from collections.abc import Iterator
from pathlib import Path

from companion.errors import Code, CompanionError
from companion.system import files

_MOST_LINKS = 40  # as Linux


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
