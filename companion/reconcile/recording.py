"""Recording: what a change writes into the agent's record, before it begins and when it is done."""

from contextlib import suppress
from dataclasses import replace

from companion import __version__
from companion.errors import CompanionError, ConfigError
from companion.project import store
from companion.project.record import AgentRecord, Applied, ConfigSummary
from companion.reconcile import mount_guard, snapshot
from companion.reconcile.comparison import Comparison
from companion.reconcile.steps import Reload, Start
from companion.reconcile.validate import check
from companion.spec.identity import Role
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths


def claim(home: Paths, comparison: Comparison) -> None:
    """Record what is being started, before anything is.

    If the paths that the agent writes to, or is controlled by, have changed, check again: another
    agent may be checked concurrently. As both record before they check, at least one sees both.

    Raises:
        ConfigError: another agent may write to files that control this one, or the reverse.
    """
    checked, agent_paths = comparison.checked, comparison.checked.agent_paths(home)
    before = store.read(agent_paths)
    if before and before.applied.complete:
        _complete_snapshot(agent_paths, before)
    record(home, comparison, complete=not comparison.plan.steps)
    if before is None or (before.config.steered_by, before.config.writes) == (
        checked.steered_by,
        checked.writes,
    ):
        return
    try:
        check(home, checked.ref)
    except ConfigError:
        store.write(agent_paths, before)
        raise


def _complete_snapshot(agent_paths: AgentPaths, before: AgentRecord) -> None:
    """Keep what runs, and who started it, for a rollback: earlier versions only recorded that."""
    with suppress(CompanionError):  # a damaged snapshot is reported by a rollback
        last = snapshot.read(agent_paths)
        if last and not (last.parts and last.started_by):
            parts, version = last.parts or before.applied.parts, before.applied.version
            snapshot.set_started(agent_paths, parts, version)


def record(home: Paths, comparison: Comparison, *, complete: bool) -> None:
    """Record what is being started; `complete` once all of it succeeded.

    The recorded engine stays the previous one until the agent is removed from it.
    The project is registered after its agent is recorded, so that it is never seen without one.
    """
    checked = comparison.checked
    on = comparison.engine.choice if complete else comparison.was_on or comparison.engine.choice
    config = summary(comparison)
    if not complete and comparison.record.engine:  # containers of what was recorded may run
        config = config.joined(comparison.record.config)
    before = comparison.record.on(on)
    if complete and comparison.silent is not None:
        before = before.cleared(comparison.silent)
    new = replace(
        before,
        applied=_applied(comparison, complete=complete),
        config=config,
    )
    store.write(checked.agent_paths(home), new)
    store.register(home.project(checked.project.id), checked.project.directory)


def summary(comparison: Comparison) -> ConfigSummary:
    """Return what the record keeps of the config, and of what runs where an update waits."""
    agent = comparison.desired.target.service(Role.AGENT)
    new = replace(comparison.checked.summary, guards=mount_guard.guards(agent))
    return new.waiting(comparison.record.config) if comparison.waits_for else new


def _applied(comparison: Comparison, *, complete: bool) -> Applied:
    """Return what is applied, and by which version.

    That is this one from the beginning if the user asked for its update: a run that dies half-way
    is continued by whoever looks next.
    """
    loaded = _loaded(comparison, complete=complete)
    before = comparison.record.applied
    new = replace(before, parts=comparison.parts, loaded=loaded, complete=complete)
    if comparison.waits_for:
        return replace(new, waits_for=comparison.waits_for, saved=comparison.saved)
    if complete or comparison.takes_update:
        return replace(new, version=__version__, waits_for="", saved=())
    return new


def withdraw(home: Paths, comparison: Comparison) -> None:
    """Record that the sandbox is still as it was started, unless it left its engine by now.

    What it has loaded stays uncertain: what it mounts is written already.
    """
    agent_paths, before = comparison.checked.agent_paths(home), comparison.record.applied
    now = store.read(agent_paths)
    if now and comparison.was_on in {None, now.engine}:
        applied = replace(before, loaded=now.applied.loaded, complete=False)
        store.write(agent_paths, replace(now, applied=applied))


def _loaded(comparison: Comparison, *, complete: bool) -> dict[str, dict[str, str]]:
    """Return what each service has loaded, without those whose change is under way."""
    if complete:
        return {s.name: dict(s.reloads) for s in comparison.desired.target.services}
    touched = {s.service.name for s in comparison.plan.steps if isinstance(s, Start | Reload)}
    held = comparison.record.applied.loaded
    return {name: dict(entries) for name, entries in held.items() if name not in touched}
