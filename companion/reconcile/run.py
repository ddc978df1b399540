"""START HERE: how does an agent.yaml become a running sandbox?

    check → desire → observe → plan → apply

CLI, tray and watcher call this and decide nothing themselves. Running it twice is the same as
once; dying half-way is repaired by the next run, because every step looks at what is there.
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
)
from companion.reconcile.allocate import reserve
from companion.reconcile.apply import Applier, Progress
from companion.reconcile.compare import Comparison, compare, desired_of, engine_of, settled
from companion.reconcile.plan import Change, Plan, Reload, Start
from companion.reconcile.teardown import last_stop_request
from companion.reconcile.validate import Checked, check
from companion.spec.containers import Image
from companion.system.paths import Paths

_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Report:
    """What reconcile() did, and how to get in now; times in seconds."""

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
    """MCP servers whose tokens were renewed on the way."""


@dataclass(frozen=True, slots=True)
class _Request:
    """One call of reconcile(), as its steps pass it on; `begin` on the monotonic clock."""

    home: Paths
    ref: AgentRef
    progress: Progress
    fresh: bool
    only_if_changed: bool
    unasked: bool
    begin: float
    last_stop_request: int = 0
    """When the agent was last asked to be stopped, before this wish was heard."""


def reconcile(
    home: Paths,
    ref: AgentRef,
    progress: Progress,
    *,
    fresh: bool = False,
    only_if_changed: bool = False,
    unasked: bool = False,
) -> Report:
    """Make the sandbox of one agent what its agent.yaml says, and wait until SSH answers.

    Args:
        home: the user's places.
        ref: where the agent is configured.
        progress: gets one sentence per step.
        fresh: replace every container even if nothing differs.
        only_if_changed: ask the engine nothing if nothing differs from the last success.
        unasked: nobody asked just now, so only if the user wants the agent up.

    Raises:
        ConfigError: the files are wrong; nothing was touched.
        StoppedError: the user wants, or came to want, the agent down.
        CompanionError: the engine refused or SSH does not answer.
    """
    begin = time.monotonic()
    request = _Request(home, ref, progress, fresh, only_if_changed, unasked, begin)
    while True:
        try:
            return _attempts(request)
        except SupersededError as error:
            progress(f"{error}: the newest counts")


def _attempts(request: _Request) -> Report:
    """Reconcile; where something of ours is in the way, make room and try again."""
    home, progress = request.home, request.progress
    _require_wanted(request)
    checked = check(home, request.ref)
    if checked.missing:
        raise ConfigError(checked.missing)
    agent_paths = checked.agent_paths(home)
    request = replace(request, last_stop_request=last_stop_request(agent_paths))
    renewed = _renew(home, checked, progress)
    if renewed:
        checked = check(home, request.ref)
    with agent_lock(agent_paths, progress):
        if request.last_stop_request != last_stop_request(agent_paths):
            raise StoppedError("stopped before it was begun with")
        _require_wanted(request)
        authority.authority(home)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return replace(_reconcile(request), renewed=renewed)
            except WorldChangedError as error:
                if attempt == _ATTEMPTS or not rollback.can_retry_elsewhere(error, checked):
                    raise rollback.roll_back(home, checked, error, progress) from error
                progress(str(error))
                rollback.make_room(home, checked, error, progress)
            except SupersededError as error:
                if request.last_stop_request != last_stop_request(agent_paths):
                    raise StoppedError("stopped while its image was built") from error
                raise
    raise AssertionError("unreachable")


def _require_wanted(request: _Request) -> None:
    if request.unasked and not inventory.is_wanted(request.home, request.ref):
        raise StoppedError("it is not started")


def _renew(home: Paths, checked: Checked, progress: Progress) -> tuple[str, ...]:
    """Renew the tokens that end soon; what comes of it is a secret like any other."""
    trusted, providers = checked.host.trusted_certificates, checked.contribution.providers
    if not providers:
        return ()
    client_secret = partial(secret_values.client_secret, checked.ref)
    return renew(home, checked.project.id, providers, client_secret, trusted, progress)


def generate(home: Paths, project: Project, progress: Progress = lambda _: None) -> Path:
    """Write `.build/` as `up` would, without an engine; return it."""
    authority.authority(home)
    all_checked = [check(home, ref) for ref in discovery.agent_refs(project)]
    for checked in all_checked:
        with agent_lock(checked.agent_paths(home), progress):
            record = replace(reserve(home, checked, None), config=checked.summary)
            store.write(checked.agent_paths(home), record)
            build_dir.write(home, checked, desired_of(home, checked, record))
    build_dir.write_env_example(home, project)
    store.register(home.project(project.id), project.directory)
    build_dir.clear(project, {checked.config.name for checked in all_checked})
    return project.build


def _reconcile(request: _Request) -> Report:
    home, progress = request.home, request.progress
    checked = check(home, request.ref)
    engine = engine_of(home, checked, store.read(checked.agent_paths(home)))
    record = replace(reserve(home, checked, engine), wanted="up")
    quick = settled(home, checked, record, engine) if request.only_if_changed else None
    seen = quick or compare(home, checked, record, engine, fresh=request.fresh)
    if quick and not quick.plan.steps:
        return _report(seen, request.begin, 0.0)
    try:
        waited = _carry_out(request, seen)
    except (WorldChangedError, SupersededError):
        raise
    except CompanionError as error:
        if quick:
            return _reconcile(replace(request, only_if_changed=False))
        raise rollback.roll_back(home, checked, error, progress) from error
    return _report(seen, request.begin, waited)


def _carry_out(request: _Request, seen: Comparison) -> float:
    """Write what is mounted, perform the plan, remember it; return how long the login took."""
    home, checked = request.home, seen.checked
    build_dir.write(home, checked, seen.desired)
    _claim(home, seen)
    build_dir.write_env_example(home, checked.project)
    agent_paths = checked.agent_paths(home)
    mounted_files.write(seen.desired, home, checked)
    ssh_config.sync(home)
    contexts = checked.ref.build(checked.config.name)
    applier = Applier(
        seen.engine,
        seen.desired.target,
        contexts,
        home,
        agent_paths,
        request.progress,
        lambda image: (
            request.last_stop_request == last_stop_request(agent_paths)
            and _is_wanted(home, seen, image)
        ),
    )
    waited = applier.perform(seen.plan)
    _remember(home, seen, complete=True)
    snapshot.keep(agent_paths, seen.engine.choice, seen.desired.target)
    if seen.plan.change is Change.REBUILD:
        applier.remove_stale_images()
    return waited


def _is_wanted(home: Paths, seen: Comparison, image: Image) -> bool:
    """Tell whether the user's files, as they are now, still want an image; if they can be read."""
    try:
        desired = desired_of(home, check(home, seen.checked.ref), seen.record)
    except CompanionError:
        return True
    return image in desired.target.images


def _report(seen: Comparison, begin: float, waited: float) -> Report:
    return Report(
        agent=seen.checked.config.name,
        alias=seen.record.allocation.alias,
        ssh_port=seen.record.allocation.ssh_port,
        engine=seen.engine.choice.name,
        change=seen.plan.change,
        plan=seen.plan,
        seconds=time.monotonic() - begin,
        login_seconds=waited,
        grant_problems=seen.checked.grant_problems,
    )


def _claim(home: Paths, seen: Comparison) -> None:
    """Remember what is being started, before anything is.

    If the agent now writes to other places or is steered from others, check again: another one may
    have been checked at the same time. As both remember before they check, one at least sees both.

    Raises:
        ConfigError: another agent may write to what steers this one, or the reverse.
    """
    checked, agent_paths = seen.checked, seen.checked.agent_paths(home)
    before = store.read(agent_paths)
    _remember(home, seen, complete=not seen.plan.steps)
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


def _remember(home: Paths, seen: Comparison, *, complete: bool) -> None:
    """Remember what is being started; complete only once all of it succeeded.

    Where the agent is on another engine it stays so until it is taken off that.
    The project is known after its agent: who sees the one finds the other.
    """
    checked = seen.checked
    on = seen.engine.choice if complete else seen.was_on or seen.engine.choice
    record = replace(
        seen.record.on(on),
        applied=Applied(
            parts={s.name: s.parts for s in seen.desired.target.services},
            loaded=_loaded(seen, complete=complete),
            complete=complete,
        ),
        config=checked.summary,
    )
    store.write(checked.agent_paths(home), record)
    store.register(home.project(checked.project.id), checked.project.directory)


def _loaded(seen: Comparison, *, complete: bool) -> dict[str, dict[str, str]]:
    """Return what each service has taken in; what is being changed is not certain until the end."""
    if complete:
        return {s.name: dict(s.reloads) for s in seen.desired.target.services}
    touched = {s.service.name for s in seen.plan.steps if isinstance(s, Start | Reload)}
    held = seen.record.applied.loaded
    return {name: dict(entries) for name, entries in held.items() if name not in touched}
