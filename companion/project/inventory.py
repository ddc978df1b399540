"""Who sits in a project, by its files and by what is remembered of them?"""

from companion.config import decode
from companion.errors import Code, CompanionError
from companion.project import discovery, store
from companion.project.model import AgentRef, Project
from companion.project.record import AgentRecord
from companion.system import files
from companion.system.paths import AgentPaths, Paths


def agents_of(home: Paths, project: Project) -> tuple[AgentRef, ...]:
    """Return the seats of a project, and one for each agent that runs and has lost its own.

    A fleet.yaml that cannot be read leaves every agent where it was.
    """
    project_paths = home.project(project.id)
    started = sorted(path.parent.name for path in project_paths.root.glob("*/agent.json"))
    try:
        found = discovery.agent_refs(project)
    except CompanionError:
        return tuple(AgentRef(project, agent) for agent in started) or (AgentRef(project),)
    names = {_name(ref) for ref in found}
    if None in names:
        return found
    lost = (name for name in started if name not in names)
    return (
        *found,
        *(AgentRef(project, name) for name in lost if _may_be_up(project_paths.agent(name))),
    )


def is_unlisted(ref: AgentRef) -> bool:
    """Tell whether no agent is configured at a seat any more.

    Raises:
        CompanionError: fleet.yaml cannot be read.
    """
    return ref not in discovery.agent_refs(ref.project)


def is_wanted(home: Paths, ref: AgentRef) -> bool:
    """Tell whether the user wants the agent at a seat up.

    One that is new in a fleet, or back, is wanted if all others are: then the fleet is up as a
    whole.
    """
    project_paths = home.project(ref.project.id)
    record = store.read(project_paths.agent(agent_name(home, ref)))
    if ref.folder and (record is None or record.wanted == "gone"):
        all_records = store.of_project(home, ref.project).agents.values()
        others = [other for other in all_records if other.wanted != "gone"]
        return bool(others) and all(map(_is_up, others))
    return _is_up(record)


def find_agent(home: Paths, project: Project, agent: str) -> AgentRef:
    """Return the seat of an agent.

    Raises:
        CompanionError: the project has no such agent.
    """
    found = {agent_name(home, ref): ref for ref in discovery.agent_refs(project)}
    if agent not in found:
        what = f"there is no agent '{agent}' in {project.directory}"
        raise CompanionError(what, decode.suggest(agent, found), code=Code.AGENT_UNKNOWN)
    return found[agent]


def agent_name(home: Paths, ref: AgentRef) -> str:
    """Return the name of the agent at a seat; while it cannot be read, that of who sat there."""
    return _name(ref) or next(iter(store.of_project(home, ref.project).names), "")


def _is_up(record: AgentRecord | None) -> bool:
    return record is not None and record.wanted == "up"


def _may_be_up(agent_paths: AgentPaths) -> bool:
    """Tell whether an agent is wanted up; what cannot be read is for who looks closer to say."""
    try:
        return _is_up(store.read(agent_paths))
    except CompanionError:
        return True


def _name(ref: AgentRef) -> str | None:
    """Return the name of the agent at a seat; None: it cannot be read."""
    if ref.folder:
        return ref.folder
    try:
        return decode.agent(files.read_text(ref.config) or "")[0].name
    except CompanionError:
        return None
