"""What a worker does with one subject: it carries out an order and reports it as news."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace

from companion.daemon.news import (
    EngineObserved,
    EngineSilent,
    ExposureChanged,
    Progressed,
    WorkFinished,
)
from companion.daemon.scheduler import Order, Work
from companion.daemon.view import AgentView, TrustQuestion
from companion.engine.driver import Driver, driver
from companion.engine.model import Choice, Condition, Container, Health
from companion.errors import Code, CompanionError, Problem, StoppedError, UntrustedError
from companion.operations import attention, condition, reachability, registry, unprotected
from companion.project import inventory, store
from companion.reconcile import run, teardown, trust, updates
from companion.reconcile.comparison import Restarts
from companion.reconcile.progress import Progress
from companion.reconcile.run import Report
from companion.reconcile.steps import Change
from companion.reconcile.validate import check
from companion.sandbox import powers_text
from companion.system import locks
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths
from companion.traffic.attention import Heard

_ENDED = frozenset({Health.ABSENT, Health.STOPPED})
_WORDS = {
    Change.NONE: "nothing to do",
    Change.RELOAD: "reloaded",
    Change.RECREATE: "restarted",
    Change.REBUILD: "rebuilt",
}


def observe(home: Paths, choice: Choice) -> EngineObserved | EngineSilent:
    """Observe all sandboxes on an engine; failures are part of the news."""
    try:
        engine = driver(choice)
        conditions = _conditions(home, engine)
        missing = _missing(home, choice, conditions)
        if missing:  # whoever changed them between list and look may be done by now
            missing &= _missing(home, choice, conditions := _conditions(home, engine))
        return EngineObserved(choice, conditions, missing)
    except CompanionError as error:
        return EngineSilent(choice, str(error))
    except Exception as error:  # noqa: BLE001 - one engine's bug must not end the watch
        return EngineSilent(choice, f"this is a bug in companion: {error!r}")


def _conditions(home: Paths, engine: Driver) -> dict[str, dict[str, Condition]]:
    found: dict[str, dict[str, list[Container]]] = defaultdict(lambda: defaultdict(list))
    for container in engine.containers():
        found[container.project][container.agent].append(container)
    return {
        project: {
            agent: reachability.judged(
                condition.condition(engine, mine, _started(home, project, agent)), mine
            )
            for agent, mine in agents.items()
        }
        for project, agents in found.items()
    }


def _missing(
    home: Paths, choice: Choice, conditions: Mapping[str, Mapping[str, Condition]]
) -> frozenset[tuple[str, str]]:
    """Return the agents that should run, do not, and are not being worked on by any process."""
    return frozenset(
        (project, agent)
        for (project, agent), record in store.all_records(home)
        if record.engine == choice and record.wanted == "up" and record.applied.parts
        if conditions.get(project, {}).get(agent, Condition(Health.ABSENT)).health in _ENDED
        if _is_free(home.project(project).agent(agent))
    )


def _is_free(agent_paths: AgentPaths) -> bool:
    """Tell whether no process changes an agent's sandbox now."""
    with suppress(CompanionError), locks.attempt(agent_paths.lock) as free:
        return free
    return False


def _started(home: Paths, project_id: str, agent: str) -> Collection[str]:
    """Return the services that an agent's record names; none if it cannot be read."""
    with suppress(CompanionError, ValueError):  # the names come from labels, which may hold NUL
        record = store.read(home.project(project_id).agent(agent))
        return record.applied.parts if record else ()
    return ()


def recalled(home: Paths, agent_view: AgentView) -> Heard:
    """Return what an agent said of its work since it started, before it was followed."""
    agent_paths = home.project(agent_view.ref.project.id).agent(agent_view.agent)
    if agent_view.engine:
        with suppress(CompanionError):
            engine = driver(agent_view.engine, agent_view.ref.project.id, agent_view.agent)
            known = attention.logged(engine, engine.containers(), attention.kept(agent_paths))
            attention.keep(agent_paths, known)
            return known
    return Heard()


def remember(home: Paths, agent_view: AgentView, known: Heard) -> None:
    """Remember what an agent said last, for commands."""
    attention.keep(home.project(agent_view.ref.project.id).agent(agent_view.agent), known)


def exposure(home: Paths, agent_view: AgentView) -> ExposureChanged:
    """Look at what an agent can change of what git obeys; failures are part of the news."""
    agent_paths = home.project(agent_view.ref.project.id).agent(agent_view.agent)
    try:
        record, pid = store.read(agent_paths), agent_view.condition.pid
        if record is None:
            return ExposureChanged(agent_view.id, ())
        found = unprotected.of(agent_view.agent, agent_paths, record, pid)
        return ExposureChanged(agent_view.id, found.problems, found.is_whole)
    except CompanionError:  # whoever works on the sandbox reports its record
        return ExposureChanged(agent_view.id, agent_view.exposed)
    except Exception as error:  # noqa: BLE001 - one sandbox's bug must not end the watch
        bug = Problem(f"this is a bug in companion: {error!r}", code=Code.BUG)
        return ExposureChanged(agent_view.id, (bug,))


def carry_out(
    home: Paths,
    work: Work,
    agent_view: AgentView,
    tell: Callable[[Progressed], None],
) -> WorkFinished:
    """Carry out an order on a sandbox; failures are part of the news."""
    done = _outcome(home, work, agent_view, tell)
    with suppress(CompanionError, OSError):
        record = store.read(home.project(agent_view.ref.project.id).agent(agent_view.agent))
        waits = updates.update_waits(home, agent_view.ref, record) if record else ""
        return replace(done, update_waits=waits)
    return done


def _outcome(
    home: Paths,
    work: Work,
    agent_view: AgentView,
    tell: Callable[[Progressed], None],
) -> WorkFinished:
    try:
        return _carry_out(home, work, agent_view, tell)
    except StoppedError as error:  # no trouble: somebody asked for it
        return WorkFinished(agent_view.id, str(error))
    except UntrustedError as error:
        return _waiting(home, agent_view, error)
    except CompanionError as error:
        return WorkFinished(agent_view.id, f"not changed: {error}", error.problems[0])
    except Exception as error:  # noqa: BLE001 - one sandbox's bug must not end the watch
        bug = Problem(f"this is a bug in companion: {error!r}", code=Code.BUG)
        return WorkFinished(agent_view.id, str(bug), bug)


def _waiting(home: Paths, agent_view: AgentView, error: UntrustedError) -> WorkFinished:
    """Return the news of a change that waits for the user's agreement."""
    problem, review = error.problems[0], None
    with suppress(CompanionError):
        reviewed = trust.review(home, agent_view.ref.project).of(agent_view.agent)
        new = (power for verdict in reviewed.verdicts for power in verdict.new)
        sentences = map(powers_text.sentence, new)
        review = TrustQuestion(reviewed.digest, tuple(sentences), reviewed.is_known)
    return WorkFinished(agent_view.id, f"not changed: {error}", problem, review=review)


def _carry_out(
    home: Paths,
    work: Work,
    agent_view: AgentView,
    tell: Callable[[Progressed], None],
) -> WorkFinished:
    ref, key = agent_view.ref, agent_view.id

    def progress(text: str) -> None:
        tell(Progressed(key, text))

    match work.order:
        case Order.LOOK:
            project_paths = home.project(ref.project.id)
            if project_paths.paused.exists() or home.paused.exists():
                return WorkFinished(key, "paused, changes wait for `companion resume`")
            if inventory.is_unlisted(ref):
                registry.retire(home, ref, progress)
                return WorkFinished(key, "not configured any more: taken down")
            return _reconcile(home, work, agent_view, progress)
        case Order.START:
            return _ended(key, work.since, run.reconcile(home, ref, progress), "after the click")
        case Order.RESTART:
            report = run.reconcile(home, ref, progress, restarts=Restarts.ALL)
            return _ended(key, work.since, report, "after the click")
        case Order.STOP:
            was_there = teardown.down(home, ref.project, agent_view.agent, progress)
            return WorkFinished(key, "stopped" if was_there else "it was stopped already")


def _reconcile(home: Paths, work: Work, agent_view: AgentView, progress: Progress) -> WorkFinished:
    """Reconcile after a save; a settled sandbox whose files mean the same needs no engine call."""
    ref, settled = agent_view.ref, agent_view.settled
    if not inventory.is_wanted(home, ref):
        check(home, ref)
        return WorkFinished(ref.key, "its files are valid; it is not started")
    report = run.reconcile(home, ref, progress, only_if_changed=settled, unasked=True)
    return _ended(ref.key, work.since, report, "after the save")


def _ended(key: str, began: float, report: Report, since: str) -> WorkFinished:
    login_problem = next(iter(report.login_problems), None)
    more = f"; {login_problem}" if login_problem else ""
    if report.update_waits:
        more = f"; {report.update_waits}: `companion restart`{more}"
    if not report.plan.steps:
        done = "nothing restarted" if report.update_waits else _WORDS[Change.NONE]
        return WorkFinished(key, f"{done}{more}", login_problem=login_problem, settled=True)
    if report.renewed and report.change is Change.RELOAD:  # once an hour: nothing to notify of
        text = f"renewed {', '.join(report.renewed)}{more}"
        return WorkFinished(key, text, login_problem=login_problem, settled=True)
    seconds = time.monotonic() - began
    text = f"{_WORDS[report.change]}, ready {seconds:.1f} s {since}{more}"
    return WorkFinished(key, text, login_problem=login_problem, changed=True, settled=True)
