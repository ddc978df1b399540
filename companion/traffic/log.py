"""The gateway's log: the formats that HAProxy writes, and what their lines say.

A line is written when a connection or request ends, so what is under way is not in the log yet. Its
first words come from the agent. What follows the last ` port=` or ` status=` does not: no text of
the agent's can stand there, so lines are read from their end.
"""

import re
from dataclasses import dataclass

from companion.traffic.attention import Word, word_of

_SENT = "bytes=%U/%B"
_NAMED = "bytes(0,300)"
"""No more of an agent's word is logged: HAProxy cuts lines at 1024, and their end must be there."""
TLS = (
    f"tls %[var(sess.sni),{_NAMED}] port=%[var(sess.port)] to=%b why=%[var(sess.reason)] {_SENT}"
    " ms=%Tt term=%ts"
)
"""The format of TLS that passes through, or is refused by its name."""
REQUEST = (
    f"{{kind}} %[var(txn.hosthdr),{_NAMED}] port=%[var(txn.port)]"
    f" %[var(txn.method),{_NAMED}] %[var(txn.path),{_NAMED}]"
    f" status=%ST why=%[var(txn.reason)] {_SENT} ms=%Ta term=%ts"
)
"""The format of a request, with `kind` http or https."""

ALLOWED = "ok"
INTERCEPTED = "intercepted"
"""Why a connection's TLS ends in the gateway, which then writes a line for each request on it."""
ATTENTION = "attention"
"""Why a request is a hook's; after it and a dash comes the word that the hook said."""
_NAMELESS = frozenset({"host", "framing", "name", "not-tls", "busy"})
"""Refusals before there is a host name to speak of."""
_TAIL = r"why=(?P<why>[a-z-]+) bytes=(?P<sent>\d+)/(?P<received>\d+) ms=[+-]?\d+ term=\S+"
_LINES = (
    re.compile(rf"tls (?P<host>.*) port=(?P<port>\d+|-) to=\S+ {_TAIL}"),
    re.compile(rf"https? (?P<host>.*?) port=(?P<port>\d+|-) .* status=-?\d+ {_TAIL}"),
)
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]+(\.[a-z0-9_-]+)*\Z")
_UNSET = "-"
_DIGITS = 15
"""More digits than any count of bytes has."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One connection or request that ended, or was refused; bytes as the agent counts them."""

    host: str
    """A host name in lower case; empty if the agent gave none that is one."""
    port: int
    why: str
    sent: int = 0
    received: int = 0

    @property
    def was_refused(self) -> bool:
        """Whether the gateway let it go nowhere."""
        return self.why != ALLOWED


def parse(line: str) -> Passage | None:
    """Return what a line says; None for a line of another kind."""
    found = _found(line)
    if not found or found["why"] == INTERCEPTED or _is_word(found["why"]):
        return None
    host, port, why = found["host"].partition(":")[0], found["port"], found["why"]
    is_tls = found.re is _LINES[0]
    has_name = why not in _NAMELESS and host != _UNSET and _NAME.match(host)
    return Passage(
        host=host if has_name else "",
        # Without a name, whatever the agent sent as one may have held ` port=`, too.
        port=int(port[:_DIGITS]) if port != _UNSET and (has_name or is_tls) else 0,
        why=why,
        sent=int(found["sent"][:_DIGITS]),
        received=int(found["received"][:_DIGITS]),
    )


def word(line: str) -> Word | None:
    """Return what a hook said of the agent's work; None for a line of another kind."""
    found = _found(line) if f"why={ATTENTION}-" in line else None
    is_word = found and found.re is _LINES[1] and _is_word(found["why"])
    return word_of(found["why"].removeprefix(f"{ATTENTION}-")) if found and is_word else None


def _found(line: str) -> "re.Match[str] | None":
    return next(filter(None, (shape.fullmatch(line) for shape in _LINES)), None)


def _is_word(why: str) -> bool:
    return why.partition("-")[0] == ATTENTION
