"""Teardown: stops work on an agent, and removes its sandbox."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from companion.engine.driver import Driver, driver
from companion.engine.model import Choice
from companion.project import carried_store, once_store, store
from companion.project.agent_lock import agent_lock
from companion.project.model import Project
from companion.project.record import Applied, Written
from companion.reconcile import git_baseline, git_facts, migrate, snapshot
from companion.reconcile.apply import remove_all
from companion.reconcile.progress import Progress
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths


def down(
    home: Paths,
    project: Project,
    agent: str,
    progress: Progress,
    *,
    volumes: bool = False,
    wanted: Literal["down", "gone"] = "down",
) -> bool:
    """Remove an agent's containers and networks, and its `volumes` if set, on all its engines.

    Does not need a readable agent.yaml. Without a readable record, uses every engine that answers.
    Returns False if there was nothing to remove.

    Raises:
        CompanionError: the agent's engine does not answer.
    """
    agent_paths = home.project(project.id).agent(agent)
    request_stop(agent_paths)
    with agent_lock(agent_paths, progress):
        written = store.of_project(home, project)
        engines = engines_of(home, written, project.id, agent, progress, volumes=volumes)
        removed, empty = [], list[Choice]()
        for engine in engines:
            removed.append(_clear(engine, progress, volumes=volumes))
            empty += [engine.choice] if volumes else []
        git_baseline.end(agent_paths)
        snapshot.forget(agent_paths)
        carried_store.forget(agent_paths)
        once_store.forget(agent_paths)
        if record := written.agents.get(agent):
            new = replace(record.without(empty), wanted=wanted, applied=Applied())
            store.write(agent_paths, new)
            git_facts.remove_mount_points(record.config.writes, _used(home))
    return any(removed)


def engines_of(
    home: Paths,
    written: Written,
    project: str,
    agent: str,
    progress: Progress,
    *,
    volumes: bool = True,
) -> Iterator[Driver]:
    """Yield each engine that holds, or may hold, something of an agent, if only its `volumes`.

    Raises:
        CompanionError: the agent's current engine does not answer.
    """
    if record := written.agents.get(agent):
        yield from migrate.holding_engines(record, project, agent, progress, volumes=volumes)
    elif agent in written.broken:
        yield from migrate.possible_engines(home, project, agent, progress)


def abandon(home: Paths, project: Project, agent: str, progress: Progress) -> None:
    """Forget the containers of an agent if its engine does not answer; they remain there."""
    agent_paths = home.project(project.id).agent(agent)
    with agent_lock(agent_paths, progress):
        record = store.read(agent_paths)
        if record and record.engine and not driver(record.engine).answers():
            store.write(agent_paths, record.on(None))


def _used(home: Paths) -> Iterator[str]:
    """Yield the directories that agents of running sandboxes may write to."""
    for written in store.all_projects(home).values():
        for record in written.agents.values():
            if record.wanted == "up":
                yield from record.config.writes


def _clear(engine: Driver, progress: Progress, *, volumes: bool) -> bool:
    """Remove an agent from an engine; tell whether there was anything to remove."""
    observed = engine.observe()
    engine.sweep_builds()
    remove_all(engine, observed, progress)
    removed = engine.remove_volumes() if volumes else 0
    return bool(observed.containers or observed.networks or removed)


def request_stop(agent_paths: AgentPaths) -> None:
    """Request that the agent stops: this ends a build that is under way for it.

    If the request cannot be written, down() still waits for the build and stops the agent.
    """
    if agent_paths.root.is_dir():
        with suppress(OSError):
            agent_paths.stop_request.touch()


def last_stop_request(agent_paths: AgentPaths) -> int:
    """Return the time of the last stop request, in nanoseconds of the file system; 0 if none."""
    with suppress(OSError):
        return agent_paths.stop_request.stat().st_mtime_ns
    return 0
