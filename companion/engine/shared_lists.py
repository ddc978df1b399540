"""Shared lists: what several looks at one project ask an engine for, asked once for all of them."""

import threading
import time
from collections.abc import Callable, Hashable
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeVar

from companion.errors import EngineError

Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Held:
    """The last answer to one question, and when it was asked for."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    begin: float | None = None
    answer: Any = None
    failure: tuple[float, EngineError] | None = None
    """Why there was none, and when that was asked."""


class SharedLists:
    """Answers for all who ask the same, from any thread.

    An answer counts if it was asked for after they came, or at most `seconds` before.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._held: dict[Hashable, _Held] = {}

    def get(
        self, question: Hashable, ask: Callable[[], Answer], since: float | None = None
    ) -> Answer:
        """Return the answer to a question, by `ask` unless somebody else has it.

        One that was asked for after `since`, on the monotonic clock, counts, too.

        Raises:
            EngineError: the engine's failure, also for those who came before it was asked.
        """
        now = time.monotonic()
        came = now if since is None else since
        held = self._held.setdefault(question, _Held())
        with held.lock:
            if held.failure and held.failure[0] >= now:  # who waited does not wait once more
                raise copy(held.failure[1])
            if held.begin is None or held.begin + self._seconds < came:
                held.begin, held.answer = _asked(held, ask)
            answer: Answer = held.answer
            return answer


def _asked(held: _Held, ask: Callable[[], Answer]) -> tuple[float, Answer]:
    begin = time.monotonic()
    try:
        return begin, ask()
    except EngineError as failure:
        held.failure = (begin, failure)
        raise


def of_one_look() -> SharedLists:
    """Return lists of one look at many agents, which changes nothing."""
    return SharedLists(float("inf"))
