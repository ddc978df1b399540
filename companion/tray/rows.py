"""Rows: the parts of a menu, and the rows about one sandbox. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from companion.daemon.view import AgentView
from companion.daemon.wording import reason
from companion.project import forwards
from companion.project.forwards import Forward
from companion.project.record import UPDATE_WAITS
from companion.traffic.words import place
from companion.tray.clicks import Click, Verb
from companion.tray.remedies import remedy

WIDTH = 72
"""Characters of a row's text; a longer one is shortened."""
_URLS = 3
"""Addresses of one sandbox that have a row of their own."""


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
    has_settings: bool = False
    """Whether there is a settings.yaml to open."""
    ports: Mapping[str, AgentPorts] = field(default_factory=dict)
    """Sandbox → its ports."""
    today: str = ""
    """The date, as 2026-11-27."""


def shortened(text: str, width: int = WIDTH) -> str:
    """Return a text without its middle if it is too long: names differ at their ends."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def cut(text: str) -> str:
    """Return a sentence without its end if it is too long."""
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def of_sandbox(agent_view: AgentView, desk: DesktopInfo, *, default: bool) -> Iterator[Row]:
    """Yield the actions on one sandbox; without an agent in its file, only editing is possible."""

    def row(verb: Verb, text: str, *, enabled: bool = True) -> Row:
        click = Click(verb, agent_view.id) if enabled else None
        return Row(f"{agent_view.id}:{verb}", text, click)

    yield from _needs(agent_view)
    if agent_view.agent:
        if agent_view.waits:
            yield row(Verb.ANSWER, "Open a terminal: it waits for you")
        yield from _editors(agent_view, desk, default=default)
        yield row(Verb.TERMINAL, "Terminal")
        yield from _addresses(agent_view, desk.ports.get(agent_view.id, AgentPorts()))
        yield from _refused(agent_view)
        yield row(Verb.LOGS, "Logs")
    yield row(Verb.EDIT, "Edit agent.yaml")
    if agent_view.agent:
        if agent_view.alias:
            yield row(Verb.COPY, "Copy SSH command")
        yield SEPARATOR
        start = (Verb.RESTART, _restart(agent_view)) if agent_view.is_up else (Verb.START, "Start")
        yield replace(row(*start), key=f"{agent_view.id}:run")
        yield row(Verb.UPGRADE, "Upgrade its agent program")
        yield row(Verb.STOP, "Stop", enabled=agent_view.is_up or bool(agent_view.step))
    else:
        yield SEPARATOR
    folder = agent_view.ref.folder
    project = agent_view.ref.project.directory.name
    yield row(Verb.REMOVE, f"Remove the fleet {shortened(project, 30)}…" if folder else "Remove…")


def _restart(agent_view: AgentView) -> str:
    if not agent_view.update_waits:
        return "Restart"
    is_all = agent_view.update_waits == UPDATE_WAITS
    return f"Restart, for {'' if is_all else 'your changes and '}the update of Companion"


def _needs(agent_view: AgentView) -> Iterator[Row]:
    """Yield what is wrong and what can be done about it, if anything is."""
    found = remedy(agent_view)
    if text := reason(agent_view):
        yield Row(f"{agent_view.id}:reason", cut(text))
    if found:
        label, click = found
        yield Row(f"{agent_view.id}:remedy", label, click)
        yield SEPARATOR


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
        show = Row(f"{key}:all", "Show the network log", Click(Verb.NETWORK, agent_view.id))
        yield Row(key, f"Refused hosts ({len(waiting)})", rows=(*hosts, SEPARATOR, show))


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


def _addresses(agent_view: AgentView, ports: AgentPorts) -> Iterator[Row]:
    """Yield the addresses that lead into a sandbox, and its other ports in a row of their own."""
    prefix = f"{agent_view.id}:port"

    def row(verb: Verb, port: int, text: str) -> Row:
        return Row(f"{prefix}:{verb}:{port}", text, Click(verb, agent_view.id, port=port))

    forwarded = {forward.port: forward.url for forward in ports.forwards}
    published = {port: forwards.url(agent_view.alias, port) for port in agent_view.published}
    urls = [row(Verb.VISIT, port, url) for port, url in {**published, **forwarded}.items()]
    yield from urls[:_URLS]
    if not agent_view.alias:
        return
    inner = urls[_URLS:]
    inner += [row(Verb.FORWARD, port, f"Forward {port} and open it") for port in ports.offered]
    inner += [row(Verb.UNFORWARD, port, f"Stop forwarding {port}") for port in forwarded]
    if inner:
        yield Row(prefix, "Ports", rows=tuple(inner))
