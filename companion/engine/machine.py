"""Machine: the networks of an engine's machine, where that is not this one.

A container in the machine's own network namespace reads them from the kernel. It runs `cat` of the
image that gateways are built from, so nothing is downloaded that would not be needed anyway.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from companion.engine.arguments import clean, restricted
from companion.engine.dialect import LABEL, each
from companion.spec.identity import SECURITY

if TYPE_CHECKING:
    from companion.engine.client import Engine

_TABLE = "/proc/net/fib_trie"
_LEAF = re.compile(r"\s*\|-- ([0-9.]+)")
_OWN = re.compile(r"\s*/([0-9]+) (?:link UNICAST|host LOCAL)")
"""A network that is on one of the machine's links, or an address of its own."""


def networks(engine: "Engine", image: str) -> tuple[str, ...]:
    """Return the networks and addresses of the engine's machine, as CIDR texts.

    Raises:
        EngineError: the engine refused, for example to pull the image.
    """
    labels = (("project", engine.project), ("agent", engine.agent), ("build", "1"))
    return tuple(sorted(set(parse(engine.call(
        *("run", "--rm", "--network", "host", "--read-only", "--user", "65534:65534"),
        *each("--label", (f"{LABEL}.{key}={value}" for key, value in labels)),
        *restricted(engine.dialect, SECURITY),
        *clean(engine.dialect),
        *("--entrypoint", "cat", image, _TABLE),
    )))))  # fmt: skip


def parse(table: str) -> Iterator[str]:
    """Yield the networks and addresses in a kernel's table of routes."""
    leaf = ""
    for line in table.splitlines():
        if found := _LEAF.match(line):
            leaf = found[1]
        elif leaf and (own := _OWN.match(line)):
            yield f"{leaf}/{own[1]}"
