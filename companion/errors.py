"""What can go wrong that a user can cause or mend?

Named tuples, not dataclasses, whose import would be a fifth of the start of every command.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

_RUN = re.compile(r"[\w+=-]{12,}")
_CHANGE = re.compile(r"(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
_LONGEST_NAME = 24
_LONGEST, _BEGINNING = 200, 40
"""Characters of the longest path that a message repeats, and of what it shows of a longer one."""


class Place(NamedTuple):
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
    place: Place | None = None

    @property
    def located(self) -> str:
        """What is wrong, after its place as `file:line:column: `."""
        return f"{self.place}: {self.what}" if self.place else self.what

    def __str__(self) -> str:
        return self.located + (f"; {self.hint}" if self.hint else "")


def quoted(text: str) -> str:
    """Return a path that the user wrote, in quotes, without what looks like a secret.

    That is a run of 12 or more characters that changes between letters and digits three times.
    Of what is too long to be a path, a pasted command for example, only the beginning is shown.
    """
    shown = _RUN.sub(_hidden, text)
    return f"'{shown}'" if len(text) <= _LONGEST else f"'{shown[:_BEGINNING]}…'"


def named(text: str) -> str:
    """Return a key or name that the user wrote, in quotes; one that is too long to be one, not.

    It takes no more than a forgotten colon to make a key of a secret.
    """
    return quoted(text) if len(text) <= _LONGEST_NAME else "'…'"


def _hidden(run: re.Match[str]) -> str:
    return "…" if len(_CHANGE.findall(run[0])) >= 3 else run[0]  # noqa: PLR2004 - as said above


class CompanionError(Exception):
    """An expected failure: what is wrong with what, and the next step."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.problems: tuple[Problem, ...] = (Problem(problem, hint),)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class ConfigError(CompanionError):
    """The user's files say something we cannot follow; holds every problem found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        ordered = sorted(problems, key=lambda p: (p.place is None, p.place or Place("", 0, 0)))
        super().__init__("\n".join(map(str, ordered)))
        self.problems = tuple(dict.fromkeys(ordered))


class EngineError(CompanionError):
    """The container engine refused or failed; `log` is what it said."""

    def __init__(self, problem: str, hint: str = "", log: str = "") -> None:
        super().__init__(problem, hint)
        self.log = log


class WorldChangedError(EngineError):
    """Something of what was planned with is not so any more: another attempt may succeed."""


class SubnetTakenError(WorldChangedError):
    """The engine says that a subnet of ours overlaps another; the next one may fit."""


class AddressHeldError(WorldChangedError):
    """The engine believes that a container of ours that is gone still has its address."""


class NameTakenError(EngineError):
    """A container of this name is there, though the engine did not list it among ours."""


class PortTakenError(WorldChangedError):
    """Somebody else holds the port that a sandbox wants to publish."""


class ImageGoneError(WorldChangedError):
    """Somebody removed an image that was there a moment ago."""


class SupersededError(CompanionError):
    """While an image was built the user's files came to want another one."""


class StoppedError(CompanionError):
    """While an image was built somebody asked for the agent to be stopped."""


class RolledBackError(CompanionError):
    """A new configuration did not work; what ran before runs again."""


class AlreadyRunningError(CompanionError):
    """Another watcher of this user runs."""


class UsageError(CompanionError):
    """The command line itself makes no sense."""
