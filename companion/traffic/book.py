"""The book of an agent's traffic: for each host and port, how often, when last, and why not.

It is bounded, because the agent chooses the names: of more than MOST, those that were refused the
longest ago are left out and only counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from companion.traffic.log import Passage

MOST = 500
"""Endpoints that are remembered."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened with one host and port; times in seconds since 1970."""

    host: str
    """Empty: what gave no host name."""
    port: int
    first: float
    last: float
    allowed: int = 0
    refused: int = 0
    why: str = ""
    """The gateway's word for the last refusal; empty if nothing was refused."""
    is_refused: bool = False
    """The last of it was refused."""
    sent: int = 0
    """Bytes from the agent."""
    received: int = 0
    """Bytes to the agent."""


@dataclass(frozen=True, slots=True)
class Book:
    """All that is remembered of an agent's traffic."""

    entries: tuple[Entry, ...] = ()
    """What was last seen comes first."""
    left_out: int = 0
    """How many endpoints were forgotten, because there were too many."""
    until: int = 0
    """Up to when the log was read, in nanoseconds since 1970."""


def entered(book: Book, lines: Iterable[tuple[int, Passage]]) -> Book:
    """Return the book with further passages.

    Args:
        book: what is known.
        lines: the time of each passage, in nanoseconds since 1970, and the passage.
    """
    known, until = {(e.host, e.port): e for e in book.entries}, book.until
    for moment, passage in lines:
        key, until = (passage.host, passage.port), max(until, moment)
        at = moment / 1e9
        entry = known.get(key) or Entry(*key, first=at, last=at)
        known[key] = _joined(entry, at, passage)
    rows = sorted(known.values(), key=lambda e: e.last, reverse=True)
    # What was let through is what left the sandbox: it is kept as long as anything was refused.
    first_to_keep = sorted(rows, key=lambda e: (e.allowed == 0, -e.last))
    kept = {(e.host, e.port) for e in first_to_keep[:MOST]}
    entries = tuple(e for e in rows if (e.host, e.port) in kept)
    return Book(entries, book.left_out + len(rows) - len(entries), until)


def _joined(entry: Entry, at: float, passage: Passage) -> Entry:
    refused = passage.was_refused
    return replace(
        entry,
        first=min(entry.first, at),
        last=max(entry.last, at),
        allowed=entry.allowed + (not refused),
        refused=entry.refused + refused,
        why=passage.why if refused else entry.why,
        is_refused=refused,
        # The handshake and the answer that told why are no traffic with the host.
        sent=entry.sent + (0 if refused else passage.sent),
        received=entry.received + (0 if refused else passage.received),
    )
