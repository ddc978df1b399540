"""Bounds: looks up the places of the desktop and of other projects that a config must not use."""

from collections.abc import Iterator
from pathlib import Path

from companion.project import model, store
from companion.project.model import AgentRef
from companion.reconcile import project_files
from companion.reconcile.locate import Locator
from companion.sandbox.bounds import Bounds
from companion.sandbox.model import Neighbour
from companion.sandbox.places import Guard
from companion.system import files, paths
from companion.system.paths import Paths

_SYSTEM = ("/etc", "/private/etc", "/proc", "/sys", "/dev", "/run", "/var/run", "/boot",
           "/var/lib/docker", "/var/lib/containers")  # fmt: skip


def bounds(
    home: Paths, ref: AgentRef, agent: str, siblings: tuple[str, ...], locator: Locator
) -> Bounds:
    """Return what the paths of an agent's config are judged by; `siblings`: its fleet's agents."""
    private = (home.config, home.data, home.state, home.home / ".ssh")
    return Bounds(
        project=locator.place(ref.project.directory),
        control=project_files.control_files(ref, locator),
        siblings=project_files.others_of_fleet(ref, siblings, locator),
        private=tuple(map(locator.place, private)),
        desktop=tuple(_desktop(home, locator)),
        neighbours=tuple(_neighbours(home, ref, agent, locator)),
        ignores_case=files.ignores_case(home.home),
    )


def _desktop(home: Paths, locator: Locator) -> Iterator[Guard]:
    for name in _SYSTEM:
        yield Guard(locator.place(Path(name)), "belongs to the system")
    yield Guard(locator.place(home.home), "is or contains your home directory", below=False)


def _neighbours(home: Paths, ref: AgentRef, agent: str, locator: Locator) -> Iterator[Neighbour]:
    """Yield all other recorded agents, and the config files of other projects."""
    for project_id, written in store.all_projects(home).items():
        is_same_project = project_id == ref.project.id
        if not is_same_project:
            other = model.Project(Path(written.directory), project_id)
            config_files = (
                other.directory / paths.CONFIG_NAME,
                other.fleet,
                other.directory / paths.ENV_NAME,
            )
            yield Neighbour(
                written.directory,
                tuple(map(locator.entry, config_files)),
                directory=locator.place(other.directory),
            )
        for name, record in written.agents.items():
            if record.wanted != "gone" and not (is_same_project and name == agent):
                yield Neighbour(
                    f"{name} of {written.directory}",
                    tuple(locator.entry(Path(p)) for p in record.config.steered_by),
                    tuple(locator.place(Path(p)) for p in record.config.writes),
                    is_sibling=is_same_project,
                )
