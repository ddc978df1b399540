"""Threads of the watcher: started per work, interrupted and joined together."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec

P = ParamSpec("P")


class Threads:
    """The running threads; all are daemon threads, so that a hanging one cannot block the exit."""

    def __init__(self) -> None:
        self._ending = threading.Event()
        self._begun: list[threading.Thread] = []

    def begin(self, work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Start work in a new thread; call from one thread only."""

        def do() -> None:
            with suppress(KeyboardInterrupt):
                work(*args, **kwargs)

        self._begun = [thread for thread in self._begun if thread.is_alive()]
        thread = threading.Thread(target=do, daemon=True)
        self._begun.append(thread)
        thread.start()

    def interrupt_if_ending(self) -> None:
        """Raise KeyboardInterrupt in the calling thread once end() was called.

        Raises:
            KeyboardInterrupt: end() was called.
        """
        if self._ending.is_set():
            raise KeyboardInterrupt

    def end(self, patience: float) -> bool:
        """Ask all threads to end and join them within `patience` seconds; False if one is left."""
        self._ending.set()
        until = time.monotonic() + patience
        for thread in self._begun:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._begun)
