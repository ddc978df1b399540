"""What can go wrong that a user can cause or mend?"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where, and what to do about it."""

    what: str
    hint: str = ""
    place: Place | None = None

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.what}" + (f", {self.hint}" if self.hint else "")


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


class SubnetTakenError(EngineError):
    """The engine says that a subnet of ours overlaps another; the next one may fit."""


class AddressHeldError(EngineError):
    """The engine believes that a container of ours that is gone still has its address."""


class NameTakenError(EngineError):
    """A container of this name is there, though the engine did not list it among ours."""


class PortTakenError(EngineError):
    """Somebody else holds the port that a sandbox wants to publish."""


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
