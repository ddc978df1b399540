"""Calls: when the user is told that an agent waits or is done. Pure.

An agent may say so as often as it likes. The user is told a few times in a while, and of what is
done only after it took long enough to have looked elsewhere.
"""

from dataclasses import dataclass

from companion.traffic.attention import Attention

_WHILE, _FEW = 600.0, 6
"""Seconds, and how often one sandbox may call in that time."""
_LONG = 30.0
"""Seconds of work after which its end deserves a call."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one sandbox; times in seconds since 1970."""

    attention: Attention = Attention.UNKNOWN
    began: float = 0.0
    """When its agent began to work, before the last end of it."""
    told: tuple[float, ...] = ()
    """When the user was told, within the last while."""
    is_new: bool = False
    """The user is told of the last change."""


def changed(known: Calls, attention: Attention, at: float) -> Calls:
    """Return the calls after the state of an agent's work changed."""
    told = tuple(one for one in known.told if at - _WHILE < one <= at)
    works = {Attention.BUSY, Attention.WAITING}
    began = known.began if known.attention in works else at
    is_due = attention is Attention.WAITING or (
        attention is Attention.DONE and known.attention in works and at - began >= _LONG
    )
    is_new = is_due and attention is not known.attention and len(told) < _FEW
    return Calls(attention, began, (*told, at) if is_new else told, is_new)
