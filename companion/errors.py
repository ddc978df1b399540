"""Errors that a user can cause or fix, and the codes that scripts match.

Named tuples, because importing dataclasses would take a fifth of the start-up of every command.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar, NamedTuple

_RUN = re.compile(r"[\w+=-]{12,}")
_CHANGE = re.compile(r"(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
_LONGEST_NAME = 24
_LONGEST, _BEGINNING = 200, 40
"""Characters: the longest path that a message repeats, and the prefix it shows of a longer one."""


class Code(StrEnum):
    """The code of a problem in `--json`, for scripts; a value never changes its meaning."""

    FAILED = "failed"
    USAGE = "usage"
    BUG = "bug"
    CONFIG_INVALID = "config-invalid"
    CONFIG_MISSING = "config-missing"
    NO_CREDENTIAL = "no-credential"
    CREDENTIAL_REJECTED = "credential-rejected"
    SECRET_MISSING = "secret-missing"  # noqa: S105 - no secret, but its name's absence
    SECRET_UNBOUND = "secret-unbound"  # noqa: S105 - the same
    SECRET_FAILED = "secret-failed"  # noqa: S105 - the same
    NO_KEYCHAIN = "no-keychain"
    KEYCHAIN_LOCKED = "keychain-locked"
    NOT_AUTHORIZED = "not-authorized"
    TOKEN_EXPIRED = "token-expired"  # noqa: S105 - the same
    NO_ENGINE = "no-engine"
    ENGINE_SILENT = "engine-silent"
    ENGINE_ELSEWHERE = "engine-elsewhere"
    ENGINE_DENIED = "engine-denied"
    ENGINE_FAILED = "engine-failed"
    WORLD_CHANGED = "world-changed"
    SUBNET_TAKEN = "subnet-taken"
    ADDRESS_HELD = "address-held"
    NAME_TAKEN = "name-taken"
    PORT_TAKEN = "port-taken"
    PORT_LOCAL = "port-local"
    GIT_UNPROTECTED = "git-unprotected"
    GIT_CHANGED = "git-changed"
    IMAGE_GONE = "image-gone"
    NETWORK_MISSING = "network-missing"
    NO_WAY_OUT = "no-way-out"
    PULL_FAILED = "pull-failed"
    BUILD_FAILED = "build-failed"
    LOGIN_FAILED = "login-failed"
    AGENT_ENDED = "agent-ended"
    ROLLED_BACK = "rolled-back"
    SUPERSEDED = "superseded"
    STOPPED = "stopped"
    ALREADY_RUNNING = "already-running"
    NOT_REGISTERED = "not-registered"
    NOT_STARTED = "not-started"
    AGENT_UNKNOWN = "agent-unknown"
    NO_LOGINS = "no-logins"
    EDITOR_MISSING = "editor-missing"
    EXISTS = "exists"
    NO_WATCHER = "no-watcher"
    NO_REPOSITORY = "no-repository"
    WORK_UNSAVED = "work-unsaved"
    CONFIRMATION_REQUIRED = "confirmation-required"
    RESTART_NEEDED = "restart-needed"
    TRUST_REQUIRED = "trust-required"
    DAMAGED = "damaged"
    FILE_ACCESS = "file-access"


class Position(NamedTuple):
    """A position in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problem(NamedTuple):
    """One thing that is wrong, where, and what to do about it."""

    what: str
    hint: str = ""
    place: Position | None = None
    code: Code = Code.CONFIG_INVALID

    @property
    def located(self) -> str:
        """What is wrong, prefixed with its position as `file:line:column: `."""
        return f"{self.place}: {self.what}" if self.place else self.what

    def __str__(self) -> str:
        return self.located + (f"; {self.hint}" if self.hint else "")


def quoted(text: str) -> str:
    """Quote a path that the user wrote, and mask anything in it that looks like a secret.

    A secret is a run of 12 or more characters that alternates between letters and digits at least
    three times. A text too long to be a path, such as a pasted command, is truncated.
    """
    shown = _RUN.sub(_hidden, text)
    return f"'{shown}'" if len(text) <= _LONGEST else f"'{shown[:_BEGINNING]}…'"


def named(text: str) -> str:
    """Quote a key or name that the user wrote; mask one that is too long to be a name.

    A forgotten colon is enough to turn a secret into a key.
    """
    return quoted(text) if len(text) <= _LONGEST_NAME else "'…'"


def _hidden(run: re.Match[str]) -> str:
    return "…" if len(_CHANGE.findall(run[0])) >= 3 else run[0]  # noqa: PLR2004 - see quoted()


class CompanionError(Exception):
    """An expected failure: what is wrong, the next step, and a code for scripts."""

    code: ClassVar[Code] = Code.FAILED

    def __init__(self, problem: str, hint: str = "", *, code: Code | None = None) -> None:
        super().__init__(problem)
        found = Problem(problem, hint, code=code or self.code)
        self.problems: tuple[Problem, ...] = (found,)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class ConfigError(CompanionError):
    """The user's files are invalid; holds every problem found, sorted by position."""

    code = Code.CONFIG_INVALID

    def __init__(self, problems: Iterable[Problem]) -> None:
        ordered = sorted(problems, key=lambda p: (p.place is None, p.place or Position("", 0, 0)))
        super().__init__("\n".join(map(str, ordered)))
        self.problems = tuple(dict.fromkeys(ordered))


class EngineError(CompanionError):
    """The container engine refused or failed; `log` is its output."""

    code = Code.ENGINE_FAILED

    def __init__(
        self, problem: str, hint: str = "", log: str = "", *, code: Code | None = None
    ) -> None:
        super().__init__(problem, hint, code=code)
        self.log = log


class WorldChangedError(EngineError):
    """The world changed since planning; a retry may succeed."""

    code = Code.WORLD_CHANGED


class SubnetTakenError(WorldChangedError):
    """One of our subnets overlaps another network; a different one may fit."""

    code = Code.SUBNET_TAKEN


class AddressHeldError(WorldChangedError):
    """The engine still reserves the address of a container of ours that is gone."""

    code = Code.ADDRESS_HELD


class NameTakenError(EngineError):
    """A container with this name exists, although the engine did not list it among ours."""

    code = Code.NAME_TAKEN


class PortTakenError(WorldChangedError):
    """Another process holds the port that a sandbox publishes: `port`, if that is known."""

    code = Code.PORT_TAKEN

    def __init__(self, problem: str, hint: str = "", log: str = "", *, port: int = 0) -> None:
        super().__init__(problem, hint, log)
        self.port = port


class UnreachableError(WorldChangedError):
    """SSH does not answer although everything runs; replacing the containers may help."""

    code = Code.LOGIN_FAILED


class ImageGoneError(WorldChangedError):
    """An image was removed since it was last seen."""

    code = Code.IMAGE_GONE


class SupersededError(CompanionError):
    """The user's files changed during a build and no longer need its image."""

    code = Code.SUPERSEDED


class StoppedError(CompanionError):
    """The agent was asked to stop, or is not supposed to run."""

    code = Code.STOPPED


class UntrustedError(CompanionError):
    """The configuration opens something that the user has not agreed to; nothing was changed."""

    code = Code.TRUST_REQUIRED


class RolledBackError(CompanionError):
    """A new configuration failed; the previous version is running again."""

    code = Code.ROLLED_BACK


class AlreadyRunningError(CompanionError):
    """Another watcher of this user is already running."""

    code = Code.ALREADY_RUNNING


class UsageError(CompanionError):
    """The command line is invalid."""

    code = Code.USAGE
