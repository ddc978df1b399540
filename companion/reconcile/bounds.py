"""Bounds: looks up the places of the desktop and of other projects that a config must not use."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from companion.project import model, store
from companion.project.model import AgentRef
from companion.project.record import Written
from companion.reconcile import desktop_facts, project_files
from companion.reconcile.locate import Locator
from companion.sandbox import desktop
from companion.sandbox.bounds import Bounds
from companion.sandbox.model import Neighbor
from companion.sandbox.places import Place
from companion.system import files, project_paths
from companion.system.paths import Paths


def bounds(
    home: Paths,
    ref: AgentRef,
    agent: str,
    siblings: tuple[str, ...],
    mounted: tuple[Place, ...],
    locator: Locator,
) -> Bounds:
    """Return what the paths of an agent's config are judged by.

    Args:
        home: the user's paths.
        ref: where the agent is configured.
        agent: its name.
        siblings: all agents of its fleet.
        mounted: the directories that its config mounts.
        locator: looks up the places.
    """
    private = (home.config, home.data, home.state, home.home / ".ssh")
    known, project = store.all_projects(home), locator.place(ref.project.directory)
    found = (
        desktop_facts.facts(home, mounted, _endpoints(known), locator)
        if mounted
        else desktop.DesktopFacts()
    )
    return Bounds(
        project=project,
        control=project_files.control_files(ref, locator),
        siblings=project_files.others_of_fleet(ref, siblings, locator),
        private=tuple(map(locator.place, private)),
        system=tuple(desktop.system(found, project)),
        programs=tuple(desktop.programs(found)),
        searched=found.searched,
        neighbors=tuple(_neighbors(known, ref, agent, locator)),
        ignores_case=files.ignores_case(home.home),
    )


def _endpoints(known: Mapping[str, Written]) -> Iterator[tuple[str, str]]:
    """Yield the variables by which known agents select their engines."""
    for written in known.values():
        for engine in (e for record in written.agents.values() for e in record.engines):
            yield from engine.environment


def _neighbors(
    known: Mapping[str, Written], ref: AgentRef, agent: str, locator: Locator
) -> Iterator[Neighbor]:
    """Yield all other recorded agents, and the config files of other projects."""
    for project_id, written in known.items():
        is_same_project = project_id == ref.project.id
        if not is_same_project:
            other = model.Project(Path(written.directory), project_id)
            config_files = (
                other.directory / project_paths.CONFIG_NAME,
                other.fleet,
                other.directory / project_paths.ENV_NAME,
            )
            yield Neighbor(
                written.directory,
                tuple(map(locator.entry, config_files)),
                directory=locator.place(other.directory),
            )
        for name, record in written.agents.items():
            if record.wanted != "gone" and not (is_same_project and name == agent):
                yield Neighbor(
                    f"{name} of {written.directory}",
                    tuple(locator.entry(Path(p)) for p in record.config.steered_by),
                    tuple(locator.place(Path(p)) for p in record.config.writes),
                    tuple(locator.place(Path(p)) for p in record.config.holds),
                    is_sibling=is_same_project,
                )
