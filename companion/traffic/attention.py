"""Attention: whether an agent works, waits for its user or is done, by words that it sends. Pure.

Hooks of the agent's program ask its gateway for `PATH` and one word of a fixed list. The gateway
answers by itself and logs the word; nothing else of the agent's crosses. Where to read it:

- watcher and tray: `AgentView.attention` (`daemon/view.py`), within a second of the hook;
- commands: `Status.attention` (`operations/status.py`);
- both are an `Attention`; `shown()` puts it into words, which are empty if nothing is known.

The agent may lie, but only about itself, and only with these words.
"""

from dataclasses import dataclass
from enum import StrEnum

HOST = "companion.internal"
"""The host that the hooks ask; the gateway answers for it and never forwards it."""
PATH = "/attention/"
"""The path that the hooks ask for, before the word."""


class Word(StrEnum):
    """What a hook may say. The gateway takes no other word."""

    BUSY = "busy"
    WAITING = "waiting"
    DONE = "done"
    BELL = "bell"
    """A terminal rang while nobody was attached to it."""
    SEEN = "seen"
    """The user attached the terminal."""
    ENDED = "ended"
    """The agent's program ended."""


class Attention(StrEnum):
    """The state of an agent's work."""

    UNKNOWN = ""
    """No hook has reported since the sandbox started, or the agent's program ended."""
    BUSY = "busy"
    WAITING = "waiting"
    """It needs an answer, such as a permission."""
    DONE = "done"
    """It finished its turn."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What an agent's words amount to so far."""

    attention: Attention = Attention.UNKNOWN
    by_bell: bool = False
    """It waits only because a terminal rang, so it is enough to look at it."""
    at: float = 0.0
    """When the last word came, in seconds since 1970."""


_STATES = {
    Word.BUSY: Attention.BUSY,
    Word.WAITING: Attention.WAITING,
    Word.DONE: Attention.DONE,
    Word.ENDED: Attention.UNKNOWN,
}
_SHOWN = {
    Attention.UNKNOWN: "",
    Attention.BUSY: "busy",
    Attention.WAITING: "waits for you",
    Attention.DONE: "done",
}


def word_of(text: str) -> Word | None:
    """Return the word that a text is; None if it is none."""
    return next((word for word in Word if word == text), None)


def heard(known: Heard, word: Word, at: float) -> Heard:
    """Return what is known after another word, at a time in seconds since 1970."""
    if word is Word.BELL:
        asked = known.attention in {Attention.WAITING, Attention.DONE}
        state = known.attention if asked else Attention.WAITING
        return Heard(state, by_bell=known.by_bell or not asked, at=at)
    if word is Word.SEEN:
        return Heard(Attention.UNKNOWN if known.by_bell else known.attention, at=at)
    return Heard(_STATES[word], at=at)


def since_start(known: Heard, started: float) -> Attention:
    """Return the state, unless it was heard before the sandbox started (seconds since 1970)."""
    return known.attention if known.at >= started else Attention.UNKNOWN


def shown(attention: Attention) -> str:
    """Return a state in words; empty if nothing is known."""
    return _SHOWN[attention]
