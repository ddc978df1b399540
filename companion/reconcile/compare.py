"""Compare: observes a sandbox on its engine, and plans what leads to the desired state."""

from contextlib import suppress
from dataclasses import replace

from companion.engine.driver import Driver
from companion.engine.model import Choice, ClusterChoice, Observed
from companion.engine.shared_lists import SharedLists
from companion.errors import CompanionError
from companion.project import carried_store, store
from companion.project.model import AgentRef
from companion.project.record import AgentRecord
from companion.reconcile import (
    elsewhere,
    migrate,
    readiness,
    secret_values,
    updates,
)
from companion.reconcile.allocate import propose
from companion.reconcile.comparison import Comparison, Restarts
from companion.reconcile.desire import desired_of
from companion.reconcile.desired import HOST_KEY
from companion.reconcile.drivers import engine_at, engine_of
from companion.reconcile.plan import plan, reloads
from companion.reconcile.steps import Change, Plan, Reload
from companion.reconcile.validate import Checked, check
from companion.system.paths import Paths


def preview(
    home: Paths,
    ref: AgentRef,
    restarts: Restarts = Restarts.NEEDED,
    lists: SharedLists | None = None,
    on: str | None = None,
) -> Comparison:
    """Compare an agent's sandbox without changing anything, or trying what an engine can do.

    A place that the user did not agree to is not asked; the sandbox is taken to be nowhere.

    Args:
        home: where our files are.
        ref: the agent.
        restarts: which containers may be replaced.
        lists: what clusters listed of the project, for a look at all its agents.
        on: the engine or place to use where the config does not choose one.

    Raises:
        CompanionError: the agent's files are invalid, the config contradicts `on`, or the engine
            does not answer.
    """
    checked = check(home, ref)
    elsewhere.wanted(home, checked, on)
    with suppress(CompanionError):  # what cannot be read now is taken to be as it was
        secret_values.fetch(home, ref, checked.contribution, lambda _: None, asks=False)
    record = store.read(checked.agent_paths(home))
    if choice := elsewhere.unasked(home, checked, record):
        return _unasked(home, checked, record, choice)
    engine = engine_of(home, checked, record, on, tries=False, lists=lists)
    proposed = propose(home, checked, record, engine)
    seen = compare(home, checked, proposed, engine, restarts)
    on_cluster = isinstance(engine.choice, ClusterChoice)  # which is asked, but tries nothing
    return refreshed(home, seen, proposed, restarts, lists) if on_cluster else seen


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
    leaving, then = migrate.departures(engine, record), record.on(engine.choice)
    departures = leaving.steps
    desired = desired_of(home, checked, then)
    observed = engine.observe([image.tag for image in desired.target.images], record.applied.parts)
    known = carried_store.read(checked.agent_paths(home), engine.choice)
    if known is None and engine.held_files():
        departures = (*departures, migrate.removal_of_forgotten(engine))
        observed = Observed(images=observed.images)
    fresh = restarts is Restarts.ALL
    todo = plan(desired.target, observed, record, fresh=fresh, departures=departures)
    takes_update = restarts.take_updates
    comparison = Comparison(
        checked,
        record.engine,
        then,
        desired,
        engine,
        observed,
        todo,
        takes_update=takes_update,
        silent=leaving.silent,
    )
    if not takes_update and not departures and todo.change > Change.RELOAD:
        comparison = updates.without_update(home, comparison, record)
    if restarts is not Restarts.NONE and _should_answer(comparison.plan):
        comparison = _reconnected(comparison, record)
    if restarts is Restarts.NONE:
        comparison.require_agent_kept()
    return comparison


def refreshed(
    home: Paths,
    seen: Comparison,
    record: AgentRecord,
    restarts: Restarts,
    lists: SharedLists | None = None,
) -> Comparison:
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
    engine = engine_at(home, seen.checked, choice, lists)
    return compare(home, seen.checked, record, engine, restarts)


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
