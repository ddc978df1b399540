"""Comparison: the desired and the observed state of a sandbox, and the plan between them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum

from companion.engine.detection import detect, pinned
from companion.engine.driver import Driver, driver, sharing
from companion.engine.model import Choice, ClusterChoice, EngineChoice, Observed
from companion.errors import Code, CompanionError
from companion.project import carried_store, once_store, store
from companion.project.model import AgentRef
from companion.project.record import AgentRecord
from companion.reconcile import (
    authority,
    bring,
    elsewhere,
    gateway_services,
    host_facts,
    migrate,
    readiness,
    secret_values,
    snapshot,
    ssh_keys,
    updates,
    user_settings,
)
from companion.reconcile.allocate import propose
from companion.reconcile.desired import HOST_KEY, Desired, desire
from companion.reconcile.plan import (
    Change,
    LeaveEngine,
    Plan,
    Reload,
    Start,
    Step,
    plan,
    reloads,
)
from companion.reconcile.validate import Checked, check
from companion.sandbox.addressing import BEHIND_POLICIES, IN_POD
from companion.sandbox.model import HostFacts, Sandbox
from companion.spec.containers import Image
from companion.spec.identity import Role
from companion.system.network import is_public_address
from companion.system.paths import Paths

Lists = dict[Choice, dict[str, str]]
"""What clusters listed of a project, for one look at all its agents."""


class Restarts(Enum):
    """Which containers may be replaced."""

    ALL = "all"
    """Each one, even if nothing differs."""
    NEEDED = "needed"
    """Those that differ."""
    EDITED = "edited"
    """Those that differ by something that the user can write; not for an update of Companion."""
    NONE = "none"
    """None that would end an agent's work."""


_LEAVE_UPDATES = {Restarts.EDITED, Restarts.NONE}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The desired and observed state of an agent's sandbox, and the plan between them."""

    checked: Checked
    was_on: Choice | None
    """The engine that the agent is on before the plan is applied."""
    record: AgentRecord
    desired: Desired
    engine: Driver
    observed: Observed
    plan: Plan
    was_asked: bool = True
    """False: what the engine holds is unknown, because the user did not agree to it yet."""
    waits_for: str = ""
    """The definition that an update of Companion gave it; `desired` is what runs."""
    kept: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Service → field of its definition → digest, of what stays as another version started it."""

    @property
    def parts(self) -> dict[str, Mapping[str, str]]:
        """The same of every service, once the plan is carried out."""
        return {s.name: self.kept.get(s.name, s.parts) for s in self.desired.target.services}

    def require_agent_kept(self) -> None:
        """Check that the plan ends no work of an agent that runs.

        Raises:
            CompanionError: it replaces the agent's container, or removes it from an engine.
        """
        ends = next((step for step in self.plan.steps if self._ends_agent(step)), None)
        if ends:
            agent = self.checked.config.name
            what = f"{agent} would have to restart ({ends.why.text}): nothing was applied"
            hint = (
                "what you allowed or denied is kept; `companion up` applies all of it, and ends"
                " the agent's terminal"
            )
            raise CompanionError(what, hint, code=Code.RESTART_NEEDED)

    def _ends_agent(self, step: Step) -> bool:
        if isinstance(step, LeaveEngine):
            return self.was_on is not None and step.engine.is_same(self.was_on)
        if not isinstance(step, Start) or step.service.role is not Role.AGENT:
            return False
        container = self.observed.container(step.service.name)
        return container is not None and container.running


def preview(
    home: Paths,
    ref: AgentRef,
    restarts: Restarts = Restarts.NEEDED,
    lists: Lists | None = None,
) -> Comparison:
    """Compare an agent's sandbox without changing anything, or trying what an engine can do.

    A place that the user did not agree to is not asked; the sandbox is taken to be nowhere.

    Args:
        home: where our files are.
        ref: the agent.
        restarts: which containers may be replaced.
        lists: what clusters listed of the project, for a look at all its agents.

    Raises:
        CompanionError: the agent's files are invalid, or the engine does not answer.
    """
    checked = check(home, ref)
    with suppress(CompanionError):  # what cannot be read now is taken to be as it was
        secret_values.fetch(home, ref, checked.contribution, lambda _: None, asks=False)
    record = store.read(checked.agent_paths(home))
    if choice := elsewhere.unasked(home, checked, record):
        return _unasked(home, checked, record, choice)
    engine = engine_of(home, checked, record, tries=False)
    if lists is not None and isinstance(engine.choice, ClusterChoice):
        engine = sharing(engine, lists.setdefault(engine.choice, {}))
    proposed = propose(home, checked, record, engine)
    seen = compare(home, checked, proposed, engine, restarts)
    on_cluster = isinstance(engine.choice, ClusterChoice)  # which is asked, but tries nothing
    return refreshed(home, seen, proposed, restarts) if on_cluster else seen


def _unasked(
    home: Paths, checked: Checked, record: AgentRecord | None, choice: Choice
) -> Comparison:
    """Compare with an engine that may not be asked, as if it held nothing."""
    seen = elsewhere.examined(home, checked, choice, None, tries=False)
    proposed, engine = propose(home, checked, record), engine_at(home, checked, seen)
    then = proposed.on(seen)
    desired, nothing = desired_of(home, checked, then), Observed()
    todo = plan(desired.target, nothing, then)
    return Comparison(
        checked, proposed.engine, then, desired, engine, nothing, todo, was_asked=False
    )


def compare(
    home: Paths,
    checked: Checked,
    record: AgentRecord,
    engine: Driver,
    restarts: Restarts,
) -> Comparison:
    """Compare the desired state with the engine's.

    With Restarts.NONE, SSH is not tried: an agent that stops its server cannot hold up a reload.

    Raises:
        CompanionError: the engine, or the one that the agent is still on, does not answer; or the
            plan ends the work of an agent that is to be kept.
    """
    departures, then = migrate.departures(engine, record), record.on(engine.choice)
    desired = desired_of(home, checked, then)
    observed = engine.observe([image.tag for image in desired.target.images], record.applied.parts)
    known = carried_store.read(checked.agent_paths(home), engine.choice)
    if known is None and engine.held_files():
        departures = (*departures, migrate.removal_of_forgotten(engine))
        observed = Observed(images=observed.images)
    fresh = restarts is Restarts.ALL
    todo = plan(desired.target, observed, record, fresh=fresh, departures=departures)
    comparison = Comparison(checked, record.engine, then, desired, engine, observed, todo)
    if restarts in _LEAVE_UPDATES and not departures and todo.change > Change.RELOAD:
        comparison = _without_update(home, comparison, record)
    if restarts is not Restarts.NONE and _should_answer(comparison.plan):
        comparison = _reconnected(comparison, record)
    if restarts is Restarts.NONE:
        comparison.require_agent_kept()
    return comparison


def refreshed(home: Paths, seen: Comparison, record: AgentRecord, restarts: Restarts) -> Comparison:
    """Compare again if an engine elsewhere has other networks by now, once anything is started.

    They tell which addresses of that machine the gateway refuses. The image of gateways is ours:
    no other one gets to run in the machine's own network. A cluster tells what it admits instead.

    Raises:
        CompanionError: the engine does not answer.
    """
    if not seen.plan.starts:
        return seen
    choice = elsewhere.refreshed(seen.engine, seen.desired.target, seen.observed.images)
    if choice == seen.engine.choice:
        return seen
    return compare(home, seen.checked, record, engine_at(home, seen.checked, choice), restarts)


def _without_update(home: Paths, seen: Comparison, record: AgentRecord) -> Comparison:
    """Leave out what only an update of Companion changes, while the agent runs as it was started.

    What is lost beside the agent is started again as it was.

    Raises:
        CompanionError: it is not known how it was started, or an image for that is gone.
    """
    new, applied = seen.desired.target, record.applied
    if not updates.is_cause(applied, new):
        return seen
    last = snapshot.read(seen.checked.agent_paths(home))
    if last is None:
        agent = seen.observed.container(new.service(Role.AGENT).name)
        if applied.version and agent and agent.running:
            raise updates.unknown(new.agent)
        return seen
    last = replace(last, parts=last.parts or applied.parts)
    target, observed = updates.running(last, new), last.recognised(seen.observed)
    todo = plan(target, observed, record)
    if Role.AGENT in todo.starts:
        return seen
    starts = {s.service.name: s.service.image for s in todo.steps if isinstance(s, Start)}
    if starts and not seen.engine.held(starts.values()) >= set(starts.values()):
        raise updates.unknown(new.agent)
    kept = {name: parts for name, parts in last.parts.items() if name not in starts}
    desired, waits_for = replace(seen.desired, target=target), updates.definition(new)
    return replace(
        seen, desired=desired, observed=observed, plan=todo, waits_for=waits_for, kept=kept
    )


def _reconnected(seen: Comparison, record: AgentRecord) -> Comparison:
    """Add what makes SSH answer again, if it does not."""
    target = seen.desired.target
    if readiness.answers(seen.engine, target):
        return seen
    return replace(seen, plan=plan(target, replace(seen.observed, unreachable=True), record))


def _should_answer(todo: Plan) -> bool:
    """Tell whether everything of a sandbox runs already, and stays, with the host key it has."""
    loads_host_key = any(isinstance(s, Reload) and s.is_about(HOST_KEY) for s in todo.steps)
    stays = todo.change in {Change.NONE, Change.RELOAD} and not todo.waits
    return stays and not loads_host_key


def settled(
    home: Paths, checked: Checked, record: AgentRecord, engine: Driver
) -> Comparison | None:
    """Compare the desired state with the record; None if the engine must be observed."""
    if record.engine != engine.choice:
        return None
    desired = desired_of(home, checked, record)
    todo = reloads(desired.target, record)
    if todo is None:
        return None
    return Comparison(checked, record.engine, record, desired, engine, Observed(), todo)


def engine_of(
    home: Paths,
    checked: Checked,
    record: AgentRecord | None,
    on: str | None = None,
    *,
    tries: bool = True,
) -> Driver:
    """Return the configured engine, else the agent's current one, else one that is running.

    Args:
        home: the user's paths.
        checked: the agent.
        record: what is recorded of it.
        on: the engine or place to use where the config does not choose one.
        tries: find out whether an unknown engine can mount files of this desktop.

    Raises:
        CompanionError: the engine is not installed or does not answer.
    """
    wanted = elsewhere.wanted(home, checked, on)
    known, places = record.engine if record else None, user_settings.read(home).places
    choice = detect(wanted, known, places)
    if isinstance(choice, EngineChoice):
        choice = pinned(choice)
    return engine_at(home, checked, elsewhere.examined(home, checked, choice, record, tries=tries))


def engine_at(home: Paths, checked: Checked, choice: Choice) -> Driver:
    """Return the driver of a chosen engine for the agent."""
    files = str(checked.agent_paths(home).root)
    return driver(choice, checked.project.id, checked.config.name, files)


def desired_of(home: Paths, checked: Checked, record: AgentRecord) -> Desired:
    """Return the desired state, with the record's allocation and salt.

    A certificate that is due for renewal is new at each call, as is a host key before the first
    write.
    """
    agent_paths = checked.agent_paths(home)
    own = bring.read(home, user_settings.read(home).bring)
    sandbox = replace(
        sandbox_of(checked, record), once=once_store.read(agent_paths), brought=own.files
    )
    values = secret_values.resolve(home, checked.ref, checked.contribution, sandbox.secrets)
    seals = secret_values.seals(values, record.salt, gateway_services.last_seals(sandbox, record))
    leaves = authority.leaf_certificates(sandbox, home, agent_paths)
    host_key = ssh_keys.host_key(sandbox, agent_paths)
    return desire(sandbox, host_facts.assets(), seals, leaves, host_key)


def sandbox_of(checked: Checked, record: AgentRecord) -> Sandbox:
    """Return the sandbox of a checked config, with the record's allocation."""
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
        host=host_of(checked.host, engine),
        found=checked.found,
    )


def host_of(here: HostFacts, engine: Choice | None) -> HostFacts:
    """Return the facts of this desktop, or of the engine's machine where that is another one."""
    if isinstance(engine, ClusterChoice):
        at = BEHIND_POLICIES if engine.fence == "policy" else IN_POD
        return replace(here, rootless=False, shares_files=False, addresses=(), addressing=at)
    if engine is None or engine.shares_files:
        return replace(here, rootless=bool(engine and engine.rootless))
    addresses = tuple(n.removesuffix("/32") for n in engine.networks if is_public_address(n))
    return replace(here, rootless=engine.rootless, shares_files=False, addresses=addresses)


def is_needed(home: Paths, comparison: Comparison, image: Image) -> bool:
    """Tell whether the user's current files still need an image; True if they are invalid."""
    try:
        desired = desired_of(home, check(home, comparison.checked.ref), comparison.record)
    except CompanionError:
        return True
    return image in desired.target.images
