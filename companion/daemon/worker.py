"""What does a worker do with one subject? It carries out an order; what comes of it is news."""

import time
from collections import defaultdict
from collections.abc import Callable

from companion.daemon.scheduler import Order, Work
from companion.daemon.view import (
    AgentView,
    EngineObserved,
    EngineSilent,
    Progressed,
    WorkFinished,
)
from companion.engine.client import Engine
from companion.engine.model import Condition, Container, EngineChoice
from companion.errors import CompanionError, Problem, StoppedError
from companion.operations import registry, status
from companion.project import inventory
from companion.project.model import AgentRef
from companion.reconcile import run, teardown
from companion.reconcile.apply import Progress
from companion.reconcile.plan import Change
from companion.reconcile.run import Report
from companion.reconcile.validate import check
from companion.system.paths import Paths

_WORDS = {
    Change.NONE: "nothing to do",
    Change.RELOAD: "reloaded",
    Change.RECREATE: "restarted",
    Change.REBUILD: "rebuilt",
}


def look_at(choice: EngineChoice) -> EngineObserved | EngineSilent:
    """Ask an engine for the containers of all sandboxes; every failure is in the answer."""
    try:
        return EngineObserved(choice, _conditions(Engine(choice)))
    except CompanionError as error:
        return EngineSilent(choice, str(error))
    except Exception as error:  # noqa: BLE001 - one engine's bug must not end the watch
        return EngineSilent(choice, f"this is a bug in companion: {error!r}")


def _conditions(engine: Engine) -> dict[str, dict[str, Condition]]:
    found: dict[str, dict[str, list[Container]]] = defaultdict(lambda: defaultdict(list))
    for container in engine.containers():
        found[container.project][container.agent].append(container)
    return {
        project: {agent: status.condition(engine, mine) for agent, mine in agents.items()}
        for project, agents in found.items()
    }


def carry_out(
    home: Paths,
    work: Work,
    agent_view: AgentView,
    tell: Callable[[Progressed], None],
    *,
    settled: bool,
) -> WorkFinished:
    """Do with a sandbox what was ordered; every failure is in the answer.

    `settled` says that the engine need not be asked if the files mean what they meant.
    """
    try:
        return _carry_out(home, work, agent_view, tell, settled=settled)
    except CompanionError as error:
        return WorkFinished(work.subject, f"not changed: {error}", error.problems[0])
    except Exception as error:  # noqa: BLE001 - one sandbox's bug must not end the watch
        bug = Problem(f"this is a bug in companion: {error!r}")
        return WorkFinished(work.subject, str(bug), bug)


def _carry_out(
    home: Paths,
    work: Work,
    agent_view: AgentView,
    tell: Callable[[Progressed], None],
    *,
    settled: bool,
) -> WorkFinished:
    def progress(text: str) -> None:
        tell(Progressed(work.subject, text))

    ref = agent_view.ref
    match work.order:
        case Order.LOOK:
            place = home.project(ref.project.id)
            if place.paused.exists() or home.paused.exists():
                return WorkFinished(work.subject, "paused, changes wait for `companion resume`")
            if inventory.is_unlisted(ref):
                registry.retire(home, ref, progress)
                return WorkFinished(work.subject, "not configured any more: taken down")
            try:
                return _take_in(home, work, ref, progress, settled=settled)
            except StoppedError as error:  # it was told to who stopped it
                return WorkFinished(work.subject, str(error))
        case Order.START:
            return _ended(work, run.reconcile(home, ref, progress), "after the click")
        case Order.RESTART:
            report = run.reconcile(home, ref, progress, fresh=True)
            return _ended(work, report, "after the click")
        case Order.STOP:
            was_there = teardown.down(home, ref.project, agent_view.agent, progress)
            return WorkFinished(work.subject, "stopped" if was_there else "it was stopped already")


def _take_in(
    home: Paths, work: Work, ref: AgentRef, progress: Progress, *, settled: bool
) -> WorkFinished:
    if not inventory.is_wanted(home, ref):
        check(home, ref)
        return WorkFinished(work.subject, "its files are fine; it is not started")
    report = run.reconcile(home, ref, progress, only_if_changed=settled, unasked=True)
    return _ended(work, report, "after the save")


def _ended(work: Work, report: Report, since: str) -> WorkFinished:
    lack = next(iter(report.lacks), None)
    more = f"; {lack}" if lack else ""
    if not report.plan.steps:
        return WorkFinished(work.subject, f"{_WORDS[Change.NONE]}{more}", lack=lack, settled=True)
    if report.renewed and report.change is Change.RELOAD:  # once an hour: nothing to notify of
        text = f"renewed the token for {', '.join(report.renewed)}{more}"
        return WorkFinished(work.subject, text, lack=lack, settled=True)
    seconds = time.monotonic() - work.since
    text = f"{_WORDS[report.change]}, ready {seconds:.1f} s {since}{more}"
    return WorkFinished(work.subject, text, lack=lack, changed=True, settled=True)
