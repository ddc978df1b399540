"""How is an agent's sandbox taken away, and whoever works on it meanwhile kept off?"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from companion.engine.driver import Driver, driver
from companion.project import store
from companion.project.agent_lock import agent_lock
from companion.project.model import Project
from companion.project.record import Applied, Written
from companion.reconcile import migrate, snapshot
from companion.reconcile.apply import Progress, remove_all
from companion.system.paths import AgentPaths, Paths


def down(
    home: Paths,
    project: Project,
    agent: str,
    progress: Progress,
    *,
    volumes: bool = False,
    wanted: Literal["down", "gone"] = "down",
) -> bool:
    """Remove an agent's containers and networks, and its volumes if asked, on all its engines.

    Works without a readable agent.yaml, and without a readable record: then on every engine that
    answers. Returns False if nothing was there.

    Raises:
        CompanionError: its engine does not answer.
    """
    agent_paths = home.project(project.id).agent(agent)
    request_stop(agent_paths)
    with agent_lock(agent_paths, progress):
        written = store.of_project(home, project)
        engines = engines_of(written, project.id, agent, progress)
        removed = [_clear(engine, progress, volumes=volumes) for engine in engines]
        snapshot.forget(agent_paths)
        if record := written.agents.get(agent):
            store.write(agent_paths, replace(record, wanted=wanted, applied=Applied()))
    return any(removed)


def engines_of(written: Written, project: str, agent: str, progress: Progress) -> Iterator[Driver]:
    """Yield each engine that holds, or may hold, something of an agent.

    Raises:
        CompanionError: the one that it is on does not answer.
    """
    if record := written.agents.get(agent):
        yield from migrate.holding_engines(record, project, agent, progress)
    elif agent in written.broken:
        yield from migrate.possible_engines(project, agent, progress)


def abandon(home: Paths, project: Project, agent: str, progress: Progress) -> None:
    """Have an agent be on no engine if its own does not answer; what that holds is left there."""
    agent_paths = home.project(project.id).agent(agent)
    with agent_lock(agent_paths, progress):
        record = store.read(agent_paths)
        if record and record.engine and not driver(record.engine).answers():
            store.write(agent_paths, record.on(None))


def _clear(engine: Driver, progress: Progress, *, volumes: bool) -> bool:
    """Remove what an engine holds of an agent; tell whether there was anything."""
    observed = engine.observe()
    remove_all(engine, observed, progress)
    removed = engine.remove_volumes() if volumes else 0
    return bool(observed.containers or observed.networks or removed)


def request_stop(agent_paths: AgentPaths) -> None:
    """Have whoever builds an image for an agent end that: it is to be stopped."""
    if agent_paths.root.is_dir():
        agent_paths.stop_request.touch()


def last_stop_request(agent_paths: AgentPaths) -> int:
    """Return when an agent was last asked to be stopped, in the file system's nanoseconds."""
    with suppress(OSError):
        return agent_paths.stop_request.stat().st_mtime_ns
    return 0
