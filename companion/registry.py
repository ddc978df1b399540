"""Which projects and agents does companion know? What it forgets leaves nothing of ours behind."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from companion import desktop, editing, files, reconcile, seats, state_file
from companion.apply import Progress
from companion.config import load
from companion.engine import Engine
from companion.errors import CompanionError
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
    for agent, record in written.agents.items():
        reconcile.down(home, project, agent, progress, volumes=volumes)
        _forget(home, project, agent, record)
    place.paused.unlink(missing_ok=True)
    shutil.rmtree(place.root)
    desktop.sync(home)
    editing.sync(home)


def sitting(home: Paths, project: Project) -> tuple[Seat, ...]:
    """Return the seats of a project, and one for each agent that runs and has lost its own.

    A fleet.yaml that cannot be read leaves every agent where it was.
    """
    place = home.project(project.id)
    started = sorted(path.parent.name for path in place.root.glob("*/agent.json"))
    try:
        found = seats.seats(project)
    except CompanionError:
        return tuple(Seat(project, agent) for agent in started) or (Seat(project),)
    names = {_name(seat) for seat in found}
    if None in names:
        return found
    lost = (name for name in started if name not in names)
    return (*found, *(Seat(project, n) for n in lost if _is_up(state_file.read(place.agent(n)))))


def is_lost(seat: Seat) -> bool:
    """Tell whether no agent is configured at a seat any more.

    Raises:
        CompanionError: fleet.yaml cannot be read.
    """
    return seat not in seats.seats(seat.project)


def is_wanted(home: Paths, seat: Seat) -> bool:
    """Tell whether the user wants the agent at a seat up.

    One that is new in a fleet, or back, is wanted if all others are: then the fleet is up as a
    whole.
    """
    place = home.project(seat.project.id)
    record = state_file.read(place.agent(agent_at(home, seat)))
    if seat.folder and (record is None or record.wanted == "gone"):
        all_records = state_file.of_project(home, seat.project).agents.values()
        others = [other for other in all_records if other.wanted != "gone"]
        return bool(others) and all(map(_is_up, others))
    return _is_up(record)


def let_go(home: Paths, seat: Seat, progress: Progress) -> None:
    """Take down an agent that is not configured any more; its volumes and its keys stay."""
    reconcile.down(home, seat.project, seat.folder, progress, wanted="gone")
    files.remove_tree(seat.build(seat.folder))


def _is_up(record: AgentRecord | None) -> bool:
    return record is not None and record.wanted == "up"


def _name(seat: Seat) -> str | None:
    """Return the name of the agent at a seat; None: it cannot be read."""
    if seat.folder:
        return seat.folder
    try:
        return load.agent(files.read_text(seat.config) or "")[0].name
    except CompanionError:
        return None


def agent_at(home: Paths, seat: Seat) -> str:
    """Return the name of the agent at a seat; while it cannot be read, that of who sat there."""
    return _name(seat) or next(iter(state_file.of_project(home, seat.project).agents), "")


def _forget(home: Paths, project: Project, agent: str, record: AgentRecord) -> None:
    if record.engine:
        engine = Engine(record.engine, project.id, agent)
        for tag in engine.agent_images():
            engine.discard_image(tag)
    for path in _client_keys(home, record):
        path.unlink(missing_ok=True)


def _client_keys(home: Paths, record: AgentRecord) -> Iterator[Path]:
    key = home.client_key(record.allocation.alias)
    yield from (key, key.with_name(f"{key.name}.pub"))
