"""Build turns: agents that need the same image take turns, so that it is built once."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from companion.errors import SupersededError
from companion.spec.containers import Image
from companion.system import locks, process
from companion.system.paths import Paths

_POLL_INTERVAL = 0.1
_CHECK_INTERVAL = 2.0
"""Seconds between checks that a waiting image is still needed."""


@contextmanager
def build_turn(
    home: Paths, engine: str, image: Image, is_wanted: Callable[[], bool]
) -> Iterator[None]:
    """Hold the lock for building images of one recipe on an engine.

    Concurrent builds of the same steps would each run all of them. In turn, the second build finds
    the layers of the first, or the image itself.

    Raises:
        SupersededError: the image is no longer needed.
    """
    next_check = time.monotonic() + _CHECK_INTERVAL
    while True:
        with locks.attempt(home.build_lock(engine, image.recipe)) as is_held:
            if is_held:
                yield
                return
        process.heed_interrupt()
        if time.monotonic() > next_check:
            next_check = time.monotonic() + _CHECK_INTERVAL
            if not is_wanted():
                raise SupersededError("the files changed while their image waited to be built")
        time.sleep(_POLL_INTERVAL)
