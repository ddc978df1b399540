"""What ran well last, and how does it get back to where its containers look for it?

Kept beside the mounted directories after every success. Volumes are not part of it: what the agent
wrote stays written.
"""

from dataclasses import replace

from pydantic import TypeAdapter

from companion import files
from companion.paths import AgentPaths
from companion.services import Target

_ADAPTER = TypeAdapter(Target)


def keep(places: AgentPaths, target: Target) -> None:
    """Remember `target` and copies of its mounted files as what to go back to."""
    for directory in places.mounted:
        files.copy_files(directory, places.good / directory.name)
    text = _ADAPTER.dump_json(replace(target, images=()), indent=1)
    files.write(places.good / "target.json", text)


def restore(places: AgentPaths) -> Target | None:
    """Put the mounted files back and return the target they belong to, or None if there is none."""
    text = files.read_text(places.good / "target.json")
    if text is None:
        return None
    for directory in places.mounted:
        files.copy_files(places.good / directory.name, directory)
    return _ADAPTER.validate_json(text)


def forget(places: AgentPaths) -> None:
    """Nothing runs any more: there is nothing to go back to."""
    files.remove_tree(places.good)
