"""What agents say of their work, at a calm pace: however much one says, its state changes rarely.

Times are given in seconds: `at` since 1970, `now` on any clock that does not go back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from companion.traffic.attention import Heard, Word, heard

CALM = 0.5
"""Seconds between two changes of one sandbox that are reported; those between them are not."""


@dataclass(slots=True)
class Attending:
    """The words of all sandboxes so far; belongs to one thread, or is used under a lock."""

    _known: dict[str, Heard] = field(default_factory=dict)
    _told: dict[str, tuple[Heard, float]] = field(default_factory=dict)
    """What was reported of each last, and when."""

    def take(self, key: str, words: Iterable[Word], at: float) -> None:
        """Add what a sandbox's agent said."""
        for word in words:
            self._known[key] = heard(self._known.get(key, Heard()), word, at)

    def recall(self, key: str, known: Heard) -> None:
        """Add what is known from before, unless something was said since."""
        if known.at > self._known.get(key, Heard()).at:
            self._known[key] = known

    def forget(self, key: str) -> None:
        """Forget what a sandbox's agent said: it ended, or is followed no longer."""
        self._known.pop(key, None)
        self._told.pop(key, None)

    def due(self, now: float) -> list[tuple[str, Heard]]:
        """Return the changes to report now; they count as reported."""
        found = [(key, self._known[key]) for key, then in self._waiting() if then <= now]
        self._told |= {key: (known, now) for key, known in found}
        return found

    def patience(self, now: float) -> float | None:
        """Return the seconds until a change is due; None if there is none."""
        waiting = [then for _, then in self._waiting()]
        return max(0.0, min(waiting) - now) if waiting else None

    def _waiting(self) -> Iterable[tuple[str, float]]:
        """Yield each sandbox with a change to report, and from when on it may be reported."""
        for key, known in self._known.items():
            told, then = self._told.get(key, (Heard(), float("-inf")))
            if known.attention is not told.attention:
                yield key, then + CALM
