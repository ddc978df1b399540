"""What an agent used of the network: its gateway's log, added to what is remembered of it.

The engine keeps the log of a container only as long as the container, and only its last megabytes.
So each look adds what is new to our own file.
"""

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime

from companion.engine.client import Engine
from companion.engine.model import Container
from companion.spec.identity import Role
from companion.system import locks
from companion.system.json_store import Store
from companion.system.paths import AgentPaths
from companion.traffic import book, log
from companion.traffic.book import Book
from companion.traffic.log import Passage

_BOOKS = Store(Book, "remove it: it is made again from what the gateway's log still holds")
_STAMPED = re.compile(r"(\S+?T\S+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d) (.*)")
_SECOND = 1_000_000_000


def look(agent_paths: AgentPaths, engine: Engine, containers: Iterable[Container]) -> Book:
    """Return what is known of an agent's traffic, its gateway's log up to now included.

    Raises:
        CompanionError: the engine does not answer, or our file is damaged.
    """
    gateways = [c.name for c in containers if c.role is Role.GATEWAY]
    with locks.exclusive(agent_paths.traffic_lock):
        known = _BOOKS.read(agent_paths.traffic) or Book()
        begin = min(known.until, time.time_ns()) // _SECOND
        new = [
            line
            for name in gateways
            for line in passages(engine.log(name, since=begin))
            if line[0] > known.until
        ]
        now = book.entered(known, sorted(new, key=lambda line: line[0]))
        if now != known:
            _BOOKS.write(agent_paths.traffic, now)
        return now


def forget(agent_paths: AgentPaths) -> None:
    """Forget an agent's traffic."""
    agent_paths.traffic.unlink(missing_ok=True)


def passages(lines: Iterable[str]) -> Iterator[tuple[int, Passage]]:
    """Yield what the lines of a log say, each with its time in nanoseconds since 1970."""
    for line in lines:
        stamped = _STAMPED.match(line)
        passage = log.parse(stamped[4]) if stamped else None
        if stamped and passage:
            with suppress(ValueError):
                yield _nanoseconds(stamped), passage


def _nanoseconds(stamped: "re.Match[str]") -> int:
    """Return the time before a line, as engines write it: RFC 3339 with up to nine decimals."""
    whole = datetime.fromisoformat(stamped[1] + stamped[3].replace("Z", "+00:00"))
    return int(whole.timestamp()) * _SECOND + int((stamped[2] or "0").ljust(9, "0")[:9])
