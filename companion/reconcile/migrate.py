"""Migration: finds engines besides its own that hold something of an agent, to leave them.

A record names the one engine that has the agent's containers and networks. During a move, it lists
the new engine among the others, and swaps the two once the old engine holds nothing. So a record
always names every engine to check.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from companion.engine import detection
from companion.engine.driver import Driver, driver
from companion.engine.model import Choice, ClusterChoice
from companion.errors import Code, CompanionError
from companion.kubernetes import owner_id
from companion.project import store
from companion.project.record import AgentRecord
from companion.reconcile import user_settings
from companion.reconcile.reasons import Reason, Why
from companion.reconcile.steps import LeaveEngine
from companion.system.paths import Paths

_SILENT: Final = "silent"


@dataclass(frozen=True, slots=True)
class Departures:
    """How an agent comes to be on one engine only."""

    steps: tuple[LeaveEngine, ...] = ()
    silent: tuple[Choice, ...] = ()
    """Former engines that do not answer, so that nobody knows what they hold."""


def departures(engine: Driver, record: AgentRecord) -> Departures:
    """Return the steps that remove an agent from every engine but `engine`.

    Raises:
        CompanionError: the agent's current engine does not answer.
    """
    others = tuple(_on(c, engine) for c in record.occupied if not c.is_same(engine.choice))
    found = {other.choice: _departure(other, engine, record) for other in others}
    steps = tuple(leave for leave in found.values() if isinstance(leave, LeaveEngine))
    return Departures(steps, tuple(c for c, leave in found.items() if leave is _SILENT))


def removal_of_forgotten(engine: Driver) -> LeaveEngine:
    """Return the step that removes a sandbox whose files are not recorded any more.

    Secrets among them may be removed ones, so nothing is started on them.
    """
    text = "files of a sandbox that was forgotten are there; volumes remain"
    return LeaveEngine(engine.choice, Why(Reason.FILES_UNKNOWN, text))


def holding_engines(
    record: AgentRecord,
    project: str,
    agent: str,
    progress: Callable[[str], None],
    *,
    volumes: bool,
) -> Iterator[Driver]:
    """Yield each engine that may hold something of an agent; report former ones that are silent.

    Those that hold its volumes at most are among them only if `volumes` count.

    Raises:
        CompanionError: the one that it is on does not answer.
    """
    for choice in record.engines if volumes else record.occupied:
        engine = driver(choice, project, agent)
        if choice == record.engine:
            _require_answer(engine)
            yield engine
        elif _holds(engine) is not None:
            yield engine
        else:
            things = "volumes" if choice in record.left else "containers"
            progress(f"{choice.label} does not answer; its {things} of {agent} remain")


def _on(choice: Choice, engine: Driver) -> Driver:
    """Return the driver of the same agent on another engine."""
    return driver(choice, engine.project, engine.agent, engine.files)


def possible_engines(
    home: Paths, project: str, agent: str, progress: Callable[[str], None]
) -> Iterator[Driver]:
    """Yield each engine that may hold something of an agent whose record cannot be read.

    These are the engines of this machine, those of other agents, and the places of the settings.
    Containers are found by their labels. What cannot be asked is reported: engines that do not
    answer, places of settings that are invalid, clusters without this desktop's owner ID.
    """
    asked: list[Choice] = []
    for choice in _known(home, asked, lambda what: progress(f"{what}; any containers remain")):
        engine = driver(choice, project, agent)
        if any(map(choice.is_same, asked)):
            continue
        asked.append(choice)
        if _holds(engine) is None:
            progress(f"{choice.label} does not answer; any containers of {agent} remain")
        else:
            yield engine


def _known(
    home: Paths, asked: Collection[Choice], report: Callable[[str], None]
) -> Iterator[Choice]:
    """Yield all engines that there are, some twice; places only if no record has named them."""
    yield from detection.installed()
    for _, record in store.all_records(home):
        yield from record.engines
    try:
        places = user_settings.read(home).places
    except CompanionError as error:
        report(f"the places of {home.settings} are unknown: {error.problems[0].what}")
        return
    for name, place in places.items():
        if (name, str(place)) in {(one.place, one.defined) for one in asked}:
            continue
        if place.kubernetes and not owner_id.recorded(home):
            report(f"there is no {home.owner_id}, by which objects on the place {name} are found")
            continue
        try:
            yield detection.detect(name, None, places)
        except CompanionError as error:
            report(error.problems[0].what)


def _departure(
    other: Driver, engine: Driver, record: AgentRecord
) -> LeaveEngine | Literal["silent"] | None:
    if other.choice == record.engine:
        _require_answer(other)
        if are_one(other, engine):
            return None
        text = f"it moves to {engine.choice.label}; volumes stay behind"
        return LeaveEngine(other.choice, Why(Reason.ENGINE_CHANGED, text))
    holds = _holds(other)
    if holds is None:
        return _SILENT
    if holds and not are_one(other, engine):
        why = Why(Reason.ENGINE_CHANGED, f"it is on {engine.choice.label} now")
        return LeaveEngine(other.choice, why)
    return None


def are_one(one: Driver, other: Driver) -> bool:
    """Tell whether two endpoints lead to one engine, whatever they are called.

    Both then have the same containers of the agent.

    Raises:
        CompanionError: an engine refused.
    """
    if one.choice.is_same(other.choice) or one.choice.name != other.choice.name:
        return one.choice.name == other.choice.name
    found, ours = ({c.id for c in each.observe().containers} for each in (one, other))
    return bool(found & ours)


def _holds(engine: Driver) -> bool | None:
    """Tell whether an engine holds containers or networks of an agent; None if unreachable."""
    if engine.answers():
        with suppress(CompanionError):
            return engine.holds_any()
    return None


def _require_answer(engine: Driver) -> None:
    """Check that an agent's current engine answers: otherwise its state is unknown."""
    abandon = "if it is gone for good, run `companion down --abandon` first"
    if isinstance(engine.choice, ClusterChoice):
        _require_cluster(engine, abandon)
    elif not engine.answers():
        name = engine.choice.label
        hint = f"start {name}; {abandon}"
        raise CompanionError(
            f"{engine.agent} is on {name}, which does not answer", hint, code=Code.ENGINE_SILENT
        )


def _require_cluster(engine: Driver, otherwise: str) -> None:
    """Check the same of a cluster, which has a reason and a hint of its own."""
    try:
        engine.require_answer()
    except CompanionError as error:
        what, hint, _, code = error.problems[0]
        if "--abandon" not in hint:
            hint = f"{hint}; {otherwise}"
        raise CompanionError(what, hint, code=code) from None
