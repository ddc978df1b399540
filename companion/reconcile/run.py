"""START HERE: reconciling turns an agent.yaml into a running sandbox.

    check → desire → observe → plan → apply

CLI, tray and watcher call this and decide nothing themselves. It is idempotent: a second run
changes nothing, and the next run repairs an interrupted one, because it observes the actual state.
"""

import time
from dataclasses import dataclass, replace
from functools import partial

from companion import __version__
from companion.engine.driver import Driver
from companion.engine.shared_lists import SharedLists
from companion.errors import (
    CompanionError,
    ConfigError,
    Problem,
    StoppedError,
    SupersededError,
    WorldChangedError,
)
from companion.oauth.renew import renew
from companion.project import inventory, store
from companion.project.agent_lock import agent_lock
from companion.project.model import AgentRef
from companion.project.record import AgentRecord
from companion.reconcile import (
    authority,
    carrying,
    recording,
    rollback,
    secret_values,
    trust,
)
from companion.reconcile.allocate import reserve
from companion.reconcile.compare import compare, refreshed, settled
from companion.reconcile.comparison import Comparison, Restarts
from companion.reconcile.drivers import engine_of
from companion.reconcile.execute import execute
from companion.reconcile.progress import Progress
from companion.reconcile.steps import Change, Plan
from companion.reconcile.teardown import last_stop_request
from companion.reconcile.validate import Checked, check
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths

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
    login_problems: tuple[Problem, ...] = ()
    """Models and MCP servers that it cannot log in to, and what the user can do about each."""
    renewed: tuple[str, ...] = ()
    """MCP servers whose tokens were renewed."""
    update_waits: str = ""
    """What an update of Companion changes at the next restart, in words."""


@dataclass(frozen=True, slots=True)
class _Request:
    """The arguments of one call of reconcile(); `begin` is on the monotonic clock."""

    home: Paths
    ref: AgentRef
    progress: Progress
    begin: float
    restarts: Restarts = Restarts.NEEDED
    only_if_changed: bool = False
    unasked: bool = False
    on: str | None = None
    lists: SharedLists | None = None
    agent: str = ""
    """The agent's name, once its config is known."""
    last_stop_request: int = 0
    """The last stop request for the agent before this call, on the file system's clock."""


def reconcile(
    home: Paths,
    ref: AgentRef,
    progress: Progress,
    *,
    restarts: Restarts = Restarts.NEEDED,
    only_if_changed: bool = False,
    unasked: bool = False,
) -> Report:
    """Make the sandbox of one agent match its agent.yaml, and wait until SSH answers.

    Args:
        home: the user's paths.
        ref: where the agent is configured.
        progress: receives one sentence per step.
        restarts: which containers may be replaced.
        only_if_changed: do not call the engine if nothing differs from the last success.
        unasked: not requested by the user, so run only if the user wants the agent up, and restart
            nothing for an update of Companion.

    Raises:
        ConfigError: the files are invalid; nothing was changed.
        StoppedError: the user wants the agent down.
        CompanionError: the engine refused or SSH does not answer.
    """
    restarts = Restarts.EDITED if unasked else restarts
    return _run(_Request(home, ref, progress, time.monotonic(), restarts, only_if_changed, unasked))


def reload(home: Paths, ref: AgentRef, progress: Progress) -> Report:
    """Do as reconcile() to a sandbox that is wanted up, unless that would restart its agent."""
    request = _Request(home, ref, progress, time.monotonic(), Restarts.NONE)
    return _run(replace(request, only_if_changed=True, unasked=True))


def reconcile_on(
    home: Paths,
    ref: AgentRef,
    progress: Progress,
    on: str | None,
    restarts: Restarts = Restarts.NEEDED,
    lists: SharedLists | None = None,
) -> Report:
    """Do as reconcile(), on an engine or place if the config does not choose one.

    Agents of a project that are reconciled at once share `lists`.
    """
    return _run(_Request(home, ref, progress, time.monotonic(), restarts, on=on, lists=lists))


def _run(request: _Request) -> Report:
    home, ref, progress = request.home, request.ref, request.progress
    while True:
        _require_wanted(request)
        checked = check(home, ref)
        if request.agent != checked.config.name:
            request = _addressed(request, checked)
        try:
            return _attempts(request, checked)
        except SupersededError as error:
            progress(f"{error}: starting over with the newest files")


def _addressed(request: _Request, checked: Checked) -> _Request:
    """Return the request for an agent; a stop request that comes later ends it."""
    last = last_stop_request(checked.agent_paths(request.home))
    return replace(request, agent=checked.config.name, last_stop_request=last)


def _attempts(request: _Request, checked: Checked) -> Report:
    """Reconcile; after a conflict, resolve it and retry."""
    home, progress = request.home, request.progress
    trust.require(home, checked)
    if checked.missing:
        raise ConfigError(checked.missing)
    agent_paths = checked.agent_paths(home)
    secrets = secret_values.fetch(home, request.ref, checked.contribution, progress)
    tokens = _renew(home, checked, progress)
    renewed = (*(f"the token for {name}" for name in tokens), *secrets)
    if renewed:
        checked = check(home, request.ref)
    with agent_lock(agent_paths, progress):
        authority.authority(home, progress)
        for attempt in range(1, _ATTEMPTS + 1):
            _require_wanted(request)
            _require_not_stopped(request, agent_paths, "stopped before the change began")
            try:
                return replace(_reconcile(request), renewed=renewed)
            except WorldChangedError as error:
                is_last = attempt == _ATTEMPTS
                rollback.resolve(
                    home, checked, error, progress, is_last=is_last, unasked=request.unasked
                )
            except SupersededError:
                _require_not_stopped(request, agent_paths, "stopped while its image was built")
                raise
    raise AssertionError("unreachable")


def _require_not_stopped(request: _Request, agent_paths: AgentPaths, what: str) -> None:
    if request.last_stop_request != last_stop_request(agent_paths):
        raise StoppedError(what)


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


def _reconcile(request: _Request) -> Report:
    """Compare, and carry out the plan; if that fails, go back to the previous version."""
    home, progress = request.home, request.progress
    checked = check(home, request.ref)
    trust.require(home, checked)
    known, lists = store.read(checked.agent_paths(home)), request.lists
    engine = engine_of(home, checked, known, request.on, lists=lists)
    record = replace(reserve(home, checked, engine, progress), wanted="up")
    remembered = _remembered(request, checked, record, engine)
    comparison = remembered or compare(home, checked, record, engine, request.restarts)
    comparison = refreshed(home, comparison, record, request.restarts, lists)
    is_kept = bool(remembered or comparison.waits_for) and not comparison.plan.steps
    if is_kept and not carrying.of(home, comparison).is_due():
        if record.applied.version != __version__:
            recording.record(home, comparison, complete=True)
        return _report(comparison, request.begin, 0.0)
    if comparison.plan.change is Change.REBUILD:
        comparison.engine.require_user_ids()  # whoever turns mapping on loses all images
    try:
        login_seconds = execute(home, comparison, progress, request.last_stop_request)
        return _report(comparison, request.begin, login_seconds)
    except (WorldChangedError, SupersededError, StoppedError):
        raise
    except CompanionError as error:
        if remembered:
            return _reconcile(replace(request, only_if_changed=False))
        raise rollback.roll_back(home, checked, error, progress) from error


def _remembered(
    request: _Request, checked: Checked, record: AgentRecord, engine: Driver
) -> Comparison | None:
    """Compare with the record; None if the engine must be observed before anything changes."""
    if not request.only_if_changed:
        return None
    found = settled(request.home, checked, record, engine)
    may_restart = request.restarts is Restarts.NONE and found and found.plan.steps
    return None if may_restart else found


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
        login_problems=comparison.checked.login_problems,
        update_waits=comparison.update_waits,
    )
