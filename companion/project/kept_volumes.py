"""Kept volumes: those of removed projects, until `uninstall --purge` removes them, too."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from companion.engine.model import Choice
from companion.project.record import Written
from companion.system import files
from companion.system.json_store import Store
from companion.system.paths import Paths


@dataclass(frozen=True, slots=True)
class KeptVolumes:
    """The volumes of one project that is no longer registered."""

    directory: str
    agents: tuple[str, ...]
    engines: tuple[Choice, ...]


_FILES = Store(KeptVolumes, "remove it; the volumes that it names remain")


def keep(home: Paths, project_id: str, written: Written) -> None:
    """Remember the volumes of a project that is being removed."""
    engines = {engine for record in written.agents.values() for engine in record.engines}
    before = _FILES.look(_path(home, project_id))
    agents = set(written.names)
    if isinstance(before, KeptVolumes):
        engines, agents = engines | {*before.engines}, agents | {*before.agents}
    if engines:
        ordered = tuple(sorted(engines, key=lambda engine: (engine.name, engine.environment)))
        kept = KeptVolumes(written.directory, tuple(sorted(agents)), ordered)
        _FILES.write(_path(home, project_id), kept)


def forget(home: Paths, project_id: str, agents: Collection[str]) -> None:
    """Forget the volumes of a project's agents, because they are gone."""
    path = _path(home, project_id)
    before = _FILES.look(path)
    left = set(before.agents).difference(agents) if isinstance(before, KeptVolumes) else set()
    if isinstance(before, KeptVolumes) and left:
        _FILES.write(path, replace(before, agents=tuple(sorted(left))))
    else:
        files.remove(path)


def all_of_user(home: Paths) -> Iterator[tuple[str, KeptVolumes]]:
    """Yield the ID and the volumes of each project that was removed."""
    for path in sorted(home.kept_volumes.glob("*.json")):
        kept = _FILES.look(path)
        if isinstance(kept, KeptVolumes):
            yield path.stem, kept


def _path(home: Paths, project_id: str) -> Path:
    return home.kept_volumes / f"{project_id}.json"
