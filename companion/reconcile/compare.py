"""What should an agent's sandbox be, what is it, and what leads from here to there?"""

from dataclasses import dataclass, replace

from companion.engine import seccomp
from companion.engine.detection import detect
from companion.engine.driver import Driver, driver
from companion.engine.model import EngineChoice, Observed
from companion.project import store
from companion.project.model import AgentRef
from companion.project.record import AgentRecord
from companion.reconcile import authority, host_facts, migrate, secret_values, ssh_keys
from companion.reconcile.allocate import propose
from companion.reconcile.desired import Desired, desire
from companion.reconcile.plan import Plan, plan, reloads
from companion.reconcile.validate import Checked, check
from companion.sandbox.model import Sandbox
from companion.system.paths import Paths


@dataclass(frozen=True, slots=True)
class Comparison:
    """An agent seen whole: what should be, what is, and the way from here to there."""

    checked: Checked
    was_on: EngineChoice | None
    """The engine that the agent is on until the plan's steps take it off."""
    record: AgentRecord
    desired: Desired
    engine: Driver
    observed: Observed
    plan: Plan


def preview(home: Paths, ref: AgentRef) -> Comparison:
    """Look at an agent without changing anything.

    Raises:
        CompanionError: its files are wrong or the engine does not answer.
    """
    checked = check(home, ref)
    record = store.read(checked.agent_paths(home))
    engine = engine_of(home, checked, record)
    return compare(home, checked, propose(home, checked, record, engine), engine)


def compare(
    home: Paths, checked: Checked, record: AgentRecord, engine: Driver, *, fresh: bool = False
) -> Comparison:
    """Compare what should be with what the engine holds; `fresh` replaces what is right, too.

    Raises:
        CompanionError: the engine does not answer, or the one that the agent is on.
    """
    departures, then = migrate.departures(engine, record), record.on(engine.choice)
    desired = desired_of(home, checked, then)
    observed = engine.observe([image.tag for image in desired.target.images])
    todo = plan(desired.target, observed, record, fresh=fresh, departures=departures)
    return Comparison(checked, record.engine, then, desired, engine, observed, todo)


def settled(
    home: Paths, checked: Checked, record: AgentRecord, engine: Driver
) -> Comparison | None:
    """Compare what should be with what is remembered; None: only a look can tell."""
    if record.engine != engine.choice:
        return None
    desired = desired_of(home, checked, record)
    todo = reloads(desired.target, record)
    if todo is None:
        return None
    return Comparison(checked, record.engine, record, desired, engine, Observed(), todo)


def engine_of(home: Paths, checked: Checked, record: AgentRecord | None) -> Driver:
    """Return the engine that a config names, else the one that has the agent, else a found one.

    Raises:
        CompanionError: it is not there or does not answer.
    """
    choice = detect(checked.config.container_runtime, record.engine if record else None)
    return engine_at(home, checked, choice)


def engine_at(home: Paths, checked: Checked, choice: EngineChoice) -> Driver:
    """Return the engine of a choice, told where the agent's files lie."""
    files = str(checked.agent_paths(home).root)
    return driver(choice, checked.project.id, checked.config.name, files)


def desired_of(home: Paths, checked: Checked, record: AgentRecord) -> Desired:
    """Return what should be, at the places and with the seals of the agent's record.

    A certificate that must be renewed is a new one at each call, and so is the first host key.
    """
    sandbox = sandbox_of(checked, record)
    agent_paths = checked.agent_paths(home)
    values = secret_values.resolve(home, checked.ref, sandbox.secrets)
    seals = secret_values.seals(values, record.salt)
    leaves = authority.leaf_certificates(sandbox, home, agent_paths)
    host_key = ssh_keys.host_key(sandbox, agent_paths)
    wanted = desire(sandbox, host_facts.assets(), seals, leaves, host_key)
    return wanted.filtered(seccomp.system_calls(home, record.engine))


def sandbox_of(checked: Checked, record: AgentRecord) -> Sandbox:
    """Return the sandbox that a checked config means, at the places that the record holds."""
    config, engine = checked.config, record.engine
    return Sandbox(
        project=checked.project.id,
        agent=config.name,
        program=checked.program,
        contribution=checked.contribution,
        egress=config.egress,
        limits=config.limits,
        gateway=config.gateway,
        log_level=config.log_level,
        workdir=checked.workdir,
        allocation=record.allocation,
        host=replace(checked.host, rootless=bool(engine and engine.rootless)),
        found=checked.found,
    )
