"""Timers: when a sandbox must be reconciled without a change, because a token expires."""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class _Timer:
    at: float
    rang: bool = False


@dataclass(slots=True)
class Timers:
    """Sandbox → time, in Unix seconds. Each fires once, whatever comes of it.

    By the clock on the wall: the other one stands still while the machine sleeps.
    """

    _set: dict[str, _Timer] = field(default_factory=dict)

    def set(self, sandbox: str, at: float) -> None:
        """Set the time for a sandbox; one that fired for exactly this time does not fire again."""
        if sandbox not in self._set or self._set[sandbox].at != at:
            self._set[sandbox] = _Timer(at)

    def forget(self, sandbox: str) -> None:
        """Remove the timer of a sandbox."""
        self._set.pop(sandbox, None)

    def due(self, now: float) -> tuple[str, ...]:
        """Return the sandboxes whose timer is due and has not fired."""
        return tuple(s for s, timer in self._set.items() if timer.at <= now and not timer.rang)

    def ring(self, sandbox: str) -> None:
        """Mark the timer of a sandbox as fired."""
        self._set[sandbox] = replace(self._set[sandbox], rang=True)
