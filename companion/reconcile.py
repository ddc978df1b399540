"""START HERE: how does an agent.yaml become a running sandbox?

    check → desire → observe → plan → apply

CLI, tray and watcher call this and decide nothing themselves. Running it twice is the same as
once; dying half-way is repaired by the next run, because every step looks at what is there.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from companion import (
    desktop,
    files,
    generated,
    last_good,
    observe,
    provision,
    seats,
    state_file,
    way_back,
)
from companion.apply import Applier, Progress, remove_all
from companion.check import Checked, check
from companion.desired import Desired, desire
from companion.engine import Engine, detect
from companion.errors import (
    AddressHeldError,
    CompanionError,
    ConfigError,
    PortTakenError,
    SubnetTakenError,
    SupersededError,
)
from companion.paths import AgentPaths, Paths
from companion.plan import Change, Plan, Reload, Start, plan, reloads
from companion.reserve import is_complete, reserve
from companion.sandbox import Allocation, Sandbox
from companion.seats import Project, Seat
from companion.services import Image
from companion.state import AgentRecord, Observed

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


@dataclass(frozen=True, slots=True)
class Look:
    """An agent seen whole: what should be, what is, and the way from here to there."""

    checked: Checked
    record: AgentRecord
    desired: Desired
    engine: Engine
    observed: Observed
    plan: Plan


def reconcile(
    home: Paths,
    seat: Seat,
    progress: Progress,
    *,
    fresh: bool = False,
    only_if_changed: bool = False,
) -> Report:
    """Make the sandbox of one agent what its agent.yaml says, and wait until SSH answers.

    Args:
        home: the user's places.
        seat: where the agent is configured.
        progress: gets one sentence per step.
        fresh: replace every container even if nothing differs.
        only_if_changed: ask the engine nothing if nothing differs from the last success.

    Raises:
        ConfigError: the files are wrong; nothing was touched.
        CompanionError: the engine refused or SSH does not answer.
    """
    begin = time.monotonic()
    while True:
        try:
            return _attempts(
                home, seat, progress, begin, fresh=fresh, only_if_changed=only_if_changed
            )
        except SupersededError as error:
            progress(f"{error}: the newest counts")


def _attempts(
    home: Paths,
    seat: Seat,
    progress: Progress,
    begin: float,
    *,
    fresh: bool,
    only_if_changed: bool,
) -> Report:
    """Reconcile; where something of ours is in the way, make room and try again."""
    checked = check(home, seat)
    if checked.missing:
        raise ConfigError(checked.missing)
    with _locked(checked.places(home), progress):
        provision.authority(home)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return _reconcile(
                    home, seat, progress, begin, fresh=fresh, only_if_changed=only_if_changed
                )
            except (AddressHeldError, PortTakenError, SubnetTakenError) as error:
                if attempt == _ATTEMPTS or not way_back.may_move(error, checked):
                    raise way_back.roll_back(home, checked, error, progress) from error
                progress(str(error))
                way_back.make_room(home, checked, error, progress)
    raise AssertionError("unreachable")


def look(home: Paths, seat: Seat, *, fresh: bool = False) -> Look:
    """Look at an agent without changing anything.

    Raises:
        CompanionError: its files are wrong or the engine does not answer.
    """
    checked = check(home, seat)
    record = state_file.read(checked.places(home))
    engine = _engine(checked, record)
    return _look(home, checked, reserve(home, checked, record, engine), engine, fresh=fresh)


def generate(home: Paths, project: Project) -> Path:
    """Write `.build/` as `up` would, without an engine; return it."""
    provision.authority(home)
    all_checked = [check(home, seat) for seat in seats.seats(project)]
    for checked in all_checked:
        with _locked(checked.places(home), lambda _: None):
            record = _reserved(home, checked, None)
            record = replace(record, uses=checked.uses)
            state_file.write(checked.places(home), record)
            _generate(home, checked, _desired(home, checked, record))
    state_file.know(home.project(project.id), project.directory)
    generated.clear(project, {checked.config.name for checked in all_checked})
    return project.build


def down(
    home: Paths,
    project: Project,
    agent: str,
    progress: Progress,
    *,
    volumes: bool = False,
    wanted: Literal["down", "gone"] = "down",
) -> bool:
    """Remove an agent's containers and networks, and its volumes if asked.

    Works without a readable agent.yaml. Returns False if nothing was there.
    """
    places = home.project(project.id).agent(agent)
    with _locked(places, progress):
        record = state_file.read(places)
        if record is None or record.engine is None:
            return False
        engine = Engine(record.engine, project.id, agent)
        observed = observe.engine(engine)
        remove_all(engine, observed, progress)
        removed = engine.remove_volumes() if volumes else 0
        record = replace(record, wanted=wanted, complete=False, parts={}, loaded={})
        state_file.write(places, record)
    return bool(observed.containers or observed.networks or removed)


def _leave_engine(record: AgentRecord, engine: Engine, progress: Progress) -> None:
    """Take the sandbox off the engine that it ran on before; its volumes stay there."""
    if record.engine is None or record.engine.name == engine.choice.name:
        return
    old = replace(engine, choice=record.engine)
    if old.answers():
        progress(f"moving from {old.choice.name} to {engine.choice.name}; volumes stay behind")
        remove_all(old, observe.engine(old), progress)


def _reconcile(
    home: Paths,
    seat: Seat,
    progress: Progress,
    begin: float,
    *,
    fresh: bool,
    only_if_changed: bool,
) -> Report:
    checked = check(home, seat)
    before = state_file.read(checked.places(home))
    engine = _engine(checked, before)
    if before:
        _leave_engine(before, engine, progress)
    record = _reserved(home, checked, engine)
    record = replace(record, wanted="up", engine=engine.choice)
    desired = _desired(home, checked, record)
    quick = reloads(desired.target, record) if only_if_changed else None
    if quick == Plan(()):
        return _report(checked, record, engine, quick, begin, 0.0)
    if quick:
        seen = Look(checked, record, desired, engine, Observed(), quick)
    else:
        seen = _look(home, checked, record, engine, fresh=fresh)
    try:
        return _carry_out(home, seen, begin, progress)
    except (AddressHeldError, PortTakenError, SubnetTakenError, SupersededError):
        raise
    except CompanionError as error:
        if quick:
            return _reconcile(home, seat, progress, begin, fresh=fresh, only_if_changed=False)
        raise way_back.roll_back(home, checked, error, progress) from error


def _carry_out(home: Paths, seen: Look, begin: float, progress: Progress) -> Report:
    """Write what the containers mount, perform the plan, and remember what was done."""
    checked = seen.checked
    _generate(home, checked, seen.desired)
    _remember(home, seen, complete=not seen.plan.steps)
    places = checked.places(home)
    provision.mounted_files(seen.desired, home, places, checked.secrets)
    desktop.sync(home)
    contexts = checked.seat.build(checked.config.name)
    applier = Applier(
        seen.engine,
        seen.desired.target,
        contexts,
        home,
        places,
        progress,
        lambda image: _is_wanted(home, seen, image),
    )
    waited = applier.perform(seen.plan)
    _remember(home, seen, complete=True)
    last_good.keep(places, seen.desired.target)
    if seen.plan.change is Change.REBUILD:
        applier.remove_stale_images()
    return _report(checked, seen.record, seen.engine, seen.plan, begin, waited)


def _is_wanted(home: Paths, seen: Look, image: Image) -> bool:
    """Tell whether the user's files, as they are now, still want an image; if they can be read."""
    try:
        desired = _desired(home, check(home, seen.checked.seat), seen.record)
    except CompanionError:
        return True
    return image in desired.target.images


def _generate(home: Paths, checked: Checked, desired: Desired) -> None:
    """Write what is generated; .env.example names what all agents of the project use."""
    others = state_file.of_project(home, checked.project).agents.values()
    uses = {name: use for record in others for name, use in record.uses.items()}
    generated.write(checked, desired, {**uses, **checked.uses})


def _report(
    checked: Checked, record: AgentRecord, engine: Engine, done: Plan, begin: float, waited: float
) -> Report:
    return Report(
        agent=checked.config.name,
        alias=record.allocation.alias,
        ssh_port=record.allocation.ssh_port,
        engine=engine.choice.name,
        change=done.change,
        plan=done,
        seconds=time.monotonic() - begin,
        login_seconds=waited,
    )


def _look(
    home: Paths, checked: Checked, record: AgentRecord, engine: Engine, *, fresh: bool
) -> Look:
    desired, observed = _desired(home, checked, record), observe.engine(engine)
    todo = plan(desired.target, observed, record, fresh=fresh)
    return Look(checked, record, desired, engine, observed, todo)


def sandbox_of(checked: Checked, kept: Allocation) -> Sandbox:
    """Return the sandbox that a checked config means, at the places that were allocated."""
    config = checked.config
    return Sandbox(
        project=checked.project.id,
        agent=config.name,
        program=checked.program,
        whole=checked.whole,
        egress=config.egress,
        limits=config.limits,
        gateway=config.gateway,
        log_level=config.log_level,
        workdir=checked.workdir,
        allocation=kept,
        host=checked.host,
        found=checked.found,
    )


def _desired(home: Paths, checked: Checked, record: AgentRecord) -> Desired:
    sandbox = sandbox_of(checked, record.allocation)
    seals = provision.seals(checked.secrets, record.salt)
    return desire(sandbox, observe.assets(), checked.places(home), seals)


def _engine(checked: Checked, record: AgentRecord | None) -> Engine:
    choice = detect(checked.config.container_runtime, record.engine if record else None)
    return Engine(choice, checked.project.id, checked.config.name)


def _reserved(home: Paths, checked: Checked, engine: Engine | None) -> AgentRecord:
    """Return the agent's record with all that must be chosen; what is chosen is remembered."""
    places = checked.places(home)
    record = state_file.read(places)
    if record and is_complete(checked, record):
        return record
    with files.lock(home.allocation_lock):
        record = reserve(home, checked, record, engine)
        state_file.write(places, record)
    return record


def _remember(home: Paths, seen: Look, *, complete: bool) -> None:
    """Remember what is being started; complete only once all of it succeeded.

    The project is known after its agent: who sees the one finds the other.
    """
    checked = seen.checked
    record = replace(
        seen.record,
        user=checked.program.user,
        workdir=checked.workdir,
        acp_command=checked.program.acp_command,
        parts={s.name: s.parts for s in seen.desired.target.services},
        loaded=_loaded(seen, complete=complete),
        complete=complete,
        uses=checked.uses,
    )
    state_file.write(checked.places(home), record)
    state_file.know(home.project(checked.project.id), checked.project.directory)


def _loaded(seen: Look, *, complete: bool) -> dict[str, dict[str, str]]:
    """Return what each service has taken in; what is being changed is not certain until the end."""
    if complete:
        return {s.name: dict(s.reloads) for s in seen.desired.target.services}
    touched = {s.service.name for s in seen.plan.steps if isinstance(s, Start | Reload)}
    return {name: dict(held) for name, held in seen.record.loaded.items() if name not in touched}


@contextmanager
def _locked(place: AgentPaths, progress: Progress) -> Iterator[None]:
    with files.lock(place.lock, wait=False) as mine:
        if mine:
            yield
            return
    progress("waiting for another companion that works on this agent")
    with files.lock(place.lock):
        yield
