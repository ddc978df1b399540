"""Engine events: reports that containers may have changed, from `events` of each engine."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from companion.engine.dialect import LABEL
from companion.engine.driver import driver
from companion.engine.model import Choice, ClusterChoice
from companion.errors import CompanionError
from companion.system import children

_RESTART_DELAY, _LONGEST_DELAY = 5.0, 300.0
"""Seconds until `events` is started again after it ended, and the longest delay for a cluster."""
_AT_ONCE = 5.0
"""Seconds that `events` runs at least where a cluster answers."""
_FIRST_CHECK, _INTERVAL = 2.0, 300.0
"""Seconds to the first check, for changes before `events` ran; and between later checks."""
_SETTLE = 1.5
"""Seconds from an event to a second check: engines report before they have finished."""


class EngineEvents:
    """Calls `on_change` whenever an engine's containers may have changed.

    Run listen() and poll() in a thread each; both return after stop().
    """

    def __init__(self, choice: Choice, on_change: Callable[[], None]) -> None:
        self._engine = driver(choice)
        self._on_change = on_change
        self._stopped, self._changed = threading.Event(), threading.Event()
        self._events: children.Lines | None = None

    def stop(self) -> None:
        """Make listen() and poll() return; callable from any thread."""
        self._stopped.set()
        self._changed.set()
        if self._events:
            self._events.kill()

    def listen(self) -> None:
        """Follow the engine's own events until stopped."""
        delay = 0.0
        while not self._stopped.is_set():
            begin = time.monotonic()
            self._on_change()
            with suppress(CompanionError):  # the client may be gone; the observer reports that
                self._follow()
            self._on_change()
            delay = pause(self._engine.choice, delay, time.monotonic() - begin)
            self._stopped.wait(delay)

    def _follow(self) -> None:
        command = self._engine.events()
        self._events = children.Lines(command.argv, env=command.environment)
        if self._stopped.is_set():  # stop() ran before the process was assigned
            self._events.kill()
        for line in self._events:
            if LABEL in line:
                self._on_change()
                self._changed.set()

    def poll(self) -> None:
        """Report a possible change until stopped: a while after each event, and periodically."""
        interval = _FIRST_CHECK
        while not self._stopped.is_set():
            if self._changed.wait(interval):
                self._stopped.wait(_SETTLE)
                self._changed.clear()
            self._on_change()
            interval = _INTERVAL


def pause(choice: Choice, last: float, ran: float) -> float:
    """Return the seconds until `events` of an engine is started again.

    Without valid credentials, kubectl may open a browser each time, so a cluster is asked less and
    less often.

    Args:
        choice: the engine.
        last: the pause before.
        ran: the seconds that `events` has run since then.
    """
    if isinstance(choice, ClusterChoice) and ran < _AT_ONCE and last:
        return min(2 * last, _LONGEST_DELAY)
    return _RESTART_DELAY
