"""Inventory: the agents of a project, from its files and from our records."""

from companion.config import decode
from companion.errors import Code, CompanionError
from companion.project import discovery, store
from companion.project.model import AgentRef, Project
from companion.project.record import AgentRecord
from companion.system import files
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths


def agents_of(home: Paths, project: Project) -> tuple[AgentRef, ...]:
    """Return the agents that a project configures, and those that run but are no longer listed.

    While fleet.yaml cannot be read, every recorded agent keeps its directory.
    """
    project_paths = home.project(project.id)
    started = sorted(path.parent.name for path in project_paths.root.glob("*/agent.json"))
    try:
        found = discovery.agent_refs(project)
    except CompanionError:
        return tuple(AgentRef(project, agent) for agent in started) or (AgentRef(project),)
    names = {configured_name(ref) for ref in found}
    if None in names:
        return found
    unlisted = (name for name in started if name not in names)
    return (
        *found,
        *(AgentRef(project, name) for name in unlisted if _may_be_up(project_paths.agent(name))),
    )


def is_unlisted(ref: AgentRef) -> bool:
    """Tell whether an agent is no longer configured in its project.

    Raises:
        CompanionError: fleet.yaml cannot be read.
    """
    return ref not in discovery.agent_refs(ref.project)


def is_wanted(home: Paths, ref: AgentRef) -> bool:
    """Tell whether the user wants an agent up.

    An agent that is new in a fleet, or listed again, is wanted if all others are: the user then
    wants the entire fleet up.
    """
    project_paths = home.project(ref.project.id)
    record = store.read(project_paths.agent(agent_name(home, ref)))
    if ref.folder and (record is None or record.wanted == "gone"):
        all_records = store.of_project(home, ref.project).agents.values()
        others = [other for other in all_records if other.wanted != "gone"]
        return bool(others) and all(map(_is_up, others))
    return _is_up(record)


def find_agent(home: Paths, project: Project, agent: str) -> AgentRef:
    """Return the configured agent with a name.

    Raises:
        CompanionError: the project has no such agent.
    """
    found = {agent_name(home, ref): ref for ref in discovery.agent_refs(project)}
    if agent not in found:
        what = f"there is no agent '{agent}' in {project.directory}"
        raise CompanionError(what, decode.suggest(agent, found), code=Code.AGENT_UNKNOWN)
    return found[agent]


def agent_name(home: Paths, ref: AgentRef) -> str:
    """Return an agent's name; while its config cannot be read, the name in our records."""
    return configured_name(ref) or next(iter(store.of_project(home, ref.project).names), "")


def configured_name(ref: AgentRef) -> str | None:
    """Return an agent's configured name; None if its config cannot be read."""
    if ref.folder:
        return ref.folder
    try:
        return decode.agent(files.read_text(ref.config) or "")[0].name
    except CompanionError:
        return None


def _is_up(record: AgentRecord | None) -> bool:
    return record is not None and record.wanted == "up"


def _may_be_up(agent_paths: AgentPaths) -> bool:
    """Tell whether an agent is wanted up; True if its record cannot be read."""
    try:
        return _is_up(store.read(agent_paths))
    except CompanionError:
        return True
