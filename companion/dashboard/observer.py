"""Observer of the dashboard: threads that look at engines, counters, records, traffic and logs.

Nothing here waits for the screen, and nothing that an agent floods us with is kept without a limit.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from companion.engine.driver import Driver, driver
from companion.engine.events import EngineEvents
from companion.engine.model import Choice
from companion.errors import CompanionError
from companion.operations import attention, container_logs, figures, log_text, network_use, overview
from companion.operations.container_logs import Line
from companion.operations.figures import Sample
from companion.operations.log_noise import is_noise
from companion.operations.overview import AgentOverview, Answers, Overview
from companion.spec.identity import Role
from companion.system import plain
from companion.system.paths import Paths
from companion.traffic import log
from companion.traffic.book import Book

_SECOND = 1.0
_RECORDS = 2
"""Seconds between looks at what is on disk."""
_TRAFFIC = 5.0
"""Seconds between looks at the traffic of one sandbox after another."""
_LINES = 200
"""Lines of each container that are there when its log is opened."""
_WAITING = 300
"""Lines that wait to be shown; of a flood, the last ones."""
_LONGEST = 500
"""Characters of a line that are shown: to wrap thousands would stop the screen."""


@dataclass(slots=True)
class Observer:
    """Reports all that changes, from threads of its own."""

    home: Paths
    on_look: Callable[[Overview, Sample], None]
    on_traffic: Callable[[str, Book], None]
    _changed: threading.Event = field(default_factory=threading.Event)
    _refused: threading.Event = field(default_factory=threading.Event)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _engines: dict[Choice, EngineEvents] = field(default_factory=dict)
    _seen: Overview = field(default_factory=Overview)
    _selected: str = ""
    _log: "_Log | None" = None

    def start(self) -> None:
        """Begin to look; returns at once."""
        self._changed.set()
        _begin(self._look)
        _begin(self._read_traffic)

    def stop(self) -> None:
        """End all that was begun."""
        self._stopped.set()
        self._changed.set()
        self._refused.set()
        self.select(None)
        for events in tuple(self._engines.values()):  # a look under way may add one
            events.stop()

    def look_again(self) -> None:
        """Ask the engines at the next turn."""
        self._changed.set()

    def select(self, one: AgentOverview | None) -> None:
        """Follow the log of this agent, and of no other, and read its traffic first."""
        if self._log:
            self._log.stop()
        self._log = _Log(one, self._refused.set) if one and one.containers else None
        self._selected = one.key if one else ""
        self._refused.set()

    def lines(self) -> list[str]:
        """Return the lines of the selected agent's log that came since the last call."""
        return self._log.taken() if self._log else []

    def _look(self) -> None:
        known, turn, is_due = Overview(), 0, True
        answers: Answers = {}
        while not self._stopped.is_set():
            if self._changed.is_set():
                self._changed.clear()  # before a look: if that fails, the next one still waits
                is_due = True
            with suppress(CompanionError, OSError):  # what cannot be read stays as it was
                if is_due or turn % _RECORDS == 0:
                    known = overview.registered(self.home, attention.kept)
                engines = overview.engines_of(known)
                if is_due or answers.keys() != set(engines):
                    answers, is_due = overview.asked(engines), False
                    self._follow(engines)
                self._seen = overview.seen(known, answers)
                self.on_look(self._seen, figures.sample(self._seen.containers))
            turn += 1
            self._changed.wait(_SECOND)

    def _follow(self, engines: Iterable[Choice]) -> None:
        for choice in set(engines) - self._engines.keys():
            self._engines[choice] = events = EngineEvents(choice, self._changed.set)
            _begin(events.listen)
            _begin(events.poll)

    def _read_traffic(self) -> None:
        """Read the traffic of the selected agent when something was refused, else of the next."""
        turn = 0
        while not self._stopped.is_set():
            asked = self._refused.wait(_TRAFFIC)
            self._refused.clear()
            running = [one for one in self._seen.agents if one.state == "running"]
            if asked:
                time.sleep(_SECOND / 2)  # what else is refused just now is read with it
                chosen = [one for one in running if one.key == self._selected]
            else:
                chosen, turn = running[turn % len(running) :][:1] if running else [], turn + 1
            for one in chosen:
                agent_paths = self.home.project(one.ref.project.id).agent(one.agent)
                with suppress(CompanionError, OSError):
                    book = network_use.look(agent_paths, _engine(one), one.containers)
                    self.on_traffic(one.key, book)
                    # What is read here is kept for the next look.
                    attention.caught_up(agent_paths, _engine(one), one.containers)


def _engine(one: AgentOverview) -> Driver:
    """Return the engine of an agent.

    Raises:
        CompanionError: it was never started.
    """
    if one.record is None or one.record.engine is None:
        raise CompanionError(f"{one.agent} was never started")
    return driver(one.record.engine, one.ref.project.id, one.agent)


class _Log:
    """The log of one agent without routine, followed until stopped."""

    def __init__(self, one: AgentOverview, on_refusal: Callable[[], None]) -> None:
        self._one, self._on_refusal = one, on_refusal
        self._lines: deque[str] = deque(maxlen=_WAITING)
        self._stopped = threading.Event()
        _begin(self._follow)

    def stop(self) -> None:
        self._stopped.set()

    def taken(self) -> list[str]:
        found: list[str] = []
        with suppress(IndexError):
            while len(found) < _WAITING:
                found.append(self._lines.popleft())
        return found

    def _follow(self) -> None:
        running = [c for c in self._one.containers if c.running]
        with (
            suppress(CompanionError),
            container_logs.followed(_engine(self._one), running, last=_LINES) as lines,
        ):
            _begin(partial(self._read, lines))
            self._stopped.wait()

    def _read(self, lines: Iterable[Line]) -> None:
        wide = max(len(_origin(c.service, c.role)) for c in self._one.containers)
        for line in lines:
            if self._stopped.is_set():
                return
            if not is_noise(line.role, line.text):
                self._lines.append(shown(line, wide))
            passage = log.parse(line.text) if line.role is Role.GATEWAY else None
            if passage and passage.was_refused:
                self._on_refusal()


def shown(line: Line, wide: int) -> str:
    """Return a line of one agent's log as plain text that is not too long to be shown."""
    short = replace(line, service=_origin(line.service, line.role))
    return plain.line(log_text.shown(short, wide)[:_LONGEST])[:_LONGEST]


def _origin(service: str, role: Role | None) -> str:
    """Return what a container is to its agent, whose name stands elsewhere on the screen."""
    return str(role) if role else service


def _begin(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
