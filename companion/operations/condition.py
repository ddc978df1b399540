"""Condition: whether one agent runs, by its containers, and how it ended."""

from collections.abc import Collection
from dataclasses import replace

from companion.engine.driver import Driver
from companion.engine.model import IN_POD, Condition, Container, Health
from companion.spec.identity import Role

_STOPPED_BY_HAND = frozenset({0, 128 + 15, 128 + 9})
"""Exit codes of a container that was asked to end: by SIGTERM or SIGKILL, as Linux counts them."""
_LAST_LINES = 8


def condition(
    engine: Driver, containers: Collection[Container], started: Collection[str] = ()
) -> Condition:
    """Return the condition of one agent by its containers, with its last lines if it crashed.

    Args:
        engine: the engine that holds the containers.
        containers: all that it holds of the agent.
        started: the services that its record names as started last; empty if that is unknown.
    """
    found = without_output(containers, started)
    if found.health is not Health.CRASHED:
        return found
    agent = next(c for c in containers if c.role is Role.AGENT)
    lines = engine.last_lines(agent.name, _LAST_LINES)
    if agent.out_of_memory:
        lines = (*lines, "it had more memory than limits.memory allows, and was killed")
    return replace(found, last_output=lines)


def without_output(containers: Collection[Container], started: Collection[str] = ()) -> Condition:
    """Return the same as condition(), without the last output, for which an engine is asked."""
    health = health_of(containers, started)
    agent = next((c for c in containers if c.role is Role.AGENT), None)
    if agent and health in {Health.CRASHED, Health.STOPPED}:
        return Condition(health, agent.exit_code)
    if agent and health is Health.RUNNING:
        published = {pair for container in containers for pair in container.published}
        return Condition(health, pid=agent.pid, published=tuple(sorted(published)))
    return Condition(health)


def health_of(containers: Collection[Container], started: Collection[str] = ()) -> Health:
    """Return the health by an agent's containers; stopped by hand means exit code 0 or a signal.

    Without the agent's own container it is absent: up, restart and down remove that one first.
    Other versions of Companion may have started other services, so the record names them.
    """
    by_role = {c.role: c for c in containers}
    agent, holder = by_role.get(Role.AGENT), by_role.get(Role.NET)
    if agent is None:
        return Health.ABSENT
    if not agent.running:
        failed = agent.out_of_memory or agent.exit_code not in _STOPPED_BY_HAND
        return Health.CRASHED if failed else Health.STOPPED
    if agent.network_mode == IN_POD:
        gateway = by_role.get(Role.GATEWAY)
        return Health.RUNNING if gateway and gateway.running else Health.BROKEN
    if not agent.network_mode.startswith("container:"):
        return Health.RUNNING  # it has no gateway
    running = {c.service for c in containers if c.running}
    whole = running.issuperset(started or _of_every_version(agent.agent, containers))
    if not (holder and whole) or agent.started < holder.started:
        return Health.BROKEN
    return Health.RUNNING


def _of_every_version(agent: str, containers: Collection[Container]) -> set[str]:
    """Return the services that every version starts, and those that are there and are known."""
    always = {role.service_of(agent) for role in (Role.GATEWAY, Role.NET, Role.AGENT)}
    return always | {c.service for c in containers if c.role}
