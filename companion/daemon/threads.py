"""Threads of the watcher: begun as work comes, asked to end together, and waited for."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec

P = ParamSpec("P")


class Threads:
    """The threads that are at work; all are daemons: none that hangs keeps us from ending."""

    def __init__(self) -> None:
        self._ending = threading.Event()
        self._begun: list[threading.Thread] = []

    def begin(self, work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do some work in a thread of its own; to be called from one thread only."""

        def do() -> None:
            with suppress(KeyboardInterrupt):
                work(*args, **kwargs)

        self._begun = [thread for thread in self._begun if thread.is_alive()]
        thread = threading.Thread(target=do, daemon=True)
        self._begun.append(thread)
        thread.start()

    def interrupt_if_ending(self) -> None:
        """Interrupt the calling thread like Ctrl-C would, once all are to end.

        Raises:
            KeyboardInterrupt: end() was called.
        """
        if self._ending.is_set():
            raise KeyboardInterrupt

    def end(self, patience: float) -> bool:
        """Ask all to end and wait for them, `patience` seconds in all; False: one is left."""
        self._ending.set()
        until = time.monotonic() + patience
        for thread in self._begun:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._begun)
