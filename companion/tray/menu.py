"""The tray's menu: a pure function from the view to rows."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from companion import __version__
from companion.daemon.events import About, Event
from companion.daemon.view import AgentView, View
from companion.daemon.wording import headline, row, summary
from companion.tray.clicks import Click, Verb
from companion.tray.remedies import remedy
from companion.tray.rows import SEPARATOR, DesktopInfo, Row, cut, of_sandbox, shortened

MOST = 10
"""Sandboxes that are shown at once; if there are more, stopped ones are in a menu of their own."""
_NAME = 40
"""Characters of a sandbox's name that are shown."""
_SHOWN = {
    About.BUILD: Verb.BUILD_LOG,
    About.END: Verb.LOGS,
    About.NETWORK: Verb.NETWORK,
    About.ATTENTION: Verb.ANSWER,
}
"""What a click on an event shows; of others, Companion's own log."""


def rows(view: View, desk: DesktopInfo) -> tuple[Row, ...]:
    """Return the whole menu."""
    return tuple(_rows(view, desk))


def title(view: View) -> str:
    """Return the tooltip."""
    return f"Companion: {cut(headline(view))}"


def _rows(view: View, desk: DesktopInfo) -> Iterator[Row]:
    views = tuple(view.sandboxes.values())
    yield Row("status", _status(view), _remedy(view))
    yield SEPARATOR
    if len(views) == 1:
        yield from of_sandbox(views[0], desk, default=True)
    else:
        yield from _list(view, desk)
    if views:
        yield SEPARATOR
    if not desk.included and views:
        yield Row("include", "Add the sandboxes to ~/.ssh/config", Click(Verb.INCLUDE))
    yield Row("add", "Add project…", Click(Verb.ADD))
    if len(views) > 1:
        can_start = any(v.agent and not v.is_up and not v.step for v in views)
        can_stop = any(v.is_up for v in views)
        yield Row("start", "Start all", Click(Verb.START_ALL) if can_start else None)
        yield Row("stop", "Stop all", Click(Verb.STOP_ALL) if can_stop else None)
    yield SEPARATOR
    yield Row("events", "Recent events", rows=tuple(_events(view, desk)))
    yield Row("settings", "Settings", rows=tuple(_settings(view, desk)))
    yield Row("help", "Help", rows=tuple(_help()))
    yield SEPARATOR
    yield Row("quit", "Quit (sandboxes keep running)", Click(Verb.QUIT))


def _status(view: View) -> str:
    views = tuple(view.sandboxes.values())
    if len(views) == 1 and not view.missed:
        return cut(row(view, views[0], shortened(views[0].name, _NAME)))
    return cut(summary(view))


def _list(view: View, desk: DesktopInfo) -> Iterator[Row]:
    """Yield one row for each sandbox: first those that need their user."""
    labels = names(view.sandboxes.values())

    def of(agent_view: AgentView) -> Row:
        text = cut(row(view, agent_view, labels[agent_view.id]))
        inner = of_sandbox(agent_view, desk, default=False)
        return Row(agent_view.id, text, rows=tuple(inner))

    ordered = _ordered(view)
    if len(ordered) <= MOST:
        yield from map(of, ordered)
        return
    shown = [v for v in ordered if v.needs_you or v.is_up or v.step]
    resting = [v for v in ordered if v not in shown]
    yield from map(of, shown[:MOST])
    if more := shown[MOST:]:
        yield Row("more", f"{len(more)} more", rows=tuple(map(of, more)))
    if resting:
        yield Row("stopped", f"○ {len(resting)} stopped", rows=tuple(map(of, resting)))


def _ordered(view: View) -> list[AgentView]:
    """Return the sandboxes by name: first those that wait, then those that need their user."""
    labels = names(view.sandboxes.values())

    def rank(agent_view: AgentView) -> tuple[int, str]:
        urgency = 0 if agent_view.waits else 1 if agent_view.needs_you else 2
        return urgency, labels[agent_view.id].casefold()

    return sorted(view.sandboxes.values(), key=rank)


def names(views: Iterable[AgentView]) -> dict[str, str]:
    """Return how each sandbox is called: by its directory, with the one above if two are alike."""
    views = tuple(views)
    count = Counter(agent_view.name for agent_view in views)

    def of(agent_view: AgentView) -> str:
        name = shortened(agent_view.name, _NAME)
        above = agent_view.ref.project.directory.parent.name
        return name if count[agent_view.name] == 1 else f"{name} ({shortened(above, _NAME // 2)})"

    return {agent_view.id: of(agent_view) for agent_view in views}


def _events(view: View, desk: DesktopInfo) -> Iterator[Row]:
    for event in view.events.rows:
        text = f"{_time(event, desk)}  {cut(event.text)}"
        yield Row(f"events:{event.at}:{event.text}", text, _shown(view, event))
    if not view.events.rows:
        yield Row("events:none", "Nothing happened yet")
    yield SEPARATOR
    yield Row("events:log", "Open the log", Click(Verb.LOG))


def _shown(view: View, event: Event) -> Click:
    """Return what a click on an event shows."""
    verb = _SHOWN.get(event.about, Verb.LOG)
    is_there = event.sandbox in view.sandboxes
    return Click(verb, event.sandbox) if is_there else Click(Verb.LOG)


def _time(event: Event, desk: DesktopInfo) -> str:
    at = datetime.fromtimestamp(event.at).astimezone()
    return f"{at:%H:%M}" if at.date().isoformat() == desk.today else f"{at:%a %H:%M}"


def _settings(view: View, desk: DesktopInfo) -> Iterator[Row]:
    pause = Verb.RESUME if view.paused else Verb.PAUSE
    yield Row("pause", "Pause watching", Click(pause), checked=view.paused)
    login = Verb.LOGIN_OFF if desk.at_login else Verb.LOGIN_ON
    yield Row("login", "Start at login", Click(login), checked=desk.at_login)
    if desk.has_settings:
        yield Row("edit", "Edit settings.yaml", Click(Verb.SETTINGS))


def _help() -> Iterator[Row]:
    yield Row("commands", "Commands", Click(Verb.HELP))
    yield Row("doctor", "Run doctor", Click(Verb.DOCTOR))
    yield Row("about", f"About Companion {__version__}", Click(Verb.ABOUT))


def _remedy(view: View) -> Click | None:
    """Return the click of the status row: to the first sandbox that needs its user."""
    if view.missed:
        return Click(Verb.DOCTOR)
    for agent_view in _ordered(view):
        if agent_view.waits:
            return Click(Verb.ANSWER, agent_view.id)
        if not agent_view.step and (found := remedy(agent_view)):
            return found[1]
    return None
