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


def keep(agent_paths: AgentPaths, engine: EngineChoice, target: Target) -> None:
    """Remember `target` on `engine`, and copies of its mounted files, as what to go back to."""
    for directory in agent_paths.mounted:
        files.copy_files(directory, agent_paths.good / directory.name)
    _SNAPSHOTS.write(agent_paths.good / _NAME, Snapshot(engine, replace(target, images=())))


def read(agent_paths: AgentPaths) -> Snapshot | None:
    """Return what ran well last, or None if there is nothing to go back to.

    Raises:
        CompanionError: it is damaged, or of another version of Companion.
    """
    return _SNAPSHOTS.read(agent_paths.good / _NAME)


def restore_files(agent_paths: AgentPaths) -> None:
    """Put the mounted files of what ran well last back; read() comes first."""
    for directory in agent_paths.mounted:
        files.copy_files(agent_paths.good / directory.name, directory)


def forget(agent_paths: AgentPaths) -> None:
    """Nothing runs any more: there is nothing to go back to."""
    files.remove_tree(agent_paths.good)
