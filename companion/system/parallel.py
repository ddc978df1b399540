"""Several pieces of work at once, in a bounded number of threads."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from companion.system import process

if TYPE_CHECKING:
    from queue import SimpleQueue

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_PULSE = 0.2
"""Seconds between looks for an interrupt: not every platform interrupts a wait."""
_FAREWELL = 30.0
"""Seconds that interrupted work gets to end; see process.interrupt()."""


def each(
    items: Sequence[Item],
    work: Callable[[Item], Answer],
    *,
    at_once: int,
    on_interrupt: Callable[[], None] = lambda: None,
) -> tuple[Answer, ...]:
    """Call `work` with each item, `at_once` of them at a time; return the answers in item order.

    One item is worked on in the calling thread. An interrupt of the calling thread ends the work on
    all items before it is raised; `on_interrupt` is called when they know of it.

    Raises:
        BaseException: the first one that `work` raised, once all other items are done.
    """
    if len(items) <= 1:
        return tuple(map(work, items))
    from queue import Empty, SimpleQueue  # noqa: PLC0415 - start-up time is a budget

    left: SimpleQueue[tuple[int, Item]] = SimpleQueue()
    for pair in enumerate(items):
        left.put(pair)
    ended: SimpleQueue[tuple[int, Answer | _Raised]] = SimpleQueue()

    def take() -> None:
        with suppress(Empty):
            while True:
                number, item = left.get_nowait()
                ended.put((number, _outcome(work, item)))

    # Daemons: one that waits for another process must not keep this one from ending.
    threads = [threading.Thread(target=take, daemon=True) for _ in range(min(at_once, len(items)))]
    for thread in threads:
        thread.start()
    try:
        outcomes = dict(_next(ended) for _ in items)
    except BaseException:
        with suppress(Empty):
            while True:
                left.get_nowait()
        process.interrupt()
        on_interrupt()
        _join(threads)
        raise
    return tuple(_answer(outcomes[number]) for number in sorted(outcomes))


@dataclass(frozen=True, slots=True)
class _Raised:
    """What `work` raised instead of answering."""

    error: BaseException


def _outcome(work: Callable[[Item], Answer], item: Item) -> Answer | _Raised:
    try:
        return work(item)
    except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
        return _Raised(error)


def _answer(outcome: Answer | _Raised) -> Answer:
    if isinstance(outcome, _Raised):
        raise outcome.error
    return outcome


def _next(ended: "SimpleQueue[Answer]") -> Answer:
    from queue import Empty  # noqa: PLC0415 - start-up time is a budget

    while True:
        with suppress(Empty):
            return ended.get(timeout=_PULSE)


def _join(threads: Sequence[threading.Thread]) -> None:
    until = time.monotonic() + _FAREWELL
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
