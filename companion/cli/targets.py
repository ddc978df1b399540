"""Targets: the project and the agent that a command line means."""

from argparse import Namespace
from collections.abc import Collection
from pathlib import Path
from shlex import quote
from typing import NoReturn

from companion.errors import Code, CompanionError, UsageError
from companion.project import discovery, lookup, store
from companion.project.model import Project
from companion.project.record import AgentRecord
from companion.system.paths import Paths


def project_of(arguments: Namespace) -> tuple[Paths, Project]:
    """Return the user's places, and the project of -C or of the current directory.

    Raises:
        CompanionError: there is no such directory, or it could be one of several projects.
    """
    home, found = projects_of(arguments)
    if len(found) > 1:
        names = ", ".join(sorted(one.directory.name for one in found))
        what = f"several sandboxes work in {arguments.directory_option.absolute()}: {names}"
        hint = f"name the agent, or its project: -C {quote(str(found[0].directory))}"
        raise CompanionError(what, hint, code=Code.AGENT_UNKNOWN)
    return home, found[0]


def projects_of(arguments: Namespace) -> tuple[Paths, tuple[Project, ...]]:
    """Return the user's places, and every project that -C or the current directory may mean.

    Where several sandboxes see that directory, an agent that is named decides. Where none of them
    has that name, and -C does not say where to look, the only sandbox of that name is meant.

    Raises:
        CompanionError: there is no such directory.
    """
    home = Paths.of_user()
    found = lookup.projects_at(home, arguments.directory_option)
    named = {getattr(arguments, "agent", None), *getattr(arguments, "agents", ())} - {None, ""}
    if named and arguments.directory_option == Path():
        is_project = lookup.is_project(home, found[0])
        if not is_project or not any(_may_have(home, project, named) for project in found):
            found = _called(home, named) or (found if is_project else _none(named))
    if len(found) > 1:
        found = tuple(p for p in found if named & _names(home, p)) or found
    return home, found


def _called(home: Paths, named: Collection[str]) -> tuple[Project, ...]:
    """Return the project of the only sandbox that is called so, wherever it is; () for none.

    Raises:
        CompanionError: there are several.
    """
    found = lookup.projects_with(home, named)
    if len(found) > 1:
        places = ", ".join(sorted(str(one.directory) for one in found))
        what = f"several sandboxes are called {' or '.join(sorted(named))}: in {places}"
        hint = f"name the project: -C {quote(str(found[0].directory))}"
        raise CompanionError(what, hint, code=Code.AGENT_UNKNOWN)
    return found


def _none(named: Collection[str]) -> NoReturn:
    what = f"no sandbox is called {' or '.join(sorted(named))}"
    raise CompanionError(what, "`companion list` shows all of them", code=Code.AGENT_UNKNOWN)


def agent_of(arguments: Namespace) -> tuple[Paths, Project, str]:
    """Do as project_of(), and also return the agent that is named, or the only one.

    Raises:
        UsageError: none is named, and there are several.
    """
    home, project = project_of(arguments)
    return home, project, arguments.agent or _only(home, project)


def _names(home: Paths, project: Project) -> set[str]:
    return {project.directory.name, *store.of_project(home, project).names}


def _may_have(home: Paths, project: Project, named: set[str]) -> bool:
    """Tell whether a project has one of these agents; True if its files cannot be read."""
    started = {path.parent.name for path in home.project(project.id).root.glob("*/agent.json")}
    if named & {project.directory.name, *started}:
        return True
    from companion.project import inventory  # noqa: PLC0415 - start-up time is a budget

    try:
        configured = {inventory.configured_name(ref) for ref in discovery.agent_refs(project)}
    except CompanionError:
        return True
    return bool({*named, None} & configured)


def _only(home: Paths, project: Project) -> str:
    """Return the name of a project's only agent; what was started tells without reading files."""
    written = store.of_project(home, project)
    started = tuple(name for name in written.names if not _is_gone(written.agents.get(name)))
    if len(started) == 1 and not project.fleet.exists():
        return started[0]
    from companion.project import inventory  # noqa: PLC0415 - start-up time is a budget

    refs = discovery.agent_refs(project)
    for ref in refs:
        discovery.config_text(ref)
    names = tuple(inventory.agent_name(home, ref) for ref in refs)
    if len(names) != 1:
        what = f"{project.directory} has several agents: {', '.join(names)}"
        raise UsageError(what, "name one of them")
    return names[0]


def _is_gone(record: AgentRecord | None) -> bool:
    return record is not None and record.wanted == "gone"
