"""Who sits in a project, by its files and by what is remembered of them?"""

from companion import files, seats, state_file
from companion.config import load
from companion.errors import CompanionError
from companion.paths import AgentPaths, Paths
from companion.seats import Project, Seat
from companion.state import AgentRecord


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
    return (*found, *(Seat(project, name) for name in lost if _may_be_up(place.agent(name))))


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


def seat_of(home: Paths, project: Project, agent: str) -> Seat:
    """Return the seat of an agent.

    Raises:
        CompanionError: the project has no such agent.
    """
    found = {agent_at(home, seat): seat for seat in seats.seats(project)}
    if agent not in found:
        what = f"there is no agent '{agent}' in {project.directory}"
        raise CompanionError(what, load.suggest(agent, found))
    return found[agent]


def agent_at(home: Paths, seat: Seat) -> str:
    """Return the name of the agent at a seat; while it cannot be read, that of who sat there."""
    return _name(seat) or next(iter(state_file.of_project(home, seat.project).agents), "")


def _is_up(record: AgentRecord | None) -> bool:
    return record is not None and record.wanted == "up"


def _may_be_up(place: AgentPaths) -> bool:
    """Tell whether an agent is wanted up; what cannot be read is for who looks closer to say."""
    try:
        return _is_up(state_file.read(place))
    except CompanionError:
        return True


def _name(seat: Seat) -> str | None:
    """Return the name of the agent at a seat; None: it cannot be read."""
    if seat.folder:
        return seat.folder
    try:
        return load.agent(files.read_text(seat.config) or "")[0].name
    except CompanionError:
        return None
