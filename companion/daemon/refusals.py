"""Refusals: the hosts that a sandbox was refused lately, and when the user hears of one. Pure.

The agent chooses the names and how often it asks. So what is remembered is bounded, each host is
announced once, and only a few in a while.
"""

from dataclasses import dataclass, replace

MOST = 20
"""Refused hosts of one sandbox that are shown."""
TOLD_MOST = 500
"""Hosts that are announced at most, until the sandbox is taken down: each is remembered."""
_WHILE, _FEW = 600.0, 3
"""Seconds, and how many hosts of one sandbox are announced in that time; then one that says so."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A host that a sandbox was refused."""

    host: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the user is told of: one host, or that there are more."""

    host: str = ""
    """Empty: more hosts than can be told one by one."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """All that is known of one sandbox; times in seconds on any clock."""

    rows: tuple[Refusal, ...] = ()
    """Those on which the user may decide, the last one first."""
    told: tuple[tuple[str, float], ...] = ()
    """Every host that was announced, or would have been, and when; the last one last."""
    ignored: frozenset[str] = frozenset()
    """The hosts of which the user wants to hear no more."""
    news: Announcement | None = None
    """What the user is told after the last refusal; None: nothing."""


def refused(known: Refusals, host: str, now: float) -> Refusals:
    """Return the refusals after another one."""
    if host in known.ignored:
        return replace(known, news=None)
    old = next((row for row in known.rows if row.host == host), Refusal(host, 0))
    others = (row for row in known.rows if row.host != host)
    rows = (replace(old, count=old.count + 1), *others)[:MOST]
    if len(known.told) >= TOLD_MOST or any(host == one for one, _ in known.told):
        return replace(known, rows=rows, news=None)
    told = (*known.told, (host, now))
    lately = sum(1 for _, at in told if at > now - _WHILE)
    news = {_FEW + 1: Announcement()}.get(lately) if lately > _FEW else Announcement(host)
    return replace(known, rows=rows, told=told, news=news)


def settled(known: Refusals, host: str, *, ignored: bool = False) -> Refusals:
    """Return the refusals after the user decided on a host, or after it was let through."""
    rows = tuple(row for row in known.rows if row.host != host)
    if ignored:
        return replace(known, rows=rows, ignored=known.ignored | {host}, news=None)
    told = tuple((one, at) for one, at in known.told if one != host)
    return replace(known, rows=rows, told=told, news=None)
