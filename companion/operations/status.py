"""The state of sandboxes right now. A config that cannot be read is a value, not an error."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from companion import __version__
from companion.engine.detection import detect, unasked
from companion.engine.driver import Driver, driver
from companion.engine.model import Choice, ClusterChoice, Condition, Container
from companion.errors import CompanionError, Problem
from companion.operations import attention, ports_inside, validation_cache
from companion.operations.condition import condition
from companion.project import discovery, store
from companion.project import forwards as forwarding
from companion.project.forwards import Forward
from companion.project.model import AgentRef, Project
from companion.project.record import AgentRecord, Written
from companion.spec.identity import Role
from companion.system import parallel, platforms
from companion.system.paths import Paths
from companion.traffic.attention import Attention

if TYPE_CHECKING:
    from companion.reconcile.validate import Checked


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
    place: str
    """The place of the user's settings where it runs; "" without one."""
    egress: str
    """The mode of what runs, or else of the config: `listed`, `open`, `no gateway`, `unknown`."""
    next_egress: str
    """The mode of the config."""
    services: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]
    is_elsewhere: bool = False
    """Its engine publishes no port on this desktop; `ssh_port` is in our SSH config only."""
    listening: tuple[int, ...] = ()
    """The ports inside that can be forwarded."""
    forwards: tuple[Forward, ...] = ()
    """The ports that are."""
    fence: str = ""
    """What closes its network on a cluster: `pod` or `policy`."""
    caveat: str = ""
    """What is weaker there than elsewhere."""
    attention: Attention = Attention.UNKNOWN
    """Whether its agent works, waits for the user or is done."""
    update_waits: str = ""
    """What an update of Companion changes at its next restart, in words."""


@dataclass(frozen=True, slots=True)
class _Config:
    """What an agent's config says; of one that cannot be read, only why."""

    name: str = ""
    egress: str = "unknown"
    container_runtime: str | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look at a project has in common for all of its agents."""

    home: Paths
    written: Written
    forwards: Collection[Forward]
    ask: Callable[[Driver], Collection[Container]]
    """Returns the containers of an agent."""
    reads_logs: bool
    """A log is read for what no watcher heard."""


def statuses(home: Paths, project: Project) -> tuple[Status, ...]:
    """Return the state of each agent of a project, in the order of its fleet.yaml.

    Raises:
        CompanionError: fleet.yaml is wrong, or an engine does not answer.
    """
    configs = _configs(home, project)
    written = store.of_project(home, project)
    names = {_name(ref, config, written) for ref, config in configs.items()}
    records = (record for name, record in written.agents.items() if name in names)
    held = _held(project, tuple(records))

    def ask(engine: Driver) -> tuple[Container, ...]:
        if engine.choice not in held:
            return engine.containers()
        return tuple(c for c in held[engine.choice] if c.agent == engine.agent)

    are_few = len(configs) <= attention.FEW
    look = _Look(home, written, forwarding.active(home), ask, reads_logs=are_few)
    return parallel.each(tuple(configs.items()), lambda item: _status(look, *item), at_once=4)


def status_of(home: Paths, ref: AgentRef) -> Status:
    """Return the state of one agent.

    Raises:
        CompanionError: no engine answers.
    """
    written = store.of_project(home, ref.project)

    def ask(engine: Driver) -> tuple[Container, ...]:
        return engine.containers()

    look = _Look(home, written, forwarding.active(home), ask, reads_logs=True)
    return _status(look, ref, _config(_checked(home, ref)))


def _configs(home: Paths, project: Project) -> Mapping[AgentRef, _Config]:
    """Return what the configs of a project say; they are read only if anything changed."""
    kept = validation_cache.find(home, project)
    if kept.agents is not None:
        return {
            AgentRef(project, a.folder): _Config(a.name, a.egress, a.container_runtime)
            for a in kept.agents
        }
    outcomes = {ref: _checked(home, ref) for ref in discovery.agent_refs(project)}
    configs = {ref: _config(outcome) for ref, outcome in outcomes.items()}
    valid = [outcome for outcome in outcomes.values() if not isinstance(outcome, CompanionError)]
    if not any(config.problems for config in configs.values()):
        with suppress(CompanionError):  # what cannot be kept is read again
            validation_cache.keep(home, project, kept, valid)
    return configs


def _held(
    project: Project, records: Collection[AgentRecord]
) -> Mapping[Choice, tuple[Container, ...]]:
    """Return the containers of a project on the engines of these agents, each asked once."""
    choices = tuple(dict.fromkeys(record.engine for record in records if record.engine))

    def ask(choice: Choice) -> tuple[Container, ...]:
        applied = [record.applied for record in records if record.engine == choice]
        known = all(one.complete and one.parts for one in applied)
        services = [service for one in applied for service in one.parts] if known else []
        return driver(choice, project.id).containers(services)

    return dict(zip(choices, parallel.each(choices, ask, at_once=2), strict=True))


def _name(ref: AgentRef, config: _Config, written: Written) -> str:
    """Return an agent's name; while its config cannot be read, the name in our records."""
    return config.name or ref.folder or next(iter(written.names), "")


def _status(look: _Look, ref: AgentRef, config: _Config) -> Status:
    written = look.written
    name = _name(ref, config, written)
    record = written.agents.get(name)
    broken = (written.broken[name],) if name in written.broken else ()
    choice = (record.engine if record else None) or _detected(look.home, config)
    engine = driver(choice, ref.project.id, name)
    # At a place that no record of it names, it was never started; the user may not have agreed.
    is_there = not choice.place or bool(record and record.engine)
    containers = look.ask(engine) if is_there else ()
    ports = ports_inside.of(containers, record) if record else ports_inside.Ports()
    exposed = _exposed(look, engine, record, containers) if record else ()
    return Status(
        agent=name,
        directory=str(ref.directory),
        condition=condition(engine, containers, record.applied.parts if record else ()),
        alias=record.allocation.alias if record else "",
        ssh_port=record.allocation.ssh_port if record else None,
        host_address=_host_address(record, choice),
        engine=engine.choice.name,
        place=engine.choice.place,
        egress=record.config.egress or "unknown" if record and containers else config.egress,
        next_egress=config.egress,
        services=tuple((c.service, c.status) for c in containers),
        problems=(*config.problems, *broken, *ports.problems, *exposed),
        is_elsewhere=not choice.shares_files,
        fence=choice.fence if isinstance(choice, ClusterChoice) and choice.server else "",
        caveat=choice.caveat if isinstance(choice, ClusterChoice) else "",
        listening=ports.offered,
        forwards=tuple(f for f in look.forwards if (f.project, f.agent) == (ref.project.id, name)),
        attention=_attention(look, engine, record, containers),
        update_waits=_update_waits(look.home, ref, record) if record and containers else "",
    )


def _exposed(
    look: _Look, engine: Driver, record: AgentRecord, containers: Collection[Container]
) -> tuple[Problem, ...]:
    """Return what git obeys and the agent can change again, and what it changed."""
    agent_paths = look.home.project(engine.project).agent(engine.agent)
    if not agent_paths.git_baseline.exists():
        return ()
    agent = next((c for c in containers if c.role is Role.AGENT and c.running), None)
    from companion.operations import unprotected  # noqa: PLC0415 - start-up time is a budget

    return unprotected.of(engine.agent, agent_paths, record, agent.pid if agent else 0).problems


def _update_waits(home: Paths, ref: AgentRef, record: AgentRecord) -> str:
    known = record.applied.update_waits(__version__)
    if known is not None:
        return known
    from companion.reconcile import updates  # noqa: PLC0415 - start-up time is a budget

    return updates.update_waits(home, ref, record)


def _detected(home: Paths, config: _Config) -> Choice:
    """Return the engine that an agent without a record would get; no place is asked."""
    from companion.reconcile import user_settings  # noqa: PLC0415 - start-up time is a budget

    wanted, places = config.container_runtime, user_settings.read(home).places
    if wanted and wanted in places:
        return unasked(wanted, places[wanted])
    return detect(wanted, None)


def _attention(
    look: _Look, engine: Driver, record: AgentRecord | None, containers: Collection[Container]
) -> Attention:
    if record is None:
        return Attention.UNKNOWN
    agent_paths = look.home.project(engine.project).agent(engine.agent)
    if look.reads_logs and attention.is_missed(agent_paths, record):
        known = attention.caught_up(agent_paths, engine, containers)
    else:
        known = attention.live(agent_paths)
    return attention.judged(known, containers)


def _checked(home: Paths, ref: AgentRef) -> "Checked | CompanionError":
    from companion.reconcile.validate import check  # noqa: PLC0415 - start-up time is a budget

    try:
        return check(home, ref)
    except CompanionError as error:
        return error


def _config(outcome: "Checked | CompanionError") -> _Config:
    if isinstance(outcome, CompanionError):
        return _Config(problems=outcome.problems)
    problems = (*outcome.missing, *outcome.login_problems)
    config = outcome.config
    return _Config(config.name, outcome.egress, config.container_runtime, problems)


def _host_address(record: AgentRecord | None, choice: Choice) -> str:
    if record is None or platforms.HERE != "linux" or not choice.shares_files:
        return ""  # the bridge is in a virtual machine, or another machine's
    if choice.rootless:
        from companion.system import network  # noqa: PLC0415 - start-up time is a budget

        return network.outward_address()
    return record.allocation.bridge
