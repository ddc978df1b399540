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

from companion import desktop, files, generated, last_good, observe, provision, state_file
from companion.apply import Applier, Progress
from companion.check import Checked, check
from companion.desired import Desired, desire
from companion.engine import Engine, detect
from companion.errors import (
    AddressHeldError,
    CompanionError,
    ConfigError,
    PortTakenError,
    RolledBackError,
    SubnetTakenError,
)
from companion.observe import Project
from companion.paths import AgentPaths, Paths
from companion.plan import Change, Plan, Reload, Start, plan, reloads
from companion.reserve import reserve
from companion.sandbox import Allocation, Sandbox
from companion.state import Observed, Written

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
    """A project seen whole: what should be, what is, and the way from here to there."""

    checked: Checked
    written: Written
    desired: Desired
    engine: Engine
    observed: Observed
    plan: Plan


def reconcile(
    home: Paths,
    directory: Path,
    progress: Progress,
    *,
    fresh: bool = False,
    only_if_changed: bool = False,
) -> Report:
    """Make the sandbox of a project what its agent.yaml says, and wait until SSH answers.

    Args:
        home: the user's places.
        directory: the project.
        progress: gets one sentence per step.
        fresh: replace every container even if nothing differs.
        only_if_changed: ask the engine nothing if nothing differs from the last success.

    Raises:
        ConfigError: the files are wrong; nothing was touched.
        CompanionError: the engine refused or SSH does not answer.
    """
    project = observe.project(directory)
    begin = time.monotonic()
    with _locked(home, project, progress):
        checked = check(home, project)
        if checked.missing:
            raise ConfigError(checked.missing)
        provision.authority(home)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return _reconcile(
                    home, project, progress, begin, fresh=fresh, only_if_changed=only_if_changed
                )
            except (AddressHeldError, PortTakenError, SubnetTakenError) as error:
                if attempt == _ATTEMPTS or not _may_move(error, checked):
                    raise _roll_back(home, project, checked.config.name, error, progress) from error
                progress(str(error))
                _make_room(home, project, checked.config.name, error, progress)
    raise AssertionError("unreachable")


def look(home: Paths, directory: Path, *, fresh: bool = False) -> Look:
    """Look at a project without changing anything.

    Raises:
        CompanionError: its files are wrong or the engine does not answer.
    """
    project = observe.project(directory)
    checked = check(home, project)
    written = state_file.read(home.project(project.id), project.directory)
    engine = Engine(detect(checked.config.container_runtime, written.engine), project.id)
    return _look(home, checked, reserve(home, checked, written, engine), engine, fresh=fresh)


def generate(home: Paths, directory: Path) -> Path:
    """Write `.build/` as `up` would, without an engine; return it."""
    project = observe.project(directory)
    with _locked(home, project, lambda _: None):
        provision.authority(home)
        checked = check(home, project)
        written = state_file.read(home.project(project.id), project.directory)
        written = reserve(home, checked, written, None)
        generated.write(checked, _desired(home, checked, written))
    return project.build


def down(home: Paths, project: Project, progress: Progress, *, volumes: bool = False) -> bool:
    """Remove a project's containers and networks, and its volumes if asked.

    Works without a readable agent.yaml. Returns False if nothing was there.
    """
    with _locked(home, project, progress):
        place = home.project(project.id)
        written = state_file.read(place, project.directory)
        engine = Engine(detect(None, written.engine), project.id)
        observed = observe.engine(engine)
        _remove_all(engine, observed, progress)
        removed = engine.remove_volumes() if volumes else 0
        records = {
            name: replace(r, complete=False, parts={}, loaded={})
            for name, r in written.agents.items()
        }
        if place.state.exists():
            state_file.write(place, replace(written, wanted="down", agents=records))
    return bool(observed.containers or observed.networks or removed)


def _remove_all(engine: Engine, observed: Observed, progress: Progress) -> None:
    """Remove containers, dependents first (agent, gateway, net), and then networks."""
    for container in sorted(observed.containers, key=lambda c: c.role):
        progress(f"removing {container.service}")
        engine.call(*engine.dialect.remove, container.name)
    for network in observed.networks:
        engine.call(*engine.dialect.remove_network, f"{engine.project}_{network}")


def _leave_engine(written: Written, engine: Engine, progress: Progress) -> None:
    """Take the sandbox off the engine that it ran on before; its volumes stay there."""
    if written.engine is None or written.engine.name == engine.choice.name:
        return
    old = Engine(written.engine, engine.project)
    if old.answers():
        progress(f"moving from {written.engine.name} to {engine.choice.name}; volumes stay behind")
        _remove_all(old, observe.engine(old), progress)


def _reconcile(
    home: Paths,
    project: Project,
    progress: Progress,
    begin: float,
    *,
    fresh: bool,
    only_if_changed: bool,
) -> Report:
    checked = check(home, project)
    place = home.project(project.id)
    written = state_file.read(place, project.directory)
    engine = Engine(detect(checked.config.container_runtime, written.engine), project.id)
    _leave_engine(written, engine, progress)
    written = reserve(home, checked, written, engine)
    written = replace(written, wanted="up", engine=engine.choice)
    desired, record = _desired(home, checked, written), written.agents[checked.config.name]
    quick = reloads(desired.target, record) if only_if_changed else None
    if quick == Plan(()):
        return _report(checked, written, engine, quick, begin, 0.0)
    if quick:
        seen = Look(checked, written, desired, engine, Observed(), quick)
    else:
        seen = _look(home, checked, written, engine, fresh=fresh)
    try:
        return _carry_out(home, seen, begin, progress)
    except (AddressHeldError, PortTakenError, SubnetTakenError):
        raise
    except CompanionError as error:
        if quick:
            return _reconcile(home, project, progress, begin, fresh=fresh, only_if_changed=False)
        raise _roll_back(home, project, checked.config.name, error, progress) from error


def _carry_out(home: Paths, seen: Look, begin: float, progress: Progress) -> Report:
    """Write what the containers mount, perform the plan, and remember what was done."""
    checked = seen.checked
    generated.write(checked, seen.desired)
    _remember(home, checked, seen, complete=not seen.plan.steps)
    places = _places(home, checked)
    provision.mounted_files(seen.desired, home, places, checked.secrets)
    desktop.sync(home)
    contexts = checked.project.build / checked.config.name
    applier = Applier(seen.engine, seen.desired.target, contexts, home, places, progress)
    waited = applier.perform(seen.plan)
    _remember(home, checked, seen, complete=True)
    last_good.keep(places, seen.desired.target)
    if seen.plan.change is Change.REBUILD:
        applier.remove_stale_images()
    return _report(checked, seen.written, seen.engine, seen.plan, begin, waited)


def _roll_back(
    home: Paths, project: Project, agent: str, error: CompanionError, progress: Progress
) -> CompanionError:
    """Bring back what ran before; return what to tell the user. Volumes keep what was written."""
    place = home.project(project.id)
    target = last_good.restore(place.agent(agent))
    written = state_file.read(place, project.directory)
    if target is None or written.engine is None:
        return error
    progress("going back to what ran before")
    record = replace(written.agents[agent], parts={}, loaded={}, complete=False)
    kept = replace(record.allocation, ssh_port=target.login.port if target.login else None)
    record = replace(record, allocation=kept)
    state_file.write(place, replace(written, agents={**written.agents, agent: record}))
    desktop.sync(home)
    engine = Engine(written.engine, project.id)
    applier = Applier(engine, target, project.build / agent, home, place.agent(agent), progress)
    try:
        applier.perform(plan(target, observe.engine(engine), record))
    except CompanionError as worse:
        what = f"{error}; and what ran before did not come back: {worse}"
        return CompanionError(what, "correct agent.yaml and run `companion up`")
    return RolledBackError(str(error), "the sandbox that ran before is back")


def _report(
    checked: Checked, written: Written, engine: Engine, done: Plan, begin: float, waited: float
) -> Report:
    kept = written.agents[checked.config.name].allocation
    return Report(
        agent=checked.config.name,
        alias=kept.alias,
        ssh_port=kept.ssh_port,
        engine=engine.choice.name,
        change=done.change,
        plan=done,
        seconds=time.monotonic() - begin,
        login_seconds=waited,
    )


def _look(home: Paths, checked: Checked, written: Written, engine: Engine, *, fresh: bool) -> Look:
    desired = _desired(home, checked, written)
    observed = observe.engine(engine)
    record = written.agents[checked.config.name]
    return Look(
        checked,
        written,
        desired,
        engine,
        observed,
        plan(desired.target, observed, record, fresh=fresh),
    )


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
        log_level=config.log_level,
        workdir=checked.workdir,
        allocation=kept,
        host=checked.host,
        found=checked.found,
    )


def _desired(home: Paths, checked: Checked, written: Written) -> Desired:
    sandbox = sandbox_of(checked, written.agents[checked.config.name].allocation)
    seals = provision.seals(checked.secrets, written.salt)
    return desire(sandbox, observe.assets(), _places(home, checked), seals)


def _places(home: Paths, checked: Checked) -> AgentPaths:
    return home.project(checked.project.id).agent(checked.config.name)


def _remember(home: Paths, checked: Checked, seen: Look, *, complete: bool) -> None:
    """Remember what is being started; complete only once all of it succeeded."""
    record = replace(
        seen.written.agents[checked.config.name],
        user=checked.program.user,
        workdir=checked.workdir,
        acp_command=checked.program.acp_command,
        parts={s.name: s.parts for s in seen.desired.target.services},
        loaded=_loaded(seen, complete=complete),
        complete=complete,
    )
    agents = {**seen.written.agents, checked.config.name: record}
    place = home.project(checked.project.id)
    state_file.write(place, replace(seen.written, agents=agents))


def _loaded(seen: Look, *, complete: bool) -> dict[str, dict[str, str]]:
    """Return what each service has taken in; what is being changed is not certain until the end."""
    if complete:
        return {s.name: dict(s.reloads) for s in seen.desired.target.services}
    before = seen.written.agents[seen.checked.config.name].loaded
    touched = {s.service.name for s in seen.plan.steps if isinstance(s, Start | Reload)}
    return {name: dict(held) for name, held in before.items() if name not in touched}


def _may_move(error: CompanionError, checked: Checked) -> bool:
    """Tell whether another choice may help: a port that the config names may not move."""
    chosen_by_user = any(server.port for server in checked.whole.ssh)
    return not (isinstance(error, PortTakenError) and chosen_by_user)


def _make_room(
    home: Paths, project: Project, agent: str, error: CompanionError, progress: Progress
) -> None:
    """Do what lets the next attempt succeed: take the pieces away, or choose another place.

    podman keeps the address of a container whose removal was killed; it forgets with the network.
    """
    place = home.project(project.id)
    written = state_file.read(place, project.directory)
    if isinstance(error, AddressHeldError) and written.engine:
        engine = Engine(written.engine, project.id)
        _remove_all(engine, observe.engine(engine), progress)
        return
    agents = dict(written.agents)
    if isinstance(error, PortTakenError) and agent in agents:
        kept = replace(agents[agent].allocation, ssh_port=None)
        agents[agent] = replace(agents[agent], allocation=kept)
    else:
        agents.pop(agent, None)
    state_file.write(place, replace(written, agents=agents))


@contextmanager
def _locked(home: Paths, project: Project, progress: Progress) -> Iterator[None]:
    path = home.project(project.id).lock
    with files.lock(path, wait=False) as mine:
        if mine:
            yield
            return
    progress("waiting for another companion that works on this project")
    with files.lock(path):
        yield
