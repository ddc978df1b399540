"""Refusals: the hosts that sandboxes were refused lately, and when the user hears of one. Pure.

The agent chooses the names and how often it asks. So what is remembered is bounded, each host is
announced once, and only a few in a while.
"""

from dataclasses import dataclass, replace

MOST = 20
"""Refused hosts of one sandbox that are remembered."""
_WHILE, _FEW = 600.0, 3
"""Seconds, and how many hosts of one sandbox are announced in that time; then one that says so."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A host that a sandbox was refused; times in seconds on any clock."""

    host: str
    first: float
    count: int = 1
    ignored: bool = False
    """The user does not want to hear of it."""


Refusals = tuple[Refusal, ...]
"""The refusals of one sandbox, the last one first."""


def refused(known: Refusals, host: str, now: float) -> Refusals:
    """Return the refusals after another one."""
    old = next((r for r in known if r.host == host), None)
    new = replace(old, count=old.count + 1) if old else Refusal(host, now)
    return (new, *(r for r in known if r.host != host))[:MOST]


def settled(known: Refusals, host: str, *, ignored: bool = False) -> Refusals:
    """Return the refusals after the user decided on a host, or after it was let through."""
    if ignored:
        return tuple(replace(r, ignored=True) if r.host == host else r for r in known)
    return tuple(r for r in known if r.host != host)


def open_ones(known: Refusals) -> Refusals:
    """Return those on which the user may still decide."""
    return tuple(refusal for refusal in known if not refusal.ignored)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the user is told of: one host, or that there are more."""

    host: str = ""
    """Empty: more hosts than can be told one by one."""


def announcement(known: Refusals) -> Announcement | None:
    """Return what the user is told after the first of the refusals came in; None: nothing."""
    if not known or known[0].count > 1 or known[0].ignored:
        return None
    now = known[0].first
    lately = sum(1 for refusal in known if refusal.first > now - _WHILE)
    if lately <= _FEW:
        return Announcement(known[0].host)
    return Announcement() if lately == _FEW + 1 else None
