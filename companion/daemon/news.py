"""News from workers and engines: how it changes the view, and what follows from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from companion.daemon import calls
from companion.daemon.calls import Calls
from companion.daemon.refusals import Refusals, refused, settled
from companion.daemon.scheduler import Touched
from companion.daemon.view import AgentView, TrustQuestion, View, last_output
from companion.engine.model import Choice, Condition, Health
from companion.errors import Problem
from companion.traffic.attention import Attention


@dataclass(frozen=True, slots=True)
class ProjectAdded:
    """A sandbox was added, or its record changed."""

    agent_view: AgentView
    new: bool = False


@dataclass(frozen=True, slots=True)
class ProjectRemoved:
    """A sandbox was removed."""

    sandbox: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Watching was paused for all projects, or resumed."""

    paused: bool


@dataclass(frozen=True, slots=True)
class EngineObserved:
    """An engine answered: project → agent → condition; missing agents have no containers."""

    engine: Choice
    conditions: Mapping[str, Mapping[str, Condition]]
    ended: frozenset[tuple[str, str]] = frozenset()
    """Project and agent of those that were started, do not run, and are not being worked on."""


@dataclass(frozen=True, slots=True)
class EngineSilent:
    """An engine does not answer."""

    engine: Choice
    why: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """Work on a sandbox goes on."""

    sandbox: str
    text: str


@dataclass(frozen=True, slots=True)
class WorkFinished:
    """Work on a sandbox ended."""

    sandbox: str
    text: str
    """The outcome in a sentence, or every problem on a line of its own."""
    trouble: Problem | None = None
    login_problem: Problem | None = None
    """What it cannot log in to, until the user does something."""
    changed: bool = False
    """Containers, rules or keys changed."""
    settled: bool = False
    """The sandbox was observed to match its files."""
    review: TrustQuestion | None = None
    """What the user must agree to before the change is applied."""
    update_waits: str | None = None
    """What an update of Companion changes at the next restart, in words; None if unknown."""


@dataclass(frozen=True, slots=True)
class WorkCrashed:
    """An agent exited with a failure."""

    sandbox: str
    text: str
    """The agent, its exit code and its last line."""


@dataclass(frozen=True, slots=True)
class AgentStopped:
    """An agent's container was ended or removed, and not by Companion."""

    sandbox: str
    text: str


@dataclass(frozen=True, slots=True)
class HostRefused:
    """An agent asked for a host that no list has; `at` in seconds on any clock."""

    sandbox: str
    host: str
    at: float


@dataclass(frozen=True, slots=True)
class HostSettled:
    """A host that was refused is let through, or its user wants to hear no more of it."""

    sandbox: str
    host: str
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class AttentionChanged:
    """An agent works, waits for its user or is done; `at` in seconds since 1970."""

    sandbox: str
    attention: Attention
    at: float


@dataclass(frozen=True, slots=True)
class ExposureChanged:
    """What an agent can change of what git on the desktop obeys, or what is new there, changed."""

    sandbox: str
    problems: tuple[Problem, ...]
    """None: all of it is protected, and nothing is new."""
    is_whole: bool = True
    """Whether everything was looked at."""


@dataclass(frozen=True, slots=True)
class WatchDegraded:
    """The watcher continues with reduced function."""

    why: str


News = (
    ProjectAdded
    | ProjectRemoved
    | Paused
    | EngineObserved
    | EngineSilent
    | Progressed
    | WorkFinished
    | WorkCrashed
    | AgentStopped
    | HostRefused
    | HostSettled
    | AttentionChanged
    | ExposureChanged
    | WatchDegraded
)


def fold(view: View, news: News) -> View:
    """Return the view after the news."""
    match news:
        case ProjectAdded(agent_view):
            return _with(view, _kept(agent_view, view.sandboxes.get(agent_view.id)))
        case ProjectRemoved(sandbox):
            rest = {i: v for i, v in view.sandboxes.items() if i != sandbox}
            return replace(view, sandboxes=rest)
        case Paused(paused):
            return replace(view, paused=paused)
        case EngineObserved(engine, conditions):
            sandboxes = {i: _seen(v, view, engine, conditions) for i, v in view.sandboxes.items()}
            return replace(view, sandboxes=sandboxes, silent=view.silent - {engine})
        case WorkCrashed() | AgentStopped() | WatchDegraded():
            return view
        case EngineSilent(engine):
            return replace(view, silent=view.silent | {engine})
        case HostRefused(sandbox) | HostSettled(sandbox) | AttentionChanged(sandbox):
            return _changed(view, sandbox, lambda v: _heard(v, news))
        case Progressed(sandbox) | ExposureChanged(sandbox) | WorkFinished(sandbox):
            return _changed(view, sandbox, lambda v: _worked(v, news))


def is_known(view: View, news: News) -> bool:
    """Tell whether an engine is merely still silent, or a repository as it was."""
    if isinstance(news, ExposureChanged):
        known = view.sandboxes.get(news.sandbox)
        return known is None or known.exposed == news.problems
    return isinstance(news, EngineSilent) and news.engine in view.silent


def _changed(view: View, sandbox: str, change: Callable[[AgentView], AgentView]) -> View:
    known = view.sandboxes.get(sandbox)
    return _with(view, change(known)) if known else view


def _worked(known: AgentView, news: Progressed | ExposureChanged | WorkFinished) -> AgentView:
    match news:
        case Progressed(_, text):
            return replace(known, step=text)
        case ExposureChanged(_, problems):
            return replace(known, exposed=problems)
        case WorkFinished():
            return _finished(known, news)


def _finished(known: AgentView, news: WorkFinished) -> AgentView:
    return replace(
        known,
        step="",
        trouble=news.trouble,
        login_problem=news.login_problem,
        review=news.review,
        settled=known.settled or news.settled,
        update_waits=known.update_waits if news.update_waits is None else news.update_waits,
    )


def _heard(known: AgentView, news: HostRefused | HostSettled | AttentionChanged) -> AgentView:
    """Return an agent after what its gateway logged, or what the user decided on that."""
    match news:
        case HostRefused(_, host, at):
            return replace(known, refusals=refused(known.refusals, host, at))
        case HostSettled(_, host, ignored):
            return replace(known, refusals=settled(known.refusals, host, ignored=ignored))
        case AttentionChanged(_, attention, at):
            new_calls = calls.changed(known.calls, attention, at)
            return replace(known, attention=attention, calls=new_calls)


def reactions(
    before: View, after: View, news: News
) -> tuple[Touched | WorkCrashed | AgentStopped, ...]:
    """Return what follows from news: agents to reconcile again, and exits to report.

    An engine that answers again may have lost anything meanwhile, and a broken sandbox must be
    started anew.
    """
    if isinstance(news, WorkFinished):
        return _observe_again(after.sandboxes.get(news.sandbox), news)
    if not isinstance(news, EngineObserved):
        return ()
    views = [v for v in after.sandboxes.values() if v.engine == news.engine]
    again = (Touched(v.id) for v in views if _needs_look(before, v))
    crashed = (v for v in views if turned(before, v, Health.CRASHED))
    ran = {i for i, v in before.sandboxes.items() if v.health in {Health.RUNNING, Health.BROKEN}}
    ended = [v for v in views if v.id in ran and (v.ref.project.id, v.agent) in news.ended]
    stopped = (v for v in ended if turned(before, v, v.health) and not v.is_up)
    return (
        *again,
        *(WorkCrashed(v.id, last_output(v)) for v in crashed),
        *(AgentStopped(v.id, _end(v)) for v in stopped if v.health is not Health.CRASHED),
    )


def _observe_again(done: AgentView | None, news: WorkFinished) -> tuple[Touched, ...]:
    """Return the engine of a sandbox that looked broken and was found whole, or made so.

    Neither need cause an event of the engine. If it still is broken then, nothing follows.
    """
    is_whole = done and done.health is Health.BROKEN and news.settled
    return (Touched(done.engine),) if done and done.engine and is_whole else ()


def _end(agent_view: AgentView) -> str:
    """Return how an agent ended that something else than Companion stopped."""
    if agent_view.health is Health.ABSENT:
        return "its container was removed outside Companion"
    code = agent_view.condition.exit_code
    how = "was ended outside Companion" if code else "ended by itself"
    return f"its container {how} (exit code {code})"


def turned(before: View, agent_view: AgentView, health: Health) -> bool:
    """Tell whether a sandbox without work under way changed to this health."""
    old = before.sandboxes.get(agent_view.id)
    return (
        not agent_view.step and agent_view.health is health and not (old and old.health is health)
    )


def _kept(new: AgentView, old: AgentView | None) -> AgentView:
    """Keep the fields that only workers and engines report."""
    if old is None:
        return new
    seen = old.condition if old.health is not Health.UNKNOWN else new.condition
    kept = replace(
        new, condition=seen, step=old.step, trouble=old.trouble, login_problem=old.login_problem
    )
    kept = replace(kept, attention=old.attention, calls=old.calls, exposed=old.exposed)
    return replace(kept, settled=old.settled, review=old.review, refusals=old.refusals)


def _seen(
    old: AgentView,
    before: View,
    engine: Choice,
    conditions: Mapping[str, Mapping[str, Condition]],
) -> AgentView:
    if old.engine != engine:
        return old
    mine = conditions.get(old.ref.project.id, {})
    new = replace(old, condition=mine.get(old.agent, Condition(Health.ABSENT)))
    if new.health is Health.ABSENT:
        new = replace(new, refusals=Refusals())
    if has_ended(old, new):
        new = replace(new, attention=Attention.UNKNOWN, calls=Calls())
    return replace(new, settled=new.settled and not _needs_look(before, new))


def has_ended(old: AgentView, new: AgentView) -> bool:
    """Tell whether an agent's container stopped, even if it was started again."""
    return old.condition.pid not in {0, new.condition.pid}


def _needs_look(before: View, now: AgentView) -> bool:
    """Tell whether an agent must be reconciled after its engine was observed."""
    return now.engine in before.silent or turned(before, now, Health.BROKEN)


def _with(view: View, agent_view: AgentView) -> View:
    sandboxes = {**view.sandboxes, agent_view.id: agent_view}
    ordered = dict(sorted(sandboxes.items(), key=lambda item: (item[1].name, item[0])))
    return replace(view, sandboxes=ordered)
