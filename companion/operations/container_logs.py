"""Container logs: the lines of all containers of one agent, each with its service."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from queue import Queue

from companion.engine.client import Engine
from companion.engine.model import Container
from companion.system.process import Lines

Line = tuple[str, str]
"""A service and one line of its log."""
_AHEAD = 1000
"""Lines read ahead of the consumer."""


@contextmanager
def lines(
    engine: Engine, containers: Iterable[Container], *, follow: bool
) -> Iterator[Iterator[Line]]:
    """Yield the lines of one container after the other; with `follow`, of all as they arrive.

    The programs that read them end with the context.

    Raises:
        CompanionError: the engine could not be started.
    """
    options = ("--follow",) if follow else ()
    argvs = {c.service: engine.argv("logs", *options, c.name) for c in containers}
    sources: dict[str, Lines] = {}
    try:
        for service, argv in argvs.items():
            sources[service] = Lines(argv, env=engine.environment)
        yield _as_they_come(sources) if follow else _in_turn(sources)
    finally:
        for source in sources.values():
            source.kill()


def _in_turn(sources: Mapping[str, Lines]) -> Iterator[Line]:
    for service, source in sources.items():
        yield from ((service, line) for line in source)


def _as_they_come(sources: Mapping[str, Lines]) -> Iterator[Line]:
    said: Queue[Line | None] = Queue(_AHEAD)

    def read(service: str, source: Lines) -> None:
        for line in source:
            said.put((service, line))
        said.put(None)

    for pair in sources.items():
        threading.Thread(target=read, args=pair, daemon=True).start()
    for _ in sources:
        while (line := said.get()) is not None:
            yield line
