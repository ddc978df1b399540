"""START HERE: reconciling turns an agent.yaml into a running sandbox.

    check → desire → observe → plan → apply

CLI, tray and watcher call this and decide nothing themselves. It is idempotent: a second run
changes nothing, and the next run repairs an interrupted one, because it observes the actual state.
"""

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from companion.desktop import ssh_config
from companion.errors import (
    CompanionError,
    ConfigError,
    Problem,
    StoppedError,
    SupersededError,
    UnreachableError,
    WorldChangedError,
)
from companion.oauth.renew import renew
from companion.project import discovery, inventory, store
from companion.project.agent_lock import agent_lock
from companion.project.model import AgentRef, Project
from companion.project.record import Applied
from companion.reconcile import (
    authority,
    build_dir,
    mounted_files,
    rollback,
    secret_values,
    snapshot,
    trust,
)
from companion.reconcile.allocate import reserve
from companion.reconcile.apply import Applier, Progress
from companion.reconcile.compare import Comparison, compare, desired_of, engine_of, settled
from companion.reconcile.plan import Change, Plan, Reload, Start
from companion.reconcile.snapshot import Snapshot
from companion.reconcile.teardown import last_stop_request
from companion.reconcile.validate import Checked, check
from companion.spec.containers import Image
from companion.system.paths import Paths

_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Report:
    """What reconcile() did, and how to log in; times in seconds."""

    agent: str
    alias: str
    ssh_port: int | None
    engine: str
    change: Change
    plan: Plan
    seconds: float
    login_seconds: float
    grant_problems: tuple[Problem, ...] = ()
    """MCP servers without a valid token, and what the user can do about each."""
    renewed: tuple[str, ...] = ()
    """MCP servers whose tokens were renewed."""


@dataclass(frozen=True, slots=True)
class _Request:
    """The arguments of one call of reconcile(); `begin` is on the monotonic clock."""

    home: Paths
    ref: AgentRef
    progress: Progress
    fresh: bool
    only_if_changed: bool
    unasked: bool
    begin: float
    last_stop_request: int = 0
    """The last stop request for the agent before this call."""


def reconcile(
    home: Paths,
    ref: AgentRef,
    progress: Progress,
    *,
    fresh: bool = False,
    only_if_changed: bool = False,
    unasked: bool = False,
) -> Report:
    """Make the sandbox of one agent match its agent.yaml, and wait until SSH answers.

    Args:
        home: the user's paths.
        ref: where the agent is configured.
        progress: receives one sentence per step.
        fresh: replace every container, even if nothing differs.
        only_if_changed: do not call the engine if nothing differs from the last success.
        unasked: not requested by the user, so run only if the user wants the agent up.

    Raises:
        ConfigError: the files are invalid; nothing was changed.
        StoppedError: the user wants the agent down.
        CompanionError: the engine refused or SSH does not answer.
    """
    begin = time.monotonic()
    request = _Request(home, ref, progress, fresh, only_if_changed, unasked, begin)
    while True:
        try:
            return _attempts(request)
        except SupersededError as error:
            progress(f"{error}: starting over with the newest files")


def _attempts(request: _Request) -> Report:
    """Reconcile; after a conflict, resolve it and retry."""
    home, progress = request.home, request.progress
    _require_wanted(request)
    checked = check(home, request.ref)
    trust.require(home, checked)
    if checked.missing:
        raise ConfigError(checked.missing)
    agent_paths = checked.agent_paths(home)
    request = replace(request, last_stop_request=last_stop_request(agent_paths))
    renewed = _renew(home, checked, progress)
    if renewed:
        checked = check(home, request.ref)
    with agent_lock(agent_paths, progress):
        if request.last_stop_request != last_stop_request(agent_paths):
            raise StoppedError("stopped before the change began")
        _require_wanted(request)
        authority.authority(home, progress)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return replace(_reconcile(request), renewed=renewed)
            except WorldChangedError as error:
                _resolve(request, checked, error, last=attempt == _ATTEMPTS)
            except SupersededError as error:
                if request.last_stop_request != last_stop_request(agent_paths):
                    raise StoppedError("stopped while its image was built") from error
                raise
    raise AssertionError("unreachable")


def _resolve(request: _Request, checked: Checked, error: WorldChangedError, *, last: bool) -> None:
    """Resolve a conflict before the next attempt; raise the error for the user if that is over."""
    home, progress = request.home, request.progress
    if isinstance(error, UnreachableError) and (last or request.unasked):
        raise error  # there is no other version to go back to, and the agent may be at work
    if last or not rollback.can_retry_elsewhere(error, checked):
        raise rollback.roll_back(home, checked, error, progress) from error
    progress(str(error))
    rollback.make_room(home, checked, error, progress)


def _require_wanted(request: _Request) -> None:
    if request.unasked and not inventory.is_wanted(request.home, request.ref):
        raise StoppedError("it is not started")


def _renew(home: Paths, checked: Checked, progress: Progress) -> tuple[str, ...]:
    """Renew the tokens that expire soon; return the names of their servers."""
    trusted, providers = checked.host.trusted_certificates, checked.contribution.providers
    if not providers:
        return ()
    client_secret = partial(secret_values.client_secret, home, checked.ref)
    return renew(home, checked.project.id, providers, client_secret, trusted, progress)


def generate(home: Paths, project: Project, progress: Progress = lambda _: None) -> Path:
    """Write `.build/` as `up` would, without an engine; return its path."""
    authority.authority(home, progress)
    all_checked = [check(home, ref) for ref in discovery.agent_refs(project)]
    for checked in all_checked:
        with agent_lock(checked.agent_paths(home), progress):
            record = reserve(home, checked, None, progress)
            summary = checked.summary
            if record.engine:  # a sandbox may run: what it is stays recorded until `up` changes it
                summary = replace(record.config, uses=summary.uses)
            record = replace(record, config=summary)
            store.write(checked.agent_paths(home), record)
            build_dir.write(home, checked, desired_of(home, checked, record))
    build_dir.write_env_example(home, project)
    store.register(home.project(project.id), project.directory)
    build_dir.clear(project, {checked.config.name for checked in all_checked})
    return project.build


def _reconcile(request: _Request) -> Report:
    home, progress = request.home, request.progress
    checked = check(home, request.ref)
    trust.require(home, checked)
    engine = engine_of(home, checked, store.read(checked.agent_paths(home)))
    record = replace(reserve(home, checked, engine, progress), wanted="up")
    settled_comparison = settled(home, checked, record, engine) if request.only_if_changed else None
    comparison = settled_comparison or compare(home, checked, record, engine, fresh=request.fresh)
    if settled_comparison and not settled_comparison.plan.steps:
        return _report(comparison, request.begin, 0.0)
    try:
        login_seconds = _carry_out(request, comparison)
    except (WorldChangedError, SupersededError):
        raise
    except CompanionError as error:
        if settled_comparison:
            return _reconcile(replace(request, only_if_changed=False))
        raise rollback.roll_back(home, checked, error, progress) from error
    return _report(comparison, request.begin, login_seconds)


def _carry_out(request: _Request, comparison: Comparison) -> float:
    """Write mounted files, perform the plan and record it; return the seconds of the login."""
    home, checked = request.home, comparison.checked
    build_dir.write(home, checked, comparison.desired)
    _claim(home, comparison)
    build_dir.write_env_example(home, checked.project)
    agent_paths = checked.agent_paths(home)
    mounted_files.write(comparison.desired, home, checked)
    ssh_config.sync(home)
    contexts = checked.ref.build(checked.config.name)
    applier = Applier(
        comparison.engine,
        comparison.desired.target,
        contexts,
        home,
        agent_paths,
        request.progress,
        checked.host.build_network,
        lambda image: (
            request.last_stop_request == last_stop_request(agent_paths)
            and _is_wanted(home, comparison, image)
        ),
    )
    login_seconds = applier.perform(comparison.plan)
    _record(home, comparison, complete=True)
    version = Snapshot(comparison.engine.choice, comparison.desired.target, checked.summary)
    snapshot.keep(agent_paths, version)
    if comparison.plan.change is Change.REBUILD:
        applier.remove_stale_images()
    return login_seconds


def _is_wanted(home: Paths, comparison: Comparison, image: Image) -> bool:
    """Tell whether the user's current files still need an image; True if they are invalid."""
    try:
        desired = desired_of(home, check(home, comparison.checked.ref), comparison.record)
    except CompanionError:
        return True
    return image in desired.target.images


def _report(comparison: Comparison, begin: float, login_seconds: float) -> Report:
    return Report(
        agent=comparison.checked.config.name,
        alias=comparison.record.allocation.alias,
        ssh_port=comparison.record.allocation.ssh_port,
        engine=comparison.engine.choice.name,
        change=comparison.plan.change,
        plan=comparison.plan,
        seconds=time.monotonic() - begin,
        login_seconds=login_seconds,
        grant_problems=comparison.checked.grant_problems,
    )


def _claim(home: Paths, comparison: Comparison) -> None:
    """Record what is being started, before anything is.

    If the paths that the agent writes to, or is controlled by, have changed, check again: another
    agent may be checked concurrently. As both record before they check, at least one sees both.

    Raises:
        ConfigError: another agent may write to files that control this one, or the reverse.
    """
    checked, agent_paths = comparison.checked, comparison.checked.agent_paths(home)
    before = store.read(agent_paths)
    _record(home, comparison, complete=not comparison.plan.steps)
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


def _record(home: Paths, comparison: Comparison, *, complete: bool) -> None:
    """Record what is being started; `complete` once all of it succeeded.

    The recorded engine stays the previous one until the agent is removed from it.
    The project is registered after its agent is recorded, so that it is never seen without one.
    """
    checked = comparison.checked
    on = comparison.engine.choice if complete else comparison.was_on or comparison.engine.choice
    record = replace(
        comparison.record.on(on),
        applied=Applied(
            parts={s.name: s.parts for s in comparison.desired.target.services},
            loaded=_loaded(comparison, complete=complete),
            complete=complete,
        ),
        config=checked.summary if complete else checked.summary.joined(comparison.record.config),
    )
    store.write(checked.agent_paths(home), record)
    store.register(home.project(checked.project.id), checked.project.directory)


def _loaded(comparison: Comparison, *, complete: bool) -> dict[str, dict[str, str]]:
    """Return what each service has loaded, without those whose change is under way."""
    if complete:
        return {s.name: dict(s.reloads) for s in comparison.desired.target.services}
    touched = {s.service.name for s in comparison.plan.steps if isinstance(s, Start | Reload)}
    held = comparison.record.applied.loaded
    return {name: dict(entries) for name, entries in held.items() if name not in touched}
