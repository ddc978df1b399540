"""Snapshot: the last working version of a sandbox, for rollbacks.

It is stored beside the mounted directories after every success. It does not include volumes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from companion.engine.model import Choice, Container, Observed
from companion.project.record import ConfigSummary
from companion.spec.containers import Target
from companion.spec.identity import digest
from companion.system import trees
from companion.system.json_store import Fields, Store
from companion.system.project_paths import AgentPaths

_NAME = "good.json"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A version that worked, and its engine."""

    engine: Choice
    target: Target
    config: ConfigSummary | None = None
    """What the config said; None: written before 0.2."""
    parts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Service → field of its definition → digest, as the version that started it has them."""
    started_by: str = ""
    """The version of Companion that applied it."""

    def recognised(self, observed: Observed) -> Observed:
        """Return what an engine holds, with this version's `spec` for what was started as `target`.

        A version with other fields of a service makes another `spec` of the same definition.
        """
        specs = {service.name: service.spec for service in self.target.services}

        def named(container: Container) -> Container:
            parts = self.parts.get(container.service)
            if parts is None or container.spec != digest(dict(parts)):
                return container
            return replace(container, spec=specs.get(container.service, container.spec))

        return replace(observed, containers=tuple(map(named, observed.containers)))


def _upgraded(fields: Fields) -> Fields:
    """Return the fields of a snapshot of 0.1, where a mount's source was a text."""
    services = [
        service | {"binds": [_upgraded_bind(bind) for bind in service["binds"]]}
        for service in fields["target"]["services"]
    ]
    return {**fields, "target": fields["target"] | {"services": services}}


def _upgraded_bind(bind: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in bind.items() if name != "volume"}
    kind = "name" if bind.get("volume") else "path"
    return rest | {"source": {kind: bind["source"]}}


_SNAPSHOTS = Store(Snapshot, "the next successful `companion up` replaces it", upgrade=_upgraded)


def keep(agent_paths: AgentPaths, snapshot: Snapshot) -> None:
    """Store the last working version, without its images, and copies of its mounted files."""
    for directory in agent_paths.mounted:
        trees.copy(directory, agent_paths.good / directory.name)
    target = replace(snapshot.target, images=())
    _SNAPSHOTS.write(agent_paths.good / _NAME, replace(snapshot, target=target))


def set_started(
    agent_paths: AgentPaths, parts: Mapping[str, Mapping[str, str]], version: str
) -> None:
    """Store as what the services of the last working version run, and who started them."""
    if (last := read(agent_paths)) and (last.parts, last.started_by) != (parts, version):
        new = replace(last, parts=parts, started_by=version)
        _SNAPSHOTS.write(agent_paths.good / _NAME, new)


def read(agent_paths: AgentPaths) -> Snapshot | None:
    """Return the last working version, or None if there is none.

    Raises:
        CompanionError: the snapshot is damaged, or was written by a newer Companion.
    """
    return _SNAPSHOTS.read(agent_paths.good / _NAME)


def restore_files(agent_paths: AgentPaths) -> None:
    """Restore the mounted files of the last working version; call read() first."""
    for directory in agent_paths.mounted:
        trees.copy(agent_paths.good / directory.name, directory)


def forget(agent_paths: AgentPaths) -> None:
    """Remove the snapshot, after the sandbox was taken down."""
    trees.remove(agent_paths.good)
