"""How is a project's sandbox right now? A project that cannot be read is a value, not an error."""

import signal
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from companion import observe, state_file
from companion.check import Checked, check
from companion.engine import Engine, detect
from companion.errors import CompanionError, Problem
from companion.paths import Paths
from companion.services import Network, Role
from companion.state import AgentRecord, Condition, Container, Health, Written

_STOPPED_BY_HAND = frozenset({0, 128 + signal.SIGTERM, 128 + signal.SIGKILL})
_LAST_WORDS = 8


@dataclass(frozen=True, slots=True)
class Status:
    """One agent's sandbox; `problems` say why it may not be what its config says."""

    agent: str
    directory: str
    condition: Condition
    alias: str
    ssh_port: int | None
    host_address: str
    """The desktop's address as the gateway sees it: host.containers.internal."""
    engine: str
    egress: str
    services: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]


def status(home: Paths, directory: Path) -> Status:
    """Return the status of the project in `directory`.

    Raises:
        CompanionError: there is no such directory, or no engine answers.
    """
    project = observe.project(directory)
    written = state_file.read(home.project(project.id), project.directory)
    checked, problems = _checked(home, project)
    wanted = checked.config.container_runtime if checked else None
    engine = Engine(detect(wanted, written.engine), project.id)
    containers = engine.containers()
    name = checked.config.name if checked else _remembered(written)
    record = written.agents.get(name)
    return Status(
        agent=name,
        directory=str(project.directory),
        condition=condition(engine, [c for c in containers if c.agent == name]),
        alias=record.allocation.alias if record else "",
        ssh_port=record.allocation.ssh_port if record else None,
        host_address=_host_address(record),
        engine=engine.choice.name,
        egress=checked.config.egress.mode if checked else "unknown",
        services=tuple((c.service, c.status) for c in containers),
        problems=problems,
    )


def _checked(home: Paths, project: observe.Project) -> tuple[Checked | None, tuple[Problem, ...]]:
    try:
        checked = check(home, project)
    except CompanionError as error:
        return None, error.problems
    return checked, checked.missing


def _host_address(record: AgentRecord | None) -> str:
    if record is None:
        return ""
    return Network("default", record.allocation.egress_subnet, internal=False).address(1)


def _remembered(written: Written) -> str:
    return next(iter(written.agents), "")


def condition(engine: Engine, containers: Collection[Container]) -> Condition:
    """Return how one agent is, judged by its containers; asks for its last lines if it crashed."""
    health = health_of(containers)
    if health is not Health.CRASHED:
        return Condition(health)
    agent = next(c for c in containers if c.role is Role.AGENT)
    lines = engine.last_lines(agent.name, _LAST_WORDS)
    if agent.out_of_memory:
        lines = (*lines, "it had more memory than limits.memory allows, and was killed")
    return Condition(health, agent.exit_code, lines)


def health_of(containers: Collection[Container]) -> Health:
    """Judge by an agent's containers: what was stopped by hand ended with 0 or by a signal."""
    if not containers:
        return Health.ABSENT
    by_role = {c.role: c for c in containers}
    agent, holder, gateway = (by_role.get(r) for r in (Role.AGENT, Role.NET, Role.GATEWAY))
    if agent is None or not agent.running:
        failed = agent and (agent.out_of_memory or agent.exit_code not in _STOPPED_BY_HAND)
        return Health.CRASHED if failed else Health.STOPPED
    whole = holder and gateway and holder.running and gateway.running
    if not (holder and whole) or agent.started < holder.started:
        return Health.BROKEN
    return Health.RUNNING
