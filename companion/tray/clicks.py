"""Clicks: what a row of the menu or a button of a notification does, as values."""

from dataclasses import dataclass
from enum import StrEnum


class Verb(StrEnum):
    """What a click does."""

    OPEN = "open"
    TERMINAL = "terminal"
    ANSWER = "answer"
    """Attach the terminal in which the agent waits."""
    RESTART = "restart"
    START = "start"
    STOP = "stop"
    START_ALL = "start-all"
    STOP_ALL = "stop-all"
    UPGRADE = "upgrade"
    """Raise the agent's program to its newest version, in a terminal."""
    REMOVE = "remove"
    """Forget the project, after a question."""
    LOGS = "logs"
    """Show the output of the sandbox."""
    BUILD_LOG = "build-log"
    """Show the output of the last build."""
    REVIEW = "review"
    """Show what a project opens in a terminal, and ask whether the user agrees."""
    LOG_IN = "log-in"
    """Ask for the agent's credential in a terminal."""
    AUTHORIZE = "authorize"
    """Authorize an MCP server, in the browser."""
    SECRET = "secret"  # noqa: S105 - no secret, but the click that asks for one
    """Give a secret its value: in .env where there is one, else in a terminal."""
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
    """Open a port of the desktop that leads to a sandbox."""
    UNFORWARD = "unforward"
    EDIT = "edit"
    """Open the file in which a problem is, or agent.yaml."""
    INCLUDE = "include"
    ADD = "add"
    PAUSE = "pause"
    RESUME = "resume"
    LOGIN_ON = "login-on"
    LOGIN_OFF = "login-off"
    SETTINGS = "settings"
    """Open settings.yaml."""
    HELP = "help"
    DOCTOR = "doctor"
    ABOUT = "about"
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
    """A port in the sandbox; of one to visit or to end, the desktop's."""
    name: str = ""
    """Of a secret or an MCP server."""
    file: str = ""
    """The file of a problem, relative to its project."""
