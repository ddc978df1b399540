"""What ran well last, and how does it get back to where its containers look for it?

Kept beside the mounted directories after every success. Volumes are not part of it: what the agent
wrote stays written.
"""

from dataclasses import dataclass, replace

from companion.engine.model import EngineChoice
from companion.spec.containers import Target
from companion.system import files
from companion.system.json_store import Store
from companion.system.paths import AgentPaths

_NAME = "good.json"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What ran well, and on which engine."""

    engine: EngineChoice
    target: Target


_SNAPSHOTS = Store(Snapshot, "the next `companion up` that works writes it anew")


def keep(places: AgentPaths, engine: EngineChoice, target: Target) -> None:
    """Remember `target` on `engine`, and copies of its mounted files, as what to go back to."""
    for directory in places.mounted:
        files.copy_files(directory, places.good / directory.name)
    _SNAPSHOTS.write(places.good / _NAME, Snapshot(engine, replace(target, images=())))


def read(places: AgentPaths) -> Snapshot | None:
    """Return what ran well last, or None if there is nothing to go back to.

    Raises:
        CompanionError: it is damaged, or of another version of Companion.
    """
    return _SNAPSHOTS.read(places.good / _NAME)


def restore_files(places: AgentPaths) -> None:
    """Put the mounted files of what ran well last back; read() comes first."""
    for directory in places.mounted:
        files.copy_files(places.good / directory.name, directory)


def forget(places: AgentPaths) -> None:
    """Nothing runs any more: there is nothing to go back to."""
    files.remove_tree(places.good)
