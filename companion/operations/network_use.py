"""What an agent used of the network: its gateway's log, added to what is remembered of it.

The engine keeps the log of a container only as long as the container, and only its last megabytes.
So each look adds what is new to our own file.
"""

import time
from collections.abc import Iterable

from companion.engine.driver import Driver
from companion.engine.model import Container
from companion.errors import Code, CompanionError
from companion.operations import container_logs
from companion.spec.identity import Role
from companion.system import locks
from companion.system.json_store import Store
from companion.system.project_paths import AgentPaths
from companion.traffic import book, log
from companion.traffic.book import Book

_BOOKS = Store(Book, "remove it: it is made again from what the gateway's log still holds")
_SECOND = 1_000_000_000


def known(agent_paths: AgentPaths) -> Book:
    """Return what was last known of an agent's traffic, without asking the engine.

    Raises:
        CompanionError: our file is damaged.
    """
    return _BOOKS.read(agent_paths.traffic) or Book()


def look(agent_paths: AgentPaths, engine: Driver, containers: Iterable[Container]) -> Book:
    """Return what is known of an agent's traffic, its gateway's log up to now included.

    Raises:
        CompanionError: the engine does not answer, or our file is damaged.
    """
    gateways = [c for c in containers if c.role is Role.GATEWAY]
    try:
        with locks.exclusive(agent_paths.traffic_lock):
            before, now = _read(agent_paths, engine, gateways)
            if now != before:
                _BOOKS.write(agent_paths.traffic, now)
            return now
    except CompanionError as error:
        if error.problems[0].code is not Code.FILE_ACCESS:
            raise
        return _read(agent_paths, engine, gateways)[1]  # the home cannot be written


def _read(
    agent_paths: AgentPaths, engine: Driver, gateways: Iterable[Container]
) -> tuple[Book, Book]:
    """Return what was known before, and what is known now."""
    before = known(agent_paths)
    begin = min(before.until, time.time_ns()) // _SECOND
    read = container_logs.written(engine, gateways, since=begin)
    new = ((line.at, log.parse(line.text)) for line in read if line.at > before.until)
    return before, book.entered(before, ((at, passage) for at, passage in new if passage))
