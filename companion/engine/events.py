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
    """Calls `on_change` (from its own thread) whenever an engine's containers may have changed."""

    def __init__(self, choice: EngineChoice, on_change: Callable[[], None]) -> None:
        self._engine = Engine(choice)
        self._on_change = on_change
        self._stopped, self._moved = threading.Event(), threading.Event()
        self._told: process.Lines | None = None

    def start(self) -> None:
        """Begin to listen."""
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._stopped.set()
        self._moved.set()
        if self._told:
            self._told.kill()

    def _listen(self) -> None:
        while not self._stopped.is_set():
            self._on_change()
            with suppress(CompanionError):  # the engine's client may be gone; the look says so
                self._follow()
            self._on_change()
            self._stopped.wait(_SILENCE)

    def _follow(self) -> None:
        argv = self._engine.argv(*self._engine.dialect.events)
        self._told = process.Lines(argv, env=self._engine.environment)
        for line in self._told:
            if LABEL in line:
                self._on_change()
                self._moved.set()

    def _beat(self) -> None:
        """Look again: some time after an event, and now and then without one."""
        pause = _EARLY
        while not self._stopped.is_set():
            if self._moved.wait(pause):
                self._stopped.wait(_AFTERTHOUGHT)
                self._moved.clear()
            self._on_change()
            pause = _PULSE
