"""Lookup: the project that a directory belongs to, also one that an agent works in."""

from collections.abc import Collection, Iterator
from pathlib import Path

from companion.project import discovery, store
from companion.project.model import Project
from companion.system import files, project_paths
from companion.system.paths import Paths


def projects_at(home: Paths, directory: Path) -> tuple[Project, ...]:
    """Return the project in a directory, or else those whose agents work there, the nearest ones.

    A directory of no project is returned as one, so that what is missing there can be reported.

    Raises:
        CompanionError: there is no such directory.
    """
    here = discovery.project(directory)
    if is_project(home, here):
        return (here,)
    return _working_at(home, here.directory) or (here,)


def projects_with(home: Paths, agents: Collection[str]) -> tuple[Project, ...]:
    """Return the registered projects in which one of these agents was started."""
    known = store.all_projects(home).items()
    found = {key: written for key, written in known if not set(written.names).isdisjoint(agents)}
    return tuple(Project(Path(written.directory), key) for key, written in found.items())


def is_project(home: Paths, here: Project) -> bool:
    """Tell whether a directory is a project, also one whose files were removed."""
    names = (project_paths.CONFIG_NAME, project_paths.FLEET_NAME)
    if any(files.status(here.directory / name) for name in names):
        return True
    return store.is_registered(home.project(here.id).root)


def _working_at(home: Paths, directory: Path) -> tuple[Project, ...]:
    above = {project: tree for tree, project in _trees(home, directory)}
    nearest = max((len(tree.parts) for tree in above.values()), default=0)
    return tuple(project for project, tree in above.items() if len(tree.parts) == nearest)


def _trees(home: Paths, directory: Path) -> Iterator[tuple[Path, Project]]:
    """Yield directories that agents work in, with their projects; for one, the nearest comes last.

    A run is known before its sandbox was started.
    """
    from companion.project import runs  # noqa: PLC0415 - start-up time is a budget

    found = [
        (Path(run.directory), discovery.project(runs.directory_of(home, run.name)))
        for run in runs.all_of_user(home)
        if files.is_directory(runs.directory_of(home, run.name))
    ]
    for project_id, written in store.all_projects(home).items():
        project = Project(Path(written.directory), project_id)
        for record in written.agents.values():
            found += ((Path(tree), project) for tree in record.config.writes)
    yield from sorted(
        (pair for pair in found if directory.is_relative_to(pair[0])),
        key=lambda pair: len(pair[0].parts),
    )
