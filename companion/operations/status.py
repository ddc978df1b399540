"""The state of sandboxes right now. A config that cannot be read is a value, not an error."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from companion.engine.client import Engine
from companion.engine.detection import detect
from companion.engine.model import Condition, Container, EngineChoice, Health
from companion.errors import CompanionError, Problem
from companion.project import discovery, store
from companion.project.model import AgentRef, Project
from companion.project.record import AgentRecord, Written
from companion.reconcile.validate import Checked, check
from companion.spec.containers import Network, Role
from companion.system import network
from companion.system.paths import Paths

_STOPPED_BY_HAND = frozenset({0, 128 + 15, 128 + 9})
"""Exit codes of a container that was asked to end: by SIGTERM or SIGKILL, as Linux counts them."""
_LAST_LINES = 8


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


def statuses(home: Paths, project: Project) -> tuple[Status, ...]:
    """Return the state of each agent of a project, in the order of its fleet.yaml.

    Each engine is asked once for all agents, while their configs are read.

    Raises:
        CompanionError: fleet.yaml is wrong, or an engine does not answer.
    """
    refs = discovery.agent_refs(project)
    written = store.of_project(home, project)
    records = written.agents
    mine = (record for name, record in records.items() if AgentRef(project, name) in refs)
    alone = records.values() if AgentRef(project) in refs else ()
    engines = {record.engine for record in (*mine, *alone) if record.engine}
    with ThreadPoolExecutor() as pool:
        asked = {one: pool.submit(Engine(one, project.id).containers) for one in engines}
        checks = [_checked(home, ref) for ref in refs]

        def ask(engine: Engine) -> tuple[Container, ...]:
            if engine.choice not in asked:
                return engine.containers()
            return tuple(c for c in asked[engine.choice].result() if c.agent == engine.agent)

        pairs = zip(refs, checks, strict=True)
        return tuple(_status(ref, check, written, ask) for ref, check in pairs)


def status_of(home: Paths, ref: AgentRef) -> Status:
    """Return the state of one agent.

    Raises:
        CompanionError: no engine answers.
    """
    written = store.of_project(home, ref.project)
    return _status(ref, _checked(home, ref), written, Engine.containers)


def _status(
    ref: AgentRef,
    check: tuple[Checked | None, tuple[Problem, ...]],
    written: Written,
    ask: Callable[[Engine], Collection[Container]],
) -> Status:
    checked, problems = check
    name = checked.config.name if checked else ref.folder or next(iter(written.names), "")
    record = written.agents.get(name)
    problems += (written.broken[name],) if name in written.broken else ()
    wanted = checked.config.container_runtime if checked else None
    choice = (record.engine if record else None) or detect(wanted, None)
    engine = Engine(choice, ref.project.id, name)
    containers = ask(engine)
    return Status(
        agent=name,
        directory=str(ref.directory),
        condition=condition(engine, containers),
        alias=record.allocation.alias if record else "",
        ssh_port=record.allocation.ssh_port if record else None,
        host_address=_host_address(record, choice),
        engine=engine.choice.name,
        egress=checked.egress if checked else "unknown",
        services=tuple((c.service, c.status) for c in containers),
        problems=problems,
    )


def _checked(home: Paths, ref: AgentRef) -> tuple[Checked | None, tuple[Problem, ...]]:
    try:
        checked = check(home, ref)
    except CompanionError as error:
        return None, error.problems
    return checked, (*checked.missing, *checked.grant_problems)


def _host_address(record: AgentRecord | None, choice: EngineChoice) -> str:
    if record is None:
        return ""
    if choice.rootless:
        return network.outward_address()
    return Network("", record.allocation.egress_subnet, internal=False).address(1)


def condition(engine: Engine, containers: Collection[Container]) -> Condition:
    """Return the condition of one agent by its containers, with its last lines if it crashed."""
    health = health_of(containers)
    agent = next((c for c in containers if c.role is Role.AGENT), None)
    if agent is None or health not in {Health.CRASHED, Health.STOPPED}:
        return Condition(health)
    if health is Health.STOPPED:
        return Condition(health, agent.exit_code)
    lines = engine.last_lines(agent.name, _LAST_LINES)
    if agent.out_of_memory:
        lines = (*lines, "it had more memory than limits.memory allows, and was killed")
    return Condition(health, agent.exit_code, lines)


def health_of(containers: Collection[Container]) -> Health:
    """Return the health by an agent's containers; stopped by hand means exit code 0 or a signal.

    Without the agent's own container it is absent: up, restart and down remove that one first.
    """
    by_role = {c.role: c for c in containers}
    agent, holder, gateway = (by_role.get(r) for r in (Role.AGENT, Role.NET, Role.GATEWAY))
    if agent is None:
        return Health.ABSENT
    if not agent.running:
        failed = agent.out_of_memory or agent.exit_code not in _STOPPED_BY_HAND
        return Health.CRASHED if failed else Health.STOPPED
    if not agent.network_mode.startswith("container:"):
        return Health.RUNNING  # it has no gateway
    whole = holder and gateway and holder.running and gateway.running
    if not (holder and whole) or agent.started < holder.started:
        return Health.BROKEN
    return Health.RUNNING
