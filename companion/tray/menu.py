"""What stands in the tray's menu? A pure function from the picture to rows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from companion.daemon.view import Mood, Picture, SandboxView, first_line, headline, last_words, mood
from companion.engine.model import Health

_WIDTH = 72
"""Characters after which a row's text is cut."""


class Verb(StrEnum):
    """What a click does."""

    OPEN = "open"
    TERMINAL = "terminal"
    RESTART = "restart"
    START = "start"
    STOP = "stop"
    LOGS = "logs"
    """What the sandbox says."""
    LOG = "log"
    """What companion did."""
    COPY = "copy"
    EDIT = "edit"
    INCLUDE = "include"
    ADD = "add"
    PAUSE = "pause"
    RESUME = "resume"
    LOGIN_ON = "login-on"
    LOGIN_OFF = "login-off"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Click:
    """A click: what to do, and with what; `editor` is an editor's id."""

    verb: Verb
    sandbox: str = ""
    editor: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a menu; without click and rows it only tells something."""

    key: str
    """Stays the same while the row means the same, whatever its text."""
    text: str
    click: Click | None = None
    rows: tuple["Row", ...] = ()
    checked: bool | None = None
    default: bool = False
    """What a left click on the icon does, where the desktop has such a click."""


SEPARATOR = Row("-", "-")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the menu must know of the desktop."""

    editors: tuple[tuple[str, str], ...] = ()
    """Id and name of each editor that is here, the one used last first."""
    included: bool = True
    """~/.ssh/config names the sandboxes."""
    at_login: bool = False


def rows(picture: Picture, desk: Surroundings) -> tuple[Row, ...]:
    """Return the whole menu."""
    return tuple(_rows(picture, desk))


def title(picture: Picture) -> str:
    """Return the tooltip."""
    return f"Companion: {_cut(headline(picture))}"


def _rows(picture: Picture, desk: Surroundings) -> Iterator[Row]:
    yield Row("status", _cut(headline(picture)), _cure(picture))
    yield SEPARATOR
    views = tuple(picture.sandboxes.values())
    if len(views) == 1:
        yield from _sandbox(views[0], desk, default=True)
    else:
        for view in views:
            inner = (
                Row(f"{view.id}:state", _cut(_state(view)), _mend(view)),
                *_sandbox(view, desk, default=False),
            )
            yield Row(view.id, f"{_label(views, view)}: {_short_state(view)}", rows=inner)
    yield SEPARATOR
    if not desk.included and views:
        yield Row("include", "Add the sandboxes to ~/.ssh/config", Click(Verb.INCLUDE))
    yield Row("add", "Add project…", Click(Verb.ADD))
    pause = Verb.RESUME if picture.paused else Verb.PAUSE
    yield Row("pause", "Pause watching", Click(pause), checked=picture.paused)
    login = Verb.LOGIN_OFF if desk.at_login else Verb.LOGIN_ON
    yield Row("login", "Start at login", Click(login), checked=desk.at_login)
    yield SEPARATOR
    yield Row("quit", "Quit (sandboxes keep running)", Click(Verb.QUIT))


def _sandbox(view: SandboxView, desk: Surroundings, *, default: bool) -> Iterator[Row]:
    """Yield what can be done with one; whose file names no agent yet can only be edited."""

    def row(verb: Verb, text: str) -> Row:
        return Row(f"{view.id}:{verb}", text, Click(verb, view.id))

    if view.agent:
        yield from _editors(view, desk, default=default)
        yield row(Verb.TERMINAL, "Terminal (SSH)")
        yield row(Verb.RESTART, "Restart")
        stop = (
            row(Verb.STOP, "Stop")
            if view.health in {Health.RUNNING, Health.BROKEN}
            else row(Verb.START, "Start")
        )
        yield replace(stop, key=f"{view.id}:run")
        yield row(Verb.LOGS, "Logs")
        yield row(Verb.COPY, "Copy SSH command")
    yield row(Verb.EDIT, "Edit agent.yaml")


def _editors(view: SandboxView, desk: Surroundings, *, default: bool) -> Iterator[Row]:
    """One row for the editor used last, and one with all of them if there are more."""
    prefix = f"{view.id}:open"
    if not desk.editors:
        yield Row(prefix, "No editor found")
        return
    all_rows = [
        Row(f"{prefix}:{editor}", name, Click(Verb.OPEN, view.id, editor))
        for editor, name in desk.editors
    ]
    first = all_rows[0]
    yield replace(first, key=prefix, text=f"Open in {first.text}", default=default)
    if len(all_rows) > 1:
        yield Row(f"{prefix}:more", "Open in", rows=tuple(all_rows))


def _cure(picture: Picture) -> Click | None:
    """A click on the status row leads to what needs attention."""
    if mood(picture) is not Mood.ATTENTION:
        return None
    cures = (_mend(view) for view in picture.sandboxes.values())
    return next((cure for cure in cures if cure), None)


def _mend(view: SandboxView) -> Click | None:
    if view.trouble is None:
        return Click(Verb.LOGS, view.id) if view.health is Health.CRASHED else None
    return Click(Verb.EDIT if view.trouble.place else Verb.LOG, view.id)


def _label(views: tuple[SandboxView, ...], view: SandboxView) -> str:
    """Return the agent's name, with its project's where that is not enough."""
    alike = sum(other.agent == view.agent for other in views)
    if not view.agent:
        return view.name
    return view.agent if alike == 1 else f"{view.agent} ({view.name})"


def _short_state(view: SandboxView) -> str:
    if view.step:
        return "working…"
    if view.trouble:
        return "needs attention"
    return view.word


def _state(view: SandboxView) -> str:
    if view.step or view.trouble:
        return view.step or first_line(view.trouble)
    if view.health is Health.CRASHED:
        return last_words(view)
    reach = f", ssh {view.alias}" if view.alias and view.health is Health.RUNNING else ""
    return f"{view.word}{reach}"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
