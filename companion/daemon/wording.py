"""The view and its news in words, for icon, menu, terminal and log."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from companion.daemon.events import About, Event
from companion.daemon.news import (
    AgentStopped,
    AttentionChanged,
    EngineObserved,
    EngineSilent,
    ExposureChanged,
    HostRefused,
    HostSettled,
    News,
    Paused,
    Progressed,
    ProjectAdded,
    ProjectRemoved,
    WatchDegraded,
    WorkCrashed,
    WorkFinished,
)
from companion.daemon.view import AgentView, IconState, TrustQuestion, View, last_output
from companion.engine.model import Health
from companion.errors import Code, Problem
from companion.traffic import attention


class Mark(StrEnum):
    """The shape in front of a sandbox, or of all: no state differs by its color only."""

    RUNS = "●"
    STOPPED = "○"
    WORKING = "◐"
    NEEDS = "▲"
    WAITS = "◆"
    PAUSED = "‖"
    SILENT = "⊘"


_STEP = 44
"""Characters of the work under way that a row shows."""
_MARKS = {
    IconState.WORKING: Mark.WORKING,
    IconState.OFFLINE: Mark.SILENT,
    IconState.ATTENTION: Mark.NEEDS,
    IconState.WAITING: Mark.WAITS,
    IconState.PAUSED: Mark.PAUSED,
}


def icon_state(view: View) -> IconState:
    """Return the state that the icon shows."""
    views = view.sandboxes.values()
    if any(agent_view.step for agent_view in views):
        return IconState.WORKING
    if view.missed:
        return IconState.OFFLINE
    if any(_attention(agent_view) for agent_view in views):
        return IconState.ATTENTION
    if any(agent_view.waits for agent_view in views):
        return IconState.WAITING
    return IconState.PAUSED if view.paused else IconState.IDLE


def headline(view: View) -> str:
    """Return one sentence about the overall state: what is under way or wrong, or the counts."""
    views = tuple(view.sandboxes.values())
    match icon_state(view):
        case IconState.WORKING:
            return next(f"{v.name}: {v.step}" for v in views if v.step)
        case IconState.OFFLINE:
            return _silent(view)
        case IconState.ATTENTION:
            return next(f"{v.name}: {text}" for v in views if (text := _attention(v)))
        case IconState.WAITING:
            return " · ".join(f"{v.name} waits for you" for v in views if v.waits)
        case IconState.PAUSED:
            return "Watching is paused"
        case IconState.IDLE:
            return f"{views[0].name} is {views[0].word}" if len(views) == 1 else counts(view)


def summary(view: View) -> str:
    """Return the overall state as a shape and a few words, for the first row of a menu."""
    views, state = tuple(view.sandboxes.values()), icon_state(view)
    if not views:
        return "Watching is paused" if view.paused else "No project yet"
    if len(views) == 1 and not view.missed:
        return row(view, views[0], views[0].name)
    runs = any(agent_view.is_up for agent_view in views)
    mark = _MARKS.get(state, Mark.RUNS if runs else Mark.STOPPED)
    said = (_silent(view) if view.missed else "", "watching is paused" if view.paused else "")
    return f"{mark} {' · '.join(filter(None, (*said, counts(view))))}"


def counts(view: View) -> str:
    """Return how many sandboxes are in which state: 2 running · 1 stopped · 1 needs you."""
    views = view.sandboxes.values()
    states = ("working", "running", "stopped", "unknown")
    each = Counter(_state(view, agent_view) for agent_view in views)
    found = [f"{each[state]} {state}" for state in states if each[state]]
    if needed := sum(agent_view.needs_you for agent_view in views):
        found.append(f"{needed} {'needs' if needed == 1 else 'need'} you")
    return " · ".join(found) or "No project yet"


def mark(view: View, agent_view: AgentView) -> Mark:
    """Return the shape of one sandbox."""
    if agent_view.step:
        return Mark.WORKING
    if _attention(agent_view):
        return Mark.NEEDS
    if agent_view.engine in view.silent:
        return Mark.SILENT
    if agent_view.waits:
        return Mark.WAITS
    return Mark.RUNS if agent_view.is_up else Mark.STOPPED


def row(view: View, agent_view: AgentView, label: str) -> str:
    """Return a sandbox as one row: its shape, its name and its state."""
    states = " · ".join(_states(view, agent_view))
    return f"{mark(view, agent_view)} {label} – {states}"  # noqa: RUF001 - a dash, as in prose


def _state(view: View, agent_view: AgentView) -> str:
    """Return the state under which a sandbox is counted."""
    if agent_view.step:
        return "working"
    if agent_view.engine in view.silent:
        return "unknown"
    return "running" if agent_view.is_up else "stopped"


def _step(text: str) -> str:
    """Return the work under way in a few words: a sentence without its reason, or a detail."""
    said = text.strip() if text.startswith(" ") else text.partition(": ")[0]
    return said if len(said) <= _STEP else f"{said[: _STEP - 1]}…"


def _states(view: View, agent_view: AgentView) -> Iterable[str]:
    """Yield what is known of a sandbox, a few words each."""
    if agent_view.step:
        yield f"working: {_step(agent_view.step)}"
        return
    if agent_view.waits:
        yield "waits for you"
    elif agent_view.engine in view.silent:
        yield "unknown"
    else:
        yield agent_view.word
    if agent_view.review:
        yield waits(agent_view.review)
    elif agent_view.trouble:
        yield "change not applied"
    elif problem := agent_view.login_problem:
        yield "not logged in" if is_for_login(problem) else "not authorized"
    if (
        agent_view.is_up
        and not agent_view.waits
        and (said := attention.shown(agent_view.attention))
    ):
        yield said
    yield from _notes(agent_view)


def _notes(agent_view: AgentView) -> Iterable[str]:
    """Yield what is known of a sandbox besides its state."""
    if refused := len(agent_view.refusals.rows):
        yield "1 host refused" if refused == 1 else f"{refused} hosts refused"
    if any(one.code is Code.GIT_UNPROTECTED for one in agent_view.exposed):
        yield "git is unprotected"
    elif agent_view.exposed:
        yield "git changed"
    if agent_view.is_up and agent_view.update_waits:
        yield "update at restart"
    if agent_view.paused:
        yield "paused"


def reason(agent_view: AgentView) -> str:
    """Return in one line why a sandbox needs its user; empty if nothing is wrong."""
    return "" if agent_view.review else _attention(agent_view)


def line(view: View, news: News) -> str:
    """Return the news as a line for a terminal or the log; empty if it deserves none."""
    match news:
        case ProjectAdded(agent_view, new=True):
            return f"{agent_view.name}: watching {agent_view.ref.directory}"
        case (
            Progressed(sandbox, text)
            | WorkFinished(sandbox, text)
            | WorkCrashed(sandbox, text)
            | AgentStopped(sandbox, text)
        ):
            known = view.sandboxes.get(sandbox)
            return f"{known.name}: {text}" if known else ""
        case HostRefused(sandbox, host):
            known = view.sandboxes.get(sandbox)
            told = known.refusals.told[-1:] if known else ()
            is_new = known and known.refusals.news and told[0][0] == host
            return f"{known.name}: refused {host}" if known and is_new else ""
        case AttentionChanged(sandbox):
            known = view.sandboxes.get(sandbox)
            is_new = known and known.calls.is_new
            return f"{known.name}: {attention.shown(known.attention)}" if known and is_new else ""
        case ExposureChanged(sandbox, problems):
            known = view.sandboxes.get(sandbox)
            return "\n".join(f"{known.name}: {one}" for one in problems) if known else ""
        case EngineSilent(engine, why):
            return f"{engine.name}: {why}"
        case WatchDegraded(why):
            return why
        case Paused(paused):
            return "watching is paused" if paused else ""
        case ProjectAdded() | ProjectRemoved() | EngineObserved() | HostSettled():
            return ""


def event(view: View, news: News, at: float) -> Event | None:
    """Return the news as an event to remember; None if it deserves none."""
    match news:
        case WorkFinished(sandbox, _, trouble, _, changed) if trouble or changed:
            is_build = trouble and trouble.code is Code.BUILD_FAILED
            about = About.BUILD if is_build else About.CHANGE
        case WorkCrashed(sandbox) | AgentStopped(sandbox):
            about = About.END
        case HostRefused(sandbox):
            about = About.NETWORK
        case AttentionChanged(sandbox):
            about = About.ATTENTION
        case ExposureChanged(sandbox):
            about = About.CHANGE
        case EngineSilent() | WatchDegraded():
            sandbox, about = "", About.WATCHER
        case _:
            return None
    text = line(view, news)
    known = view.sandboxes.get(sandbox)
    if known and isinstance(news, WorkFinished) and known.trouble:
        text = f"{known.name}: {first_line(known.trouble)}"
    if known and isinstance(news, ExposureChanged) and known.changed_git:
        text = f"{known.name}: {first_line(known.changed_git)}"
    return Event(at, text.partition("\n")[0], about, sandbox) if text else None


def first_line(problem: Problem | None) -> str:
    """Return what is wrong in one line; where the first only leads to a log's end, with that."""
    if problem is None:
        return ""
    first, *rest = problem.located.splitlines() or [""]
    said = [line.strip() for line in rest if line.startswith("  ")]
    return f"{first} {said[-1]}" if said and first.endswith(":") else first


def is_for_login(problem: Problem) -> bool:
    """Tell whether `companion login` solves a problem; others need another command."""
    return "`companion login " in problem.hint


def waits(review: TrustQuestion) -> str:
    """Return what an agent waits for, in a few words."""
    return "asks for more than you agreed to" if review.is_known else "is not trusted yet"


def _silent(view: View) -> str:
    return f"{' and '.join(view.missed)} does not answer"


def _attention(agent_view: AgentView) -> str:
    """Return what is wrong with a sandbox until its user does something."""
    if agent_view.review:
        return waits(agent_view.review)
    if problem := agent_view.trouble or agent_view.changed_git or agent_view.login_problem:
        return first_line(problem)
    return last_output(agent_view) if agent_view.health is Health.CRASHED else ""
