"""Events: what happened lately, the last first, for the tray's menu. Pure."""

from dataclasses import dataclass
from enum import StrEnum

MOST = 15
"""Events that are kept."""


class About(StrEnum):
    """What an event is about: it decides what a click on it shows."""

    CHANGE = "change"
    BUILD = "build"
    """A build failed."""
    END = "end"
    """An agent crashed or was stopped."""
    NETWORK = "network"
    ATTENTION = "attention"
    WATCHER = "watcher"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `at` in seconds since 1970."""

    at: float
    text: str
    """With the name of the sandbox, in one line."""
    about: About = About.WATCHER
    sandbox: str = ""
    """Its key; empty if it is about no single one."""


@dataclass(frozen=True, slots=True)
class Events:
    """The last events, the newest first."""

    rows: tuple[Event, ...] = ()

    def after(self, event: Event) -> "Events":
        """Return the events after another one; a repetition only renews its time."""
        rest = self.rows
        if rest and rest[0].text == event.text and rest[0].sandbox == event.sandbox:
            rest = rest[1:]
        return Events((event, *rest)[:MOST])
