"""Which projects does companion know? It forgets one without leaving anything of ours behind."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from companion import desktop, editing, files, observe, reconcile, state_file
from companion.apply import Progress
from companion.engine import Engine
from companion.errors import CompanionError
from companion.observe import Project
from companion.paths import Paths


def add(home: Paths, directory: Path) -> bool:
    """Know a project from now on, without starting it; False: it was known.

    Raises:
        CompanionError: there is no agent.yaml.
    """
    project = observe.project(directory)
    observe.config_text(project)
    place = home.project(project.id)
    if place.state.exists():
        return False
    with files.lock(place.lock):
        state_file.write(place, state_file.read(place, project.directory))
    return True


def remove(home: Paths, directory: Path, progress: Progress, *, volumes: bool = False) -> None:
    """Take a project's sandboxes down and forget it; its directory stays, its volumes by default.

    Raises:
        CompanionError: it is not known, or the engine does not answer.
    """
    name = str(directory.expanduser().resolve())
    known = {w.directory: (i, w) for i, w in state_file.all_projects(home).items()}
    if name not in known:
        raise CompanionError(f"{name} is not known", f"known: {', '.join(known) or 'none'}")
    project_id, written = known[name]
    place = home.project(project_id)
    if written.engine:
        reconcile.down(home, Project(Path(name), project_id), progress, volumes=volumes)
        _remove_images(Engine(written.engine, project_id), written.agents)
    for record in written.agents.values():
        key = home.client_key(record.allocation.alias)
        for path in (key, key.with_name(f"{key.name}.pub")):
            path.unlink(missing_ok=True)
    place.paused.unlink(missing_ok=True)
    shutil.rmtree(place.root)
    desktop.sync(home)
    editing.sync(home)


def _remove_images(engine: Engine, agents: Iterable[str]) -> None:
    for agent in agents:
        for tag in engine.agent_images(agent):
            engine.discard_image(tag)
