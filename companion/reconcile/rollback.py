"""Rollback: after a failed change, resolve the conflict or restore the previous version."""

import re
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv4Network

from companion.desktop import ssh_config
from companion.engine.model import Observed
from companion.errors import (
    AddressHeldError,
    CompanionError,
    PortTakenError,
    RolledBackError,
    StoppedError,
    SubnetTakenError,
    UnreachableError,
    WorldChangedError,
)
from companion.project import store
from companion.reconcile import allocate, migrate, mount_guard, mounted_files, snapshot
from companion.reconcile.apply import Applier, remove_all, remove_sandbox
from companion.reconcile.carrying import Carrying
from companion.reconcile.drivers import engine_at
from companion.reconcile.plan import plan
from companion.reconcile.progress import Progress
from companion.reconcile.steps import Start
from companion.reconcile.teardown import last_stop_request
from companion.reconcile.validate import Checked
from companion.spec.identity import Role
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths


def resolve(
    home: Paths,
    checked: Checked,
    error: WorldChangedError,
    progress: Progress,
    *,
    is_last: bool,
    unasked: bool,
) -> None:
    """Resolve a conflict, so that the change can be tried again.

    Raises:
        CompanionError: it is not resolved, or this was the last attempt; for the user.
    """
    if isinstance(error, UnreachableError) and (is_last or unasked):
        raise error  # there is no other version to go back to, and the agent may be at work
    if is_last or not _can_retry_elsewhere(error, checked):
        raise roll_back(home, checked, error, progress) from error
    _make_room(home, checked, error, progress, unasked=unasked)


def roll_back(
    home: Paths,
    checked: Checked,
    error: CompanionError,
    progress: Progress,
) -> CompanionError:
    """Restore the previous version, except volumes; return the error for the user.

    What still runs as that version started it stays, whichever version of Companion that was.
    """
    agent_paths = checked.agent_paths(home)
    try:
        previous, record = snapshot.read(agent_paths), store.read(agent_paths)
    except CompanionError as unreadable:
        what = f"{_located(error)}\nThere is no version to roll back to: {_located(unreadable)}"
        return CompanionError(what, error.problems[0].hint, code=error.problems[0].code)
    if previous is None or record is None:
        return error
    snapshot.restore_files(agent_paths)
    engine = engine_at(home, checked, previous.engine)
    target = previous.target
    progress("rolling back to the previous version")
    mounted_files.refresh_tokens(home, checked)
    kept = replace(record.allocation, ssh_port=target.login.port if target.login else None)
    config = previous.config or record.config
    parts = {s.name: previous.parts.get(s.name, s.parts) for s in target.services}
    version = previous.started_by
    applied = replace(record.applied, parts=parts, loaded={}, complete=False, version=version)
    record = replace(record, allocation=kept, applied=applied, config=config)
    store.write(agent_paths, record)
    ssh_config.sync(home)
    stopped = last_stop_request(agent_paths)
    carrying = Carrying(engine, target, agent_paths, checked.host.uid)
    applier = Applier(
        engine,
        target,
        home,
        agent_paths,
        progress,
        is_awaited=lambda: last_stop_request(agent_paths) == stopped,
        prepare=partial(mount_guard.prepare_again, home, checked, config.writes),
        carrying=carrying,
    )
    try:
        leaving = migrate.departures(engine, record)
        images = [image.tag for image in target.images]
        observed = previous.recognised(engine.observe(images))
        way_back = plan(target, observed, record, departures=leaving.steps)
        anew = {s.service.name: s.service.parts for s in way_back.steps if isinstance(s, Start)}
        if anew:
            parts |= anew
            store.write(agent_paths, replace(record, applied=replace(applied, parts=parts)))
        applier.perform(way_back)
        carrying.carry(anew=False)
        if anew:
            snapshot.set_started(agent_paths, parts, version)
        loaded = {s.name: dict(s.reloads) for s in target.services}
        now = (store.read(agent_paths) or record).cleared(leaving.silent)
        store.write(agent_paths, replace(now, applied=replace(applied, parts=parts, loaded=loaded)))
    except StoppedError:
        raise
    except CompanionError as rollback_error:
        what = f"{error}; the rollback failed, too: {rollback_error}"
        return CompanionError(what, "correct agent.yaml and run `companion up`")
    how = "is running again" if way_back.starts else "is still running"
    return _rolled_back(error, f"the previous version {how}")


def _rolled_back(error: CompanionError, outcome: str) -> RolledBackError:
    """Return what failed, where, and what runs now."""
    first, *others = error.problems
    what = _located(error) if others else first.what
    failure = RolledBackError(f"{what}\n{outcome}", first.hint)
    place = None if others else first.place
    failure.problems = tuple(one._replace(place=place) for one in failure.problems)
    return failure


def _located(error: CompanionError) -> str:
    return "\n".join(problem.located for problem in error.problems)


def _can_retry_elsewhere(error: CompanionError, checked: Checked) -> bool:
    """Tell whether another allocation may help; a configured port must not change."""
    if not isinstance(error, PortTakenError):
        return True
    published = {port.host for port in checked.contribution.ports}
    chosen_by_user = any(server.port for server in checked.contribution.ssh)
    is_of_ssh = error.port not in published if error.port else not published
    return is_of_ssh and not chosen_by_user


def _make_room(
    home: Paths, checked: Checked, error: WorldChangedError, progress: Progress, *, unasked: bool
) -> None:
    """Resolve a conflict before the next attempt: remove containers, or reallocate.

    A missing image needs nothing: the next plan builds it.

    Raises:
        WorldChangedError: that would end the agent's work, and its user asked for nothing.
    """
    agent_paths, again = checked.agent_paths(home), f"{error.problems[0].what}: trying again"
    record = store.read(agent_paths)
    if record is None or record.engine is None:
        progress(again)
        return
    engine = engine_at(home, checked, record.engine)
    held = Observed()
    if isinstance(error, AddressHeldError):
        held = _on_network_of(error, engine.observe(), agent_paths)
    if unasked and any(c.role is Role.AGENT and c.running for c in held.containers):
        raise error
    progress(again)
    remove_sandbox(engine, held, progress)
    if isinstance(error, UnreachableError):
        remove_all(engine, engine.observe(), progress)
    elif isinstance(error, PortTakenError):
        allocate.change_port(home, checked, record)
    elif isinstance(error, SubnetTakenError):
        engines = [engine_at(home, checked, choice) for choice in record.engines]
        answering = [one for one in engines if one.answers()]
        allocate.reallocate(home, checked, record, answering, progress)


def _on_network_of(
    error: AddressHeldError, observed: Observed, agent_paths: AgentPaths
) -> Observed:
    """Return the network with an address that is held, and the containers on it; else everything.

    Podman keeps the address of a container whose removal was killed, until its network is removed.
    """
    previous = None
    with suppress(CompanionError):  # a damaged snapshot tells of no container
        previous = snapshot.read(agent_paths)
    networks = {n: s for n, s in observed.networks.items() if _names_address(error, s)}
    if not (previous and networks):
        return observed
    affected = frozenset[str]().union(*map(previous.target.on_network, networks))
    containers = tuple(c for c in observed.containers if c.service in affected)
    return replace(observed, containers=containers, networks=networks)


def _names_address(error: CompanionError, subnet: str) -> bool:
    """Tell whether an engine's words name an address of a subnet."""
    found = re.findall(r"\b(?:\d{1,3}\.){3}\d{1,3}\b", str(error))
    with suppress(ValueError):
        return any(IPv4Address(one) in IPv4Network(subnet) for one in found)
    return False
