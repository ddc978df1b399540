"""Traffic in words, for terminal and tray. Names come from the agent: they are only shown."""

from companion.traffic import offers
from companion.traffic.book import Entry
from companion.traffic.log import Passage

_WHY = {
    "egress": "not in the egress list",
    "private": "leads to a private address",
    "unresolved": "has no address",
    "elsewhere": "another network has this name, too",
    "rule": "a request rule forbids it",
    "credential": "carries a credential of its own",
    "no-secret": "its secret has no value",
    "method": "a method that is never let through",
    "misdirected": "names another port",
    "host": "no host name in the request",
    "framing": "a request that can be read in two ways",
    "name": "TLS without a host name",
    "not-tls": "not TLS",
    "busy": "too much at once",
}
_TLS = 443
_WIDE = 40
"""Characters of a name that are shown; a longer one is cut in its middle, never at its end."""
_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000


def place(host: str, port: int = _TLS) -> str:
    """Return host and port as shown: the end of a name tells whose it is."""
    shown = host or "(no name)"
    if len(shown) > _WIDE:
        shown = f"{shown[:8]}…{shown[9 - _WIDE :]}"
    return shown if port == _TLS else f"{shown}:{port}" if port else shown


def why(word: str) -> str:
    """Return why the gateway refused something."""
    return _WHY.get(word, word)


def state(entry: Entry) -> str:
    """Return whether what an endpoint was last asked for went through."""
    return "refused" if entry.is_refused else "allowed"


def count(entry: Entry) -> int:
    """Return how often an endpoint was in the state that it is in."""
    return entry.refused if entry.is_refused else entry.allowed


def details(entry: Entry) -> str:
    """Return why an endpoint was refused, or the traffic with it; then what was before."""
    refused, used = why(entry.why), _bytes(entry)
    if entry.is_refused:
        return f"{refused}; allowed {_times(entry.allowed)}, {used}" if entry.allowed else refused
    return f"{used}; refused {_times(entry.refused)}, {refused}" if entry.refused else used


def use(entry: Entry) -> str:
    """Return state, count and details in one phrase."""
    often = f" {_times(count(entry))}" if count(entry) > 1 else ""
    return f"{state(entry)}{often}: {details(entry)}"


def moved(passage: Passage) -> str:
    """Return what happened with one connection or request."""
    return f"refused: {why(passage.why)}" if passage.was_refused else _bytes(passage)


def can_be_allowed(entry: Entry) -> bool:
    """Tell whether the user could let it through by listing its host."""
    return entry.is_refused and offers.can_be_offered(Passage(entry.host, entry.port, entry.why))


def size(count: int) -> str:
    """Return a number of bytes: 950 B, 1.2 kB, 34 MB."""
    number, unit = float(count), _UNITS[0]
    for larger in _UNITS[1:]:
        if number < _STEP:
            break
        number, unit = number / _STEP, larger
    exact = unit == _UNITS[0] or number >= 10  # noqa: PLR2004 - two digits are enough
    return f"{number:.0f} {unit}" if exact else f"{number:.1f} {unit}"


def _bytes(one: Entry | Passage) -> str:
    return f"{size(one.sent)} sent, {size(one.received)} received"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
