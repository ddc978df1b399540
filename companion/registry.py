"""What does it mean to know a project, and to forget it or an agent of it?"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from companion import desktop, editing, files, moving, seats, state_file, stopping
from companion.apply import Progress
from companion.errors import CompanionError
from companion.oauth import store
from companion.paths import Paths
from companion.seats import Project, Seat
from companion.state import AgentRecord


def add(home: Paths, directory: Path) -> bool:
    """Know a project from now on, without starting it; False: it was known.

    Raises:
        CompanionError: there is no agent.yaml.
    """
    project = seats.project(directory)
    for seat in seats.seats(project):
        seats.config_text(seat)
    return state_file.know(home.project(project.id), project.directory)


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
    project, place = Project(Path(name), project_id), home.project(project_id)
    for agent in written.agents:
        stopping.down(home, project, agent, progress, volumes=volumes)
        _forget(home, project, agent)
    place.paused.unlink(missing_ok=True)
    store.forget(home, project_id)
    shutil.rmtree(place.root)
    desktop.sync(home)
    editing.sync(home)


def let_go(home: Paths, seat: Seat, progress: Progress) -> None:
    """Take down an agent that is not configured any more; its volumes and its keys stay."""
    stopping.down(home, seat.project, seat.folder, progress, wanted="gone")
    files.remove_tree(seat.build(seat.folder))


def _forget(home: Paths, project: Project, agent: str) -> None:
    record = state_file.read(home.project(project.id).agent(agent))
    if record is None:
        return
    for engine in moving.holders(record, project.id, agent, lambda _: None):  # down() said it
        for tag in engine.agent_images():
            engine.discard_image(tag)
    for path in _client_keys(home, record):
        path.unlink(missing_ok=True)


def _client_keys(home: Paths, record: AgentRecord) -> Iterator[Path]:
    key = home.client_key(record.allocation.alias)
    yield from (key, key.with_name(f"{key.name}.pub"))
