"""Engine checks: what `doctor` examines in Docker and Podman, each engine separately."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial

from companion.engine import network_probe
from companion.engine.client import Engine
from companion.engine.detection import detect
from companion.engine.dialect import DIALECTS
from companion.engine.driver import Driver, driver
from companion.engine.model import Choice, ClusterChoice, EngineChoice
from companion.errors import CompanionError, EngineError
from companion.kubernetes.driver import ClusterDriver
from companion.operations import compose_cli, disk
from companion.operations.disk import Unused
from companion.operations.findings import Check, Finding, Level, guarded
from companion.project import store
from companion.project.agent_lock import agent_lock
from companion.reconcile import elsewhere
from companion.reconcile.apply import remove_all
from companion.reconcile.migrate import are_one
from companion.system import network, packages, search
from companion.system.paths import Paths
from companion.traffic.words import size

_SPARE_SUBNET = "10.211.0.0/24"


def examine(home: Paths) -> Iterator[Finding]:
    """Yield the findings for each installed engine; a silent engine hides no other."""
    answering: list[EngineChoice] = []
    here = tuple(filter(search.find, DIALECTS))
    for name in here:
        yield from guarded(Check.ENGINE, partial(_answers, home, name, answering), name)
    if not here:
        what, hint = "neither docker nor podman is installed", packages.advice("podman")
        yield Finding(Level.FAILED, what, f"{hint}, or install docker", check=Check.ENGINE)
    elif not answering:
        hint = "the warnings above name the cause"
        yield Finding(Level.FAILED, "no engine answers", hint, check=Check.ENGINE)
    for choice in _elsewhere(home, answering):
        yield from guarded(Check.ENGINE, partial(_reached, choice, answering), choice.label)
    reached: list[ClusterChoice] = []
    for cluster in _clusters(home):
        yield from guarded(Check.ENGINE, partial(_cluster, cluster, reached), cluster.label)
    for cluster in reached:
        yield from guarded(Check.STRAYS, partial(_strays, home, cluster), cluster.label)
        yield from guarded(Check.STRAYS, partial(_others, home, cluster), cluster.label)
    for choice in answering:
        for name, check in _CHECKS.items():
            if choice.shares_files or name not in _HERE_ONLY:
                yield from guarded(name, partial(check, home, choice), choice.label)


def _elsewhere(home: Paths, known: Collection[EngineChoice]) -> tuple[EngineChoice, ...]:
    """Return the other engines that hold, or may hold, something of an agent."""
    recorded = (choice for _, record in store.all_records(home) for choice in record.engines)
    engines = (choice for choice in recorded if isinstance(choice, EngineChoice))
    return tuple(choice for choice in dict.fromkeys(engines) if not any(map(choice.is_same, known)))


def _clusters(home: Paths) -> tuple[ClusterChoice, ...]:
    """Return the clusters that hold, or may hold, something of an agent."""
    recorded = (choice for _, record in store.all_records(home) for choice in record.engines)
    return tuple(dict.fromkeys(one for one in recorded if isinstance(one, ClusterChoice)))


def _cluster(choice: ClusterChoice, reached: list[ClusterChoice]) -> Iterator[Finding]:
    """A cluster answers, lets its user look into the namespace, and is the one that it was."""
    try:
        driver(choice).require_answer()
    except CompanionError as error:
        problem = error.problems[0]
        left = "; secrets of its sandboxes may still be there"
        yield Finding(Level.WARNING, problem.what + left, problem.hint)
        return
    reached.append(choice)
    yield Finding(Level.OK, f"{choice.label} answers")
    if choice.caveat:
        yield Finding(Level.WARNING, f"{choice.label}: {choice.caveat}", "see docs/kubernetes.md")


def _reached(choice: EngineChoice, answering: list[EngineChoice]) -> Iterator[Finding]:
    """An engine that an agent uses or used answers; if so, add it to `answering`."""
    try:
        Engine(choice).require_answer()
    except CompanionError as error:
        problem = error.problems[0]
        left = "" if choice.shares_files else "; secrets of its sandboxes may still be there"
        hint = f"{problem.hint}; the next `companion up` or `down` then removes what is left"
        yield Finding(Level.WARNING, problem.what + left, hint)
        return
    answering.append(choice)
    yield Finding(Level.OK, f"{choice.label} answers")


def _answers(home: Paths, name: str, answering: list[EngineChoice]) -> Iterator[Finding]:
    """The engine answers; if so, add it to `answering`."""
    try:
        choice = detect(name, None)
    except CompanionError as error:
        problem = error.problems[0]
        yield Finding(Level.WARNING, problem.what, problem.hint)
        return
    if isinstance(choice, ClusterChoice):
        return
    choice = elsewhere.recorded(home, choice) or choice
    if choice not in answering:  # `docker` may be podman by another name
        answering.append(choice)
        yield Finding(Level.OK, f"{choice.name} answers")


def _network(_: Paths, choice: EngineChoice) -> Iterator[Finding]:
    """A container starts on a network of its own; a missing firewall tool shows here."""
    try:
        network_probe.probe(Engine(choice))
    except CompanionError as error:
        problem = error.problems[0]
        what = f"{choice.name} cannot run a container on a network of its own: {problem.what}"
        yield Finding(Level.FAILED, what, problem.hint)
    else:
        yield Finding(Level.OK, f"{choice.name} runs containers on networks of their own")


def _storage(_: Paths, choice: EngineChoice) -> Iterator[Finding]:
    """The storage driver shares the layers of images."""
    engine = Engine(choice)
    if engine.call(*engine.dialect.storage).strip() == "vfs":
        what = f"{choice.name} stores a whole copy for each layer of an image (driver vfs)"
        yield Finding(Level.WARNING, what, engine.dialect.better_storage)


def _user_ids(_: Paths, choice: EngineChoice) -> Iterator[Finding]:
    """User IDs in containers are the desktop's."""
    Engine(choice).require_user_ids()
    yield from ()


def _desktop(_: Paths, choice: EngineChoice) -> Iterator[Finding]:
    """A rootless engine's networks reach services of this machine."""
    if not choice.rootless:
        return
    address, shown = network.outward_address(), ""
    with suppress(EngineError):  # not every machine has `ip`, nor every podman this namespace
        shown = Engine(choice).call("unshare", "--rootless-netns", "ip", "-4", "-o", "address")
    if subnet := network.shadowing(address, shown):
        what = f"sandboxes cannot reach services of this machine: slirp4netns uses {subnet}, too"
        line = f'network_cmd_options = ["cidr={_SPARE_SUBNET}"]'
        where = "below [engine] in ~/.config/containers/containers.conf"
        hint = f"write `{line}` {where}, stop all containers of podman and start them again"
        yield Finding(Level.WARNING, what, hint)


def _compose(_: Paths, choice: EngineChoice) -> Iterator[Finding]:
    """There is a Compose front end for the engine."""
    try:
        compose_cli.front_end(choice)
    except CompanionError as error:
        hint = f"{error.problems[0].hint}, if you want `companion compose`"
        yield Finding(Level.WARNING, error.problems[0].what, hint)


def _disk(home: Paths, choice: EngineChoice) -> Iterator[Finding]:
    """What the engine stores of ours, by sandbox, and what of it nothing uses."""
    use, name = disk.on(home, choice), choice.label
    total = f"{name} stores {size(use.images)} of images of ours"
    yield Finding(Level.OK, total + disk.volumes_text(use.volumes))
    for one in use.sandboxes:
        what = f"{one.name} takes {size(one.images)} of its own on {name}"
        yield Finding(Level.OK, what + disk.volumes_text(one.volumes))
    images = tuple(one for one in use.unused if one.kind == "image")
    if images:
        counted = "1 image" if len(images) == 1 else f"{len(images)} images"
        what = f"{name} holds {counted} of ours that nothing uses: up to {size(use.frees)}"
        hint = "`companion clean` shows and removes what nothing uses"
        yield Finding(Level.WARNING, what, hint, partial(_discard, home, choice, images))


def _discard(home: Paths, choice: EngineChoice, images: Collection[Unused]) -> None:
    for _ in disk.remove(home, choice, images, lambda _: None):
        pass


def _strays(home: Paths, choice: Choice) -> Iterator[Finding]:
    """No sandbox is left on an engine that its agent has moved from."""
    known = store.all_projects(home)
    on = {(i, agent): r for i, w in known.items() for agent, r in w.agents.items()}
    held = {(c.project, c.agent) for c in driver(choice).containers()}
    files = set(driver(choice).owners_of_files())
    for project, agent in sorted((held | files) & on.keys()):
        record, here = on[project, agent], driver(choice, project, agent)
        whose = f"{agent} in {known[project].directory}"
        repair = partial(_take_off, home, here)
        if record.engine is None or not are_one(here, driver(record.engine, project, agent)):
            things = "containers" if (project, agent) in held else "secrets"
            what = f"{choice.label} holds {things} of {whose}, which is not on it"
            yield Finding(Level.WARNING, what, "remove them", repair)
        elif (project, agent) not in held and record.wanted != "up":
            what = f"{choice.label} holds secrets of {whose}, which is stopped"
            yield Finding(Level.WARNING, what, "remove them", repair)


def _others(home: Paths, choice: ClusterChoice) -> Iterator[Finding]:
    """No sandbox of this desktop is on a cluster by an ID that was lost."""
    known = store.all_projects(home)
    ours = {(i, agent) for i, written in known.items() for agent in written.names}
    for owner, project, agent in sorted(ClusterDriver(choice).other_owners()):
        if (project, agent) in ours:
            whose = f"{agent} in {known[project].directory}"
            what = f"{choice.label} holds secrets of {whose} with the owner ID {owner}, not yours"
            hint = (
                "another desktop has a project at this path; or yours lost its ID, and docs/"
                "kubernetes.md says how to remove what is left of it"
            )
            yield Finding(Level.WARNING, what, hint)


def _take_off(home: Paths, engine: Driver) -> None:
    """Remove a sandbox from an engine, unless it has moved there since."""
    agent_paths = home.project(engine.project).agent(engine.agent)
    with agent_lock(agent_paths, lambda _: None):
        record = store.read(agent_paths)
        right = record.engine if record and record.wanted == "up" else None
        known = right and are_one(engine, driver(right, engine.project, engine.agent))
        if record and not known:
            remove_all(engine, engine.observe(), lambda _: None)


_HERE_ONLY = {Check.COMPOSE, Check.DESKTOP_SERVICES}
_CHECKS: Mapping[Check, Callable[[Paths, EngineChoice], Iterator[Finding]]] = {
    Check.ENGINE_NETWORK: _network,
    Check.ENGINE_STORAGE: _storage,
    Check.USER_IDS: _user_ids,
    Check.DESKTOP_SERVICES: _desktop,
    Check.COMPOSE: _compose,
    Check.DISK: _disk,
    Check.STRAYS: _strays,
}
