"""Which refused hosts the user is offered to allow: public names only. Pure.

A user can list any other host by hand. What is allowed is still checked when it is used: a name
that leads to a private address is refused, whatever was allowed.
"""

from companion.traffic.log import Passage

LISTED = "egress"
"""The gateway's word for a host that is in no list."""
PORTS = frozenset({443, 80})
_PRIVATE = frozenset({
    "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain",
    "localhost", "onion", "private",
})  # fmt: skip
"""Top-level names that lead nowhere on the internet (RFC 6761, 6762, 7686, 8375, ICANN's internal),
and those that networks commonly use as if they were theirs."""


def can_be_offered(passage: Passage) -> bool:
    """Tell whether a host was refused only because no list has it, and is one of the internet."""
    *above, top = passage.host.split(".")
    is_name = bool(above) and top not in _PRIVATE and not top[:1].isdigit()
    return passage.why == LISTED and passage.port in PORTS and is_name
