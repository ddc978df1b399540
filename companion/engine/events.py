"""Did containers change behind our back? One process per engine prints a line for each event."""

import threading
from collections.abc import Callable
from contextlib import suppress

from companion.engine.client import Engine
from companion.engine.dialect import LABEL
from companion.engine.model import EngineChoice
from companion.errors import CompanionError
from companion.system import process

_SILENCE = 5.0
"""Seconds until an engine that ended the conversation is asked again."""
_EARLY, _PULSE = 2.0, 300.0
"""Seconds to a look that catches what happened before we were listening; and to the next ones."""
_AFTERTHOUGHT = 1.5
"""Seconds from an event to a second look: engines tell before they have finished."""


class EngineEvents:
    """Calls `on_change` whenever an engine's containers may have changed.

    listen() and beat() each want a thread of their own until stop().
    """

    def __init__(self, choice: EngineChoice, on_change: Callable[[], None]) -> None:
        self._engine = Engine(choice)
        self._on_change = on_change
        self._stopped, self._moved = threading.Event(), threading.Event()
        self._told: process.Lines | None = None

    def stop(self) -> None:
        """Have listen() and beat() return; callable from any thread."""
        self._stopped.set()
        self._moved.set()
        if self._told:
            self._told.kill()

    def listen(self) -> None:
        """Follow the engine's own events until stopped."""
        while not self._stopped.is_set():
            self._on_change()
            with suppress(CompanionError):  # the engine's client may be gone; the look says so
                self._follow()
            self._on_change()
            self._stopped.wait(_SILENCE)

    def _follow(self) -> None:
        argv = self._engine.argv(*self._engine.dialect.events)
        self._told = process.Lines(argv, env=self._engine.environment)
        if self._stopped.is_set():  # meanwhile: then stop() did not see it
            self._told.kill()
        for line in self._told:
            if LABEL in line:
                self._on_change()
                self._moved.set()

    def beat(self) -> None:
        """Look again until stopped: some time after an event, and now and then without one."""
        pause = _EARLY
        while not self._stopped.is_set():
            if self._moved.wait(pause):
                self._stopped.wait(_AFTERTHOUGHT)
                self._moved.clear()
            self._on_change()
            pause = _PULSE
