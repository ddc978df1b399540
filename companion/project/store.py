"""The record store: one file on disk for each project and one for each agent."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from companion.errors import Code, CompanionError, Problem
from companion.project.model import Project
from companion.project.record import AgentRecord, Written, upgraded
from companion.system.json_store import Broken, Store
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths, ProjectPaths


@dataclass(frozen=True, slots=True)
class Registration:
    """The content of project.json, whose existence registers a project."""

    directory: str
    """The project's absolute path."""


PROJECTS = Store(Registration, "remove it, and register the project again with `companion add`")
AGENTS = Store(
    AgentRecord,
    "remove it: `companion up` then starts afresh, with new subnets and port",
    upgrade=upgraded,
)


def register(project_paths: ProjectPaths, directory: Path) -> bool:
    """Register the project in `directory`; return False if it already was."""
    if project_paths.state.exists():
        return False
    PROJECTS.write(project_paths.state, Registration(str(directory)))
    return True


def of_project(home: Paths, project: Project) -> Written:
    """Return the records of a project, whether or not it is registered."""
    agents: dict[str, AgentRecord] = {}
    broken: dict[str, Problem] = {}
    for path in sorted(home.project(project.id).root.glob("*/agent.json")):
        match AGENTS.look(path):
            case Broken(_, problem):
                broken[path.parent.name] = problem
            case AgentRecord() as record:
                agents[path.parent.name] = record
            case None:  # it vanished since it was listed
                pass
    return Written(str(project.directory), agents, broken)


def read(agent_paths: AgentPaths) -> AgentRecord | None:
    """Return an agent's record, or None if there is none.

    Raises:
        CompanionError: the file is damaged or not ours.
    """
    return AGENTS.read(agent_paths.record)


def write(agent_paths: AgentPaths, record: AgentRecord) -> None:
    """Store an agent's record."""
    AGENTS.write(agent_paths.record, record)


def unknown_agent(name: str, project: Project, known: Iterable[str]) -> CompanionError:
    """Return the error for an agent that has not been started in a project."""
    names = ", ".join(known)
    hint = f"started here: {names}" if names else "start it with `companion up`"
    what = f"there is no agent '{name}' in {project.directory}"
    return CompanionError(what, hint, code=Code.AGENT_UNKNOWN)


def is_registered(directory: Path) -> bool:
    """Tell whether our directory for a project holds the file that registers it."""
    return ProjectPaths(directory).state.exists()


def unregistered(home: Paths) -> tuple[Path, ...]:
    """Return our directories for projects whose first `up` is under way or failed early."""
    with suppress(OSError):
        directories = [path for path in home.projects.iterdir() if path.is_dir()]
        return tuple(path for path in directories if not is_registered(path))
    return ()


def directories(home: Paths) -> dict[str, Path]:
    """Return the directory of every registered project with a readable file, by id."""
    found: dict[str, Path] = {}
    for path in sorted(home.projects.glob("*/project.json")):
        known = PROJECTS.look(path)
        if known and not isinstance(known, Broken):
            found[path.parent.name] = Path(known.directory)
    return found


def all_projects(home: Paths) -> dict[str, Written]:
    """Return the records of every registered project, by id."""
    found: dict[str, Written] = {}
    readable = directories(home)
    for path in sorted(home.projects.glob("*/project.json")):
        project_id = path.parent.name
        directory = readable.get(project_id, path.parent)
        written = of_project(home, Project(directory, project_id))
        if project_id not in readable:
            hint = f"run `companion remove {path.parent}`, and `companion up` in its directory"
            problem = Problem(f"{path} is damaged", hint, code=Code.DAMAGED)
            written = replace(written, problem=problem)
        found[project_id] = written
    return found


def writable(home: Paths) -> tuple[str, ...]:
    """Return the directories that agents of any known project may write to, if known to be so.

    For every program that is started: without validation, and without what cannot be read.
    """
    found: list[str] = []
    for path in home.projects.glob("*/*/agent.json"):
        with suppress(OSError, ValueError, TypeError, LookupError, RecursionError):
            fields = upgraded(json.loads(path.read_bytes()))
            found += map(str, fields["config"]["writes"])
    return tuple(found)


def all_records(home: Paths) -> Iterator[tuple[tuple[str, str], AgentRecord]]:
    """Yield every readable record with its project's ID and its agent's name.

    Unlike all_projects(), includes projects whose first `up` is under way.
    """
    for path in sorted(home.projects.glob("*/*/agent.json")):
        with suppress(CompanionError):
            if record := read(AgentPaths(path.parent)):
                yield (path.parents[1].name, path.parent.name), record
