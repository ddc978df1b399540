"""The notifications: which news deserve one, and its text. Pure."""

from dataclasses import dataclass

from companion import __version__
from companion.daemon.news import (
    AgentStopped,
    AttentionChanged,
    EngineSilent,
    ExposureChanged,
    HostRefused,
    News,
    WatchDegraded,
    WorkCrashed,
    WorkFinished,
)
from companion.daemon.view import AgentView, TrustQuestion, View
from companion.daemon.wording import first_line, waits
from companion.errors import Problem
from companion.traffic.attention import Attention
from companion.traffic.words import place
from companion.tray.clicks import Click, Verb
from companion.tray.remedies import of_problem

_LONGEST = 400
"""Characters of a question that can be answered in its notification: all of it is shown."""
_CALLS = {Attention.WAITING: "waits for you", Attention.DONE: "is done"}


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification; a newer one with the same topic replaces it on the screen."""

    topic: str
    title: str
    text: str
    actions: tuple[tuple[str, Click], ...] = ()
    """Labels of its buttons and what they do; a click on the notification does the first."""


NO_TRAY = Notification(
    "tray",
    "Companion is running, but this desktop has no tray",
    "Your sandboxes stay up to date. In a terminal, `companion --help` lists the commands.",
)
ABOUT = Notification(
    "about",
    f"Companion {__version__}",
    "The desktop companion for sandboxed coding agents. MIT license.",
)
RUNS_ALREADY = Notification("tray", "Companion is already running", "Its icon is in the tray.")


def notification_for(view: View, news: News) -> Notification | None:
    """Return the notification for a piece of news; None: it deserves none."""
    match news:
        case WorkFinished(sandbox):
            known = view.sandboxes.get(sandbox)
            return _finished(known, news) if known else None
        case WorkCrashed(sandbox, text):
            agent_view = view.sandboxes.get(sandbox)
            title = f"{agent_view.name if agent_view else sandbox} crashed"
            action = ("Show its logs", Click(Verb.LOGS, sandbox))
            return Notification(sandbox, title, text, (action,))
        case AgentStopped(sandbox, text):
            agent_view = view.sandboxes.get(sandbox)
            title = f"{agent_view.name if agent_view else sandbox} was stopped"
            start = ("Start it", Click(Verb.START, sandbox))
            return Notification(sandbox, title, _capital(text), (start,))
        case HostRefused(sandbox) | AttentionChanged(sandbox):
            agent_view = view.sandboxes.get(sandbox)
            tell = _refusal if isinstance(news, HostRefused) else _call
            return tell(agent_view) if agent_view else None
        case ExposureChanged(sandbox):
            agent_view = view.sandboxes.get(sandbox)
            return _exposure(agent_view) if agent_view else None
        case WatchDegraded(why):
            return Notification("watch", "File changes may be detected late", why)
        case EngineSilent(engine, why):
            return Notification(f"engine:{engine.name}", f"{engine.name} is not responding", why)
        case _:
            return None


def _finished(agent_view: AgentView, news: WorkFinished) -> Notification | None:
    if news.review and news.trouble:
        return _question(agent_view, news.review)
    if news.trouble:
        return _about(agent_view, "change not applied", news.trouble)
    if news.changed and news.login_problem:
        return _about(agent_view, "needs attention", news.login_problem)
    if news.changed:
        return Notification(agent_view.id, f"{agent_view.name} is ready", news.text)
    return None


def _about(agent_view: AgentView, what: str, problem: Problem) -> Notification:
    """Return what is wrong, what to do about it, and the click that does it."""
    text = "\n".join(filter(None, (first_line(problem), _capital(problem.hint))))
    action = of_problem(agent_view.id, problem)
    return Notification(agent_view.id, f"{agent_view.name}: {what}", text, (action,))


def _exposure(agent_view: AgentView) -> Notification | None:
    """Return what the user should look at before git runs, or what they could restart."""
    if problem := agent_view.changed_git:
        return _about(agent_view, "look before you run git", problem)
    if agent_view.exposed:
        return _about(agent_view, "git is unprotected", agent_view.exposed[0])
    return None


def _call(agent_view: AgentView) -> Notification | None:
    """Return that an agent waits or is done; all words are ours, whatever the agent said."""
    if not agent_view.calls.is_new:
        return None
    title = f"{agent_view.name} {_CALLS[agent_view.attention]}"
    action = ("Open a terminal", Click(Verb.ANSWER, agent_view.id))
    return Notification(f"{agent_view.id}:attention", title, "", (action,))


def _refusal(agent_view: AgentView) -> Notification | None:
    """Return the question whether a host may be reached; a few in a while, each host once."""
    announced = agent_view.refusals.news
    if announced is None:
        return None
    show = ("Show", Click(Verb.NETWORK, agent_view.id))
    if not announced.host:
        title, text = f"{agent_view.name} was refused more hosts", "The menu lists them."
        return Notification(f"{agent_view.id}:refused", title, text, (show,))
    host = announced.host
    title = f"{agent_view.name} was refused {place(host)}"
    once = ("Allow once", Click(Verb.ALLOW_ONCE, agent_view.id, host=host))
    always = ("Always", Click(Verb.ALLOW, agent_view.id, host=host))
    text = "Its egress list does not have this host. Always adds a line to agent.yaml."
    topic = f"{agent_view.id}:{host}"
    return Notification(topic, title, text, (show, once, always))


def _question(agent_view: AgentView, review: TrustQuestion) -> Notification:
    """Return the question whether the user agrees; in place only if it fits there as a whole."""
    sentences = "\n".join(f"• {sentence}" for sentence in review.new)
    show = ("Show", Click(Verb.REVIEW, agent_view.id))
    apply = ("Apply", Click(Verb.AGREE, agent_view.id, digest=review.digest))
    ignore = ("Ignore", Click(Verb.IGNORE, agent_view.id))
    title = f"{agent_view.name} {waits(review)}"
    if review.is_known and len(sentences) <= _LONGEST:
        return Notification(agent_view.id, title, sentences, (show, apply, ignore))
    text = "It opens more than can be shown here. Until you agree, nothing is changed."
    return Notification(agent_view.id, title, text, (show, ignore))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
