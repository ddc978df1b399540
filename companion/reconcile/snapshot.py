"""What ran well last, and how does it get back to where its containers look for it?

Kept beside the mounted directories after every success. Volumes are not part of it: what the agent
wrote stays written.
"""

from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from companion.engine.model import EngineChoice
from companion.spec.containers import Target
from companion.system import files
from companion.system.paths import AgentPaths

_NAME = "good.json"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What ran well, and on which engine."""

    engine: EngineChoice
    target: Target


_ADAPTER = TypeAdapter(Snapshot)


def keep(places: AgentPaths, engine: EngineChoice, target: Target) -> None:
    """Remember `target` on `engine`, and copies of its mounted files, as what to go back to."""
    for directory in places.mounted:
        files.copy_files(directory, places.good / directory.name)
    text = _ADAPTER.dump_json(Snapshot(engine, replace(target, images=())), indent=1)
    files.write(places.good / _NAME, text)


def restore(places: AgentPaths) -> Snapshot | None:
    """Put the mounted files back and return what they belong to.

    None: there is nothing, or a snapshot that this version cannot read. Then no file is touched.
    """
    try:
        snapshot = _ADAPTER.validate_json(files.read_text(places.good / _NAME) or "")
    except ValueError:
        return None
    for directory in places.mounted:
        files.copy_files(places.good / directory.name, directory)
    return snapshot


def forget(places: AgentPaths) -> None:
    """Nothing runs any more: there is nothing to go back to."""
    files.remove_tree(places.good)
