"""How does what we remember of a project get to disk and back?"""

import secrets
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from companion import files
from companion.errors import CompanionError
from companion.paths import Paths, ProjectPaths
from companion.state import Written

_ADAPTER = TypeAdapter(Written)


def read(place: ProjectPaths, directory: Path) -> Written:
    """Return what is remembered of the project in `directory`; a new memory if nothing is.

    Raises:
        CompanionError: the file is not ours or damaged.
    """
    text = files.read_text(place.state)
    if text is None:
        return Written(directory=str(directory), salt=secrets.token_hex(16))
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError:
        hint = "remove it: `companion up` then starts afresh, with new subnets and port"
        raise CompanionError(f"{place.state} is damaged", hint) from None


def write(place: ProjectPaths, written: Written) -> None:
    """Remember `written`."""
    files.write(place.state, _ADAPTER.dump_json(written, indent=2) + b"\n")


def all_projects(paths: Paths) -> dict[str, Written]:
    """Return every project that is remembered, by id; a damaged one is left out."""
    found: dict[str, Written] = {}
    for place in sorted(paths.projects.glob("*/project.json")):
        try:
            found[place.parent.name] = read(ProjectPaths(place.parent), place.parent)
        except CompanionError:
            continue
    return found
