"""Turns at building: what several agents need is built once, and the others find it there."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from companion.errors import SupersededError
from companion.spec.containers import Image
from companion.system import locks, process
from companion.system.paths import Paths

_PULSE = 0.1
_DOUBT = 2.0
"""Seconds between looks whether an image that waits for its turn is still wanted."""


@contextmanager
def build_turn(
    home: Paths, engine: str, image: Image, is_wanted: Callable[[], bool]
) -> Iterator[None]:
    """Be the only one who builds images of one recipe on an engine.

    Two builds at once of the same steps would each run all of them; in turn, the second finds the
    layers of the first, or the very image.

    Raises:
        SupersededError: the image is not wanted any more.
    """
    doubt = time.monotonic() + _DOUBT
    while True:
        with locks.attempt(home.build_lock(engine, image.recipe)) as mine:
            if mine:
                yield
                return
        process.heed_interrupt()
        if time.monotonic() > doubt:
            doubt = time.monotonic() + _DOUBT
            if not is_wanted():
                raise SupersededError("the files changed while their image waited to be built")
        time.sleep(_PULSE)
