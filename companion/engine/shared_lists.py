"""Shared lists: what several looks at one project ask an engine for, asked once for all of them."""

import threading
import time
from collections.abc import Callable, Hashable
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeVar

from companion.errors import Code, EngineError

Answer = TypeVar("Answer")
_KEPT = 60.0
"""Seconds for which an old answer is kept at least: some accept one that is older than ours."""


@dataclass(slots=True)
class _Held:
    """The last answer to one question, and when it was asked for."""

    made: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    begin: float | None = None
    answer: Any = None
    failure: EngineError | None = None
    """Why there was none the last time."""
    failed: float = 0.0
    """Until when that counts for whoever came before."""


class SharedLists:
    """Answers for all who ask the same, from any thread.

    An answer counts if it was asked for after they came, or at most `seconds` before. Silence
    counts for another `silence` seconds: to ask again takes as long as it took.
    """

    def __init__(self, seconds: float = 0.0, silence: float = 3.0) -> None:
        self._seconds, self._silence = seconds, silence
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
        self._forget(now - max(self._seconds, _KEPT))
        held = self._held.setdefault(question, _Held(now))
        with held.lock:
            if held.failure and now <= held.failed:  # who waited does not wait once more
                raise copy(held.failure)
            if held.begin is None or held.begin + self._seconds < came:
                held.begin, held.answer = self._asked(held, ask)
            answer: Answer = held.answer
            return answer

    def _asked(self, held: _Held, ask: Callable[[], Answer]) -> tuple[float, Answer]:
        begin = time.monotonic()
        try:
            return begin, ask()
        except EngineError as failure:
            is_silence = failure.problems[0].code is Code.ENGINE_SILENT
            held.failed = time.monotonic() + self._silence if is_silence else begin
            held.failure = copy(failure)  # without the frames of whoever asked
            raise

    def _forget(self, oldest: float) -> None:
        """Forget what was last asked for before `oldest`."""
        for question, held in list(self._held.items()):
            if max(held.begin or 0.0, held.failed, held.made) < oldest:
                self._held.pop(question, None)


def of_one_look() -> SharedLists:
    """Return lists of one look at many agents, which changes nothing."""
    return SharedLists(float("inf"))
