"""The tray's menu: a pure function from the view to rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from companion.daemon.view import AgentView, IconState, View, last_output
from companion.daemon.wording import first_line, headline, icon_state, is_for_login, waits
from companion.engine.model import Health
from companion.project.forwards import Forward
from companion.traffic.words import place

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
    """Show the output of the sandbox."""
    REVIEW = "review"
    """Show what a project opens in a terminal, and ask whether the user agrees."""
    LOG_IN = "log-in"
    """Ask for the agent's credential in a terminal."""
    AGREE = "agree"
    """Agree to what was shown."""
    IGNORE = "ignore"
    LOG = "log"
    """Open Companion's own log."""
    NETWORK = "network"
    """Show what a sandbox used of the network, and what it was refused, in a terminal."""
    ALLOW_ONCE = "allow-once"
    ALLOW = "allow"
    REFUSE = "refuse"
    """Leave a host refused, and hear no more of it."""
    COPY = "copy"
    FORWARD = "forward"
    """Forward a port of the desktop to a sandbox, and open it in the browser."""
    VISIT = "visit"
    """Open a port that is forwarded."""
    UNFORWARD = "unforward"
    EDIT = "edit"
    INCLUDE = "include"
    ADD = "add"
    PAUSE = "pause"
    RESUME = "resume"
    LOGIN_ON = "login-on"
    LOGIN_OFF = "login-off"
    QUIT = "quit"


GRANTS = frozenset({Verb.AGREE, Verb.ALLOW, Verb.ALLOW_ONCE})
"""Clicks that open something for an agent."""


@dataclass(frozen=True, slots=True)
class Click:
    """A click: the action and its target."""

    verb: Verb
    sandbox: str = ""
    editor: str = ""
    """An editor's id."""
    digest: str = ""
    """The digest of what the user was shown."""
    host: str = ""
    port: int = 0
    """A port in the sandbox; of one that is forwarded, the desktop's."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a menu; without a click and inner rows it is only a label."""

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
class AgentPorts:
    """The ports of one sandbox at the moment."""

    offered: tuple[int, ...] = ()
    """Where servers listen inside to which no port is forwarded."""
    forwards: tuple[Forward, ...] = ()


@dataclass(frozen=True, slots=True)
class DesktopInfo:
    """The facts about the desktop that the menu depends on."""

    editors: tuple[tuple[str, str], ...] = ()
    """Id and name of each installed editor, the last used first."""
    included: bool = True
    """Whether ~/.ssh/config includes the sandboxes."""
    at_login: bool = False
    ports: Mapping[str, AgentPorts] = field(default_factory=dict)
    """Sandbox → its ports."""


def rows(view: View, desk: DesktopInfo) -> tuple[Row, ...]:
    """Return the whole menu."""
    return tuple(_rows(view, desk))


def title(view: View) -> str:
    """Return the tooltip."""
    return f"Companion: {_cut(headline(view))}"


def _rows(view: View, desk: DesktopInfo) -> Iterator[Row]:
    yield Row("status", _cut(headline(view)), _remedy(view))
    yield SEPARATOR
    views = tuple(view.sandboxes.values())
    if len(views) == 1:
        yield from _sandbox(views[0], desk, default=True)
    else:
        for agent_view in views:
            inner = (
                Row(f"{agent_view.id}:state", _cut(_state(agent_view)), _repair(agent_view)),
                *_sandbox(agent_view, desk, default=False),
            )
            yield Row(
                agent_view.id,
                f"{_label(views, agent_view)}: {_short_state(agent_view)}",
                rows=inner,
            )
    yield SEPARATOR
    if not desk.included and views:
        yield Row("include", "Add the sandboxes to ~/.ssh/config", Click(Verb.INCLUDE))
    yield Row("add", "Add project…", Click(Verb.ADD))
    pause = Verb.RESUME if view.paused else Verb.PAUSE
    yield Row("pause", "Pause watching", Click(pause), checked=view.paused)
    login = Verb.LOGIN_OFF if desk.at_login else Verb.LOGIN_ON
    yield Row("login", "Start at login", Click(login), checked=desk.at_login)
    yield SEPARATOR
    yield Row("quit", "Quit (sandboxes keep running)", Click(Verb.QUIT))


def _sandbox(agent_view: AgentView, desk: DesktopInfo, *, default: bool) -> Iterator[Row]:
    """Yield the actions on one sandbox; without an agent in its file, only editing is possible."""

    def row(verb: Verb, text: str) -> Row:
        return Row(f"{agent_view.id}:{verb}", text, Click(verb, agent_view.id))

    if agent_view.review:
        yield row(Verb.REVIEW, "Review what it asks for…")
    if _lacks_credential(agent_view):
        yield row(Verb.LOG_IN, "Log in to its model…")
    if agent_view.agent:
        yield from _editors(agent_view, desk, default=default)
        yield row(Verb.TERMINAL, "Terminal (SSH)")
        yield row(Verb.RESTART, "Restart")
        stop = (
            row(Verb.STOP, "Stop")
            if agent_view.health in {Health.RUNNING, Health.BROKEN}
            else row(Verb.START, "Start")
        )
        yield replace(stop, key=f"{agent_view.id}:run")
        yield from _refused(agent_view)
        yield row(Verb.LOGS, "Logs")
        yield row(Verb.COPY, "Copy SSH command")
        yield from _ports(agent_view, desk.ports.get(agent_view.id, AgentPorts()))
    yield row(Verb.EDIT, "Edit agent.yaml")


def _refused(agent_view: AgentView) -> Iterator[Row]:
    """Yield one row with the hosts that were refused, if there are any to decide on."""
    waiting = agent_view.refusals.rows
    key = f"{agent_view.id}:refused"
    choices = (
        (Verb.ALLOW_ONCE, "Allow once"),
        (Verb.ALLOW, "Allow always"),
        (Verb.REFUSE, "Ignore"),
    )

    def inner(host: str) -> tuple[Row, ...]:
        return tuple(
            Row(f"{key}:{host}:{verb}", text, Click(verb, agent_view.id, host=host))
            for verb, text in choices
        )

    if waiting:
        hosts = (Row(f"{key}:{r.host}", place(r.host), rows=inner(r.host)) for r in waiting)
        yield Row(key, f"Refused hosts ({len(waiting)})", rows=tuple(hosts))


def _editors(agent_view: AgentView, desk: DesktopInfo, *, default: bool) -> Iterator[Row]:
    """One row for the editor used last, and one with all of them if there are more."""
    prefix = f"{agent_view.id}:open"
    if not desk.editors:
        yield Row(prefix, "No editor found")
        return
    all_rows = [
        Row(f"{prefix}:{editor}", name, Click(Verb.OPEN, agent_view.id, editor))
        for editor, name in desk.editors
    ]
    first = all_rows[0]
    yield replace(first, key=prefix, text=f"Open in {first.text}", default=default)
    if len(all_rows) > 1:
        yield Row(f"{prefix}:more", "Open in", rows=tuple(all_rows))


def _ports(agent_view: AgentView, ports: AgentPorts) -> Iterator[Row]:
    """One row with the ports of a sandbox, if there are any and it accepts logins."""
    prefix = f"{agent_view.id}:port"

    def row(verb: Verb, port: int, text: str) -> Row:
        click = Click(verb, agent_view.id, port=port)
        return Row(f"{prefix}:{verb}:{port}", text, click)

    inner: list[Row] = []
    for forward in ports.forwards:
        inner.append(row(Verb.VISIT, forward.port, f"Open {forward.url}"))
        inner.append(row(Verb.UNFORWARD, forward.port, f"Stop forwarding {forward.port}"))
    inner += [row(Verb.FORWARD, port, f"Forward {port} and open it") for port in ports.offered]
    if inner and agent_view.alias:
        yield Row(prefix, "Ports", rows=tuple(inner))


def _remedy(view: View) -> Click | None:
    """Return the click of the status row: to the first sandbox that needs attention."""
    if icon_state(view) is not IconState.ATTENTION:
        return None
    repairs = (_repair(agent_view) for agent_view in view.sandboxes.values())
    return next((repair for repair in repairs if repair), None)


def _repair(agent_view: AgentView) -> Click | None:
    if agent_view.review:
        return Click(Verb.REVIEW, agent_view.id)
    if agent_view.trouble is None and _lacks_credential(agent_view):
        return Click(Verb.LOG_IN, agent_view.id)
    if agent_view.trouble is None:
        return Click(Verb.LOGS, agent_view.id) if agent_view.health is Health.CRASHED else None
    return Click(Verb.EDIT if agent_view.trouble.place else Verb.LOG, agent_view.id)


def _lacks_credential(agent_view: AgentView) -> bool:
    problem = agent_view.login_problem
    return problem is not None and is_for_login(problem)


def _label(views: tuple[AgentView, ...], agent_view: AgentView) -> str:
    """Return the agent's name, with its project's where that is not enough."""
    alike = sum(other.agent == agent_view.agent for other in views)
    if not agent_view.agent:
        return agent_view.name
    return agent_view.agent if alike == 1 else f"{agent_view.agent} ({agent_view.name})"


def _short_state(agent_view: AgentView) -> str:
    if agent_view.step:
        return "working…"
    if agent_view.review:
        return "waits for your review"
    if agent_view.trouble:
        return "needs attention"
    if _lacks_credential(agent_view):
        return f"{agent_view.word}, not logged in"
    return agent_view.word


def _state(agent_view: AgentView) -> str:
    if agent_view.review and not agent_view.step:
        return f"{agent_view.agent} {waits(agent_view.review)}"
    if agent_view.step or agent_view.trouble:
        return agent_view.step or first_line(agent_view.trouble)
    if agent_view.health is Health.CRASHED:
        return last_output(agent_view)
    if _lacks_credential(agent_view):
        return f"{agent_view.word}, {first_line(agent_view.login_problem)}"
    reach = (
        f", ssh {agent_view.alias}"
        if agent_view.alias and agent_view.health is Health.RUNNING
        else ""
    )
    return f"{agent_view.word}{reach}"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
