"""Container logs: the lines of all containers of one agent as one stream, each with its time."""

import heapq
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from queue import Empty, Queue

from companion.engine.driver import Driver
from companion.engine.model import Container
from companion.spec.identity import Role
from companion.system import parallel, process
from companion.system.children import Lines
from companion.system.talk import PART

_STAMPED = re.compile(r"(\S+?T\S+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d) (.*)", re.DOTALL)
_SECOND = 1_000_000_000
_DAY = 86400 * _SECOND
_TIMEOUT = 120.0
_AHEAD = 1000
"""Lines read ahead of the consumer."""
_PAUSE, _PATIENCE = 0.3, 3.0
"""Seconds of silence after which all lines that were there have come, and the longest wait."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a container's output."""

    at: int
    """Nanoseconds since 1970; of a line without a time, that of the one before."""
    service: str
    role: Role | None
    text: str


def written(
    engine: Driver, containers: Iterable[Container], *, since: int = 0, last: int = 0
) -> list[Line]:
    """Return what containers have said so far, in the order of time.

    Args:
        engine: the engine that holds them.
        containers: whose output to return.
        since: seconds since 1970, of the first line to return.
        last: how many lines of each to return at most; 0: all.

    Raises:
        EngineError: the engine refused.
    """

    def of(container: Container) -> list[Line]:
        command = engine.log(container.name, since=since, last=last)
        done = process.run(command.argv, env=command.environment, timeout=_TIMEOUT, merged=True)
        if done.code:
            own = done.stdout.rstrip().rpartition("\n")[2]  # the client's; before it, the agent's
            raise engine.failure(("logs",), replace(done, stdout=own))
        texts = done.stdout.split("\n")[:-1]
        return list(lines_of(container.service, container.role, texts))

    each = parallel.each(tuple(containers), of, at_once=4)
    return in_order(each)


@contextmanager
def followed(
    engine: Driver,
    containers: Iterable[Container],
    *,
    since: int = 0,
    last: int = 0,
) -> Iterator[Iterator[Line]]:
    """Yield the lines of containers as they arrive, those already there first.

    With `last`, only so many of those already there, of each container.

    The programs that read them end with the context.

    Raises:
        CompanionError: the engine could not be started.
    """
    sources: list[tuple[Container, Lines]] = []
    try:
        for container in containers:
            command = engine.log(container.name, since=since, last=last, follows=True)
            sources.append((container, Lines(command.argv, env=command.environment)))
        yield _as_they_come(sources)
    finally:
        for _, source in sources:
            source.kill()


def _there_already(said: "Queue[Line | None]", count: int) -> tuple[list[Line], int]:
    """Return the lines that came without a pause, in order, and how many logs ended with them."""
    lines: list[Line] = []
    ended, until = 0, time.monotonic() + _PATIENCE
    with suppress(Empty):
        while ended < count and len(lines) < _AHEAD * count and time.monotonic() < until:
            line = said.get(timeout=_PAUSE)
            ended += line is None
            lines += [line] if line else []
    return sorted(lines, key=lambda line: line.at), ended


def _as_they_come(sources: Iterable[tuple[Container, Lines]]) -> Iterator[Line]:
    said: Queue[Line | None] = Queue(_AHEAD)
    is_over = threading.Event()

    def read(container: Container, source: Lines) -> None:
        try:
            for line in lines_of(container.service, container.role, source):
                if is_over.is_set():
                    return
                said.put(line)
        finally:
            said.put(None)

    begun = [threading.Thread(target=read, args=pair, daemon=True) for pair in sources]
    for thread in begun:
        thread.start()
    try:
        lines, ended = _there_already(said, len(begun))
        yield from lines
        for _ in begun[ended:]:
            while (line := said.get()) is not None:
                yield line
    finally:  # nobody reads on: threads that wait for room end, too
        is_over.set()
        with suppress(Empty):
            while True:
                said.get_nowait()


def in_order(each: Iterable[Iterable[Line]]) -> list[Line]:
    """Return the lines of several containers in the order of time."""
    return list(heapq.merge(*each, key=lambda line: line.at))


def lines_of(service: str, role: Role | None, texts: Iterable[str]) -> Iterator[Line]:
    """Yield the lines of one container, as its engine prints them with times."""
    at, goes_on = 0, False
    latest = time.time_ns() + _DAY
    for text in texts:
        stamped = None if goes_on else _STAMPED.fullmatch(text)
        goes_on = len(text) >= PART  # the next part of the line is the container's text only
        if stamped:
            with suppress(ValueError, OverflowError):
                at = max(0, min(_nanoseconds(stamped), latest))
        yield Line(at, service, role, stamped[4] if stamped else text)


def _nanoseconds(stamped: "re.Match[str]") -> int:
    """Return the time before a line, as engines write it: RFC 3339 with up to nine decimals.

    Raises:
        ValueError: there is no such time.
    """
    whole = datetime.fromisoformat(stamped[1] + stamped[3].replace("Z", "+00:00"))
    return int(whole.timestamp()) * _SECOND + int((stamped[2] or "0").ljust(9, "0")[:9])
