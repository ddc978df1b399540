"""The view and its news in words, for icon, menu, terminal and log."""

from companion.daemon.news import (
    AgentStopped,
    EngineObserved,
    EngineSilent,
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
from companion.daemon.view import AgentView, IconState, Review, View, last_output
from companion.engine.model import Health
from companion.errors import Problem


def icon_state(view: View) -> IconState:
    """Return the state that the icon shows."""
    views = view.sandboxes.values()
    if any(agent_view.step for agent_view in views):
        return IconState.WORKING
    if view.missed:
        return IconState.OFFLINE
    if any(_attention(agent_view) for agent_view in views):
        return IconState.ATTENTION
    return IconState.PAUSED if view.paused else IconState.IDLE


def headline(view: View) -> str:
    """Return one sentence about the overall state."""
    views = tuple(view.sandboxes.values())
    match icon_state(view):
        case IconState.WORKING:
            return next(
                f"{agent_view.name}: {agent_view.step}" for agent_view in views if agent_view.step
            )
        case IconState.OFFLINE:
            return f"{' and '.join(view.missed)} does not answer"
        case IconState.ATTENTION:
            return next(text for v in views if (text := _attention(v)))
        case IconState.PAUSED:
            return "Watching is paused"
        case IconState.IDLE:
            return _counted(views)


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
        case EngineSilent(engine, why):
            return f"{engine.name}: {why}"
        case WatchDegraded(why):
            return why
        case Paused(paused):
            return "watching is paused" if paused else ""
        case ProjectAdded() | ProjectRemoved() | EngineObserved() | HostSettled():
            return ""


def first_line(problem: Problem | None) -> str:
    """Return what is wrong in one line; where the first only leads to a log's end, with that."""
    if problem is None:
        return ""
    first, *rest = str(problem).splitlines() or [""]
    said = [line.strip() for line in rest if line.startswith("  ")]
    return f"{first} {said[-1]}" if said and first.endswith(":") else first


def is_for_login(problem: Problem) -> bool:
    """Tell whether `companion login` solves a problem; others need another command."""
    return "`companion login " in problem.hint


def waits(review: Review) -> str:
    """Return what an agent waits for, in a few words."""
    return "asks for more than you agreed to" if review.is_known else "is not trusted yet"


def _attention(agent_view: AgentView) -> str:
    if agent_view.review:
        return f"{agent_view.name} {waits(agent_view.review)}"
    if problem := agent_view.trouble or agent_view.login_problem:
        return f"{agent_view.name}: {first_line(problem)}"
    return last_output(agent_view) if agent_view.health is Health.CRASHED else ""


def _counted(views: tuple[AgentView, ...]) -> str:
    agents = [agent_view for agent_view in views if agent_view.agent]
    running = sum(agent_view.health is Health.RUNNING for agent_view in agents)
    if not views:
        return "No project yet"
    if len(agents) == 1:
        return f"{agents[0].agent} is {agents[0].word}"
    return f"{running} of {len(agents)} sandboxes are running"
