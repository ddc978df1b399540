"""Snapshot: the last working version of a sandbox, for rollbacks.

It is stored beside the mounted directories after every success. It does not include volumes.
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
    """A version that worked, and its engine."""

    engine: EngineChoice
    target: Target


_SNAPSHOTS = Store(Snapshot, "the next successful `companion up` replaces it")


def keep(agent_paths: AgentPaths, engine: EngineChoice, target: Target) -> None:
    """Store `target`, its engine and copies of its mounted files as the last working version."""
    for directory in agent_paths.mounted:
        files.copy_files(directory, agent_paths.good / directory.name)
    _SNAPSHOTS.write(agent_paths.good / _NAME, Snapshot(engine, replace(target, images=())))


def read(agent_paths: AgentPaths) -> Snapshot | None:
    """Return the last working version, or None if there is none.

    Raises:
        CompanionError: the snapshot is damaged, or was written by a newer Companion.
    """
    return _SNAPSHOTS.read(agent_paths.good / _NAME)


def restore_files(agent_paths: AgentPaths) -> None:
    """Restore the mounted files of the last working version; call read() first."""
    for directory in agent_paths.mounted:
        files.copy_files(agent_paths.good / directory.name, directory)


def forget(agent_paths: AgentPaths) -> None:
    """Remove the snapshot, after the sandbox was taken down."""
    files.remove_tree(agent_paths.good)
