"""When must a sandbox be looked at though nothing changed? When a token of its gateway is due."""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class _Timer:
    at: float
    rang: bool = False


@dataclass(slots=True)
class Timers:
    """Sandbox → when, in Unix time. Each moment rings once, whatever the look at it comes to.

    By the clock on the wall: the other one stands still while the machine sleeps.
    """

    _set: dict[str, _Timer] = field(default_factory=dict)

    def set(self, sandbox: str, at: float) -> None:
        """Ring for a sandbox at a moment; one that rang for this very moment does not again."""
        if sandbox not in self._set or self._set[sandbox].at != at:
            self._set[sandbox] = _Timer(at)

    def forget(self, sandbox: str) -> None:
        """Never ring for a sandbox."""
        self._set.pop(sandbox, None)

    def due(self, now: float) -> tuple[str, ...]:
        """Return the sandboxes whose moment has come and that did not hear of it."""
        return tuple(s for s, timer in self._set.items() if timer.at <= now and not timer.rang)

    def ring(self, sandbox: str) -> None:
        """Remember that a sandbox heard of its moment."""
        self._set[sandbox] = replace(self._set[sandbox], rang=True)
