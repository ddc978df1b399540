"""Dev containers: looks up the devcontainer.json of a repository, and runs nothing of it."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from companion.config import devcontainer
from companion.config.devcontainer import DevContainer, Note, UnreadableError
from companion.errors import CompanionError, Position
from companion.system import files, links

_FOLDER, _NAME = ".devcontainer", "devcontainer.json"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")
_MOST_FOLDERS = 100


def find(top: Path, workdir: str) -> DevContainer | None:
    """Return what a sandbox takes over from a repository's devcontainer.json; None: it has none.

    A file that cannot be used is a value left out, with the reason: a sandbox does without it.

    Args:
        top: the repository.
        workdir: where it is in the sandbox.
    """
    found = tuple(_files(top))
    if not found:
        return None
    name = found[0]
    if len(found) > 1:
        return _unused(name, f"one of {len(found)} such files, so none is read")
    if any(links.on_path(top / name)):
        return _unused(name, "a symbolic link, which Companion does not follow here")
    try:
        text = files.read_text(top / name)
        return devcontainer.read(name, text, workdir) if text is not None else None
    except UnreadableError as error:
        return _unused(name, error.what, error.place)
    except CompanionError as error:
        return _unused(name, error.problems[0].what)


def _files(top: Path) -> Iterator[str]:
    """Yield the files of a repository: the usual one, or else one for each folder."""
    for name in devcontainer.FILES:
        if files.inode(top / name):
            yield name
            return
    try:
        with os.scandir(top / _FOLDER) as entries:
            names = sorted(e.name for e, _ in zip(entries, range(_MOST_FOLDERS), strict=False))
    except OSError:
        return
    for name in names:
        if _PLAIN.fullmatch(name) and files.inode(top / _FOLDER / name / _NAME):
            yield f"{_FOLDER}/{name}/{_NAME}"


def _unused(name: str, why: str, place: Position | None = None) -> DevContainer:
    return replace(DevContainer(name), left=(Note(place or Position(name, 1, 1), "the file", why),))
