"""When to reconcile: a pure state machine, (state, event, now) → (state, effects).

A subject is an agent, by its key, or an engine to observe. An event never carries news, only "look
again"; what a user asked for is an order. Times are seconds on any monotonic clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from companion.engine.model import Choice, ClusterChoice

Subject = str | Choice

DEBOUNCE = 0.04
"""Seconds of quiet after which a burst of saves is handled as one."""
PATIENCE = 2.0
"""Seconds after which a burst is handled even if it goes on."""
REST = 3.0
"""A look at a cluster, whose list may be long, is followed by so many times its duration."""
LONGEST_REST = 60.0
"""Seconds of that at most: a cluster that is slow once is not unwatched for long."""
AT_ONCE = 8
"""Limit of concurrent work; what a user asked for is exempt."""


class Order(StrEnum):
    """What to do with a subject."""

    LOOK = "look"
    """Reconcile with its files, if it is wanted up and watched."""
    START = "start"
    RESTART = "restart"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Touched:
    """Something that controls this subject may have changed."""

    subject: Subject


@dataclass(frozen=True, slots=True)
class Asked:
    """The user wants something; the newest order wins, and it is not debounced."""

    subject: Subject
    order: Order


@dataclass(frozen=True, slots=True)
class Finished:
    """The work on this subject ended."""

    subject: Subject


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = Touched | Asked | Finished | Tick


@dataclass(frozen=True, slots=True)
class Work:
    """Effect: carry out the order; `since` is when it, or the first unprocessed change, arrived."""

    subject: Subject
    order: Order
    since: float


@dataclass(frozen=True, slots=True)
class SubjectState:
    """One subject: when unprocessed changes arrived, and whether work is under way."""

    first: float | None = None
    last: float = 0.0
    order: Order = Order.LOOK
    busy: bool = False
    began: float = 0.0
    """When the work began that is under way, or was last."""
    rests: float = 0.0
    """Until when nothing is looked at."""

    @property
    def due(self) -> float | None:
        """When to begin; None: there is nothing to do, or the work must end first."""
        if self.first is None or self.busy:
            return None
        if self.order is not Order.LOOK:
            return self.first
        return max(self.rests, min(self.last + DEBOUNCE, self.first + PATIENCE))


@dataclass(frozen=True, slots=True)
class State:
    """The state of all subjects."""

    subjects: Mapping[Subject, SubjectState] = field(default_factory=dict)

    @property
    def due(self) -> float | None:
        """When to step again without an event; None: not before the next event."""
        states = self.subjects.values()
        looks = self.room > 0
        dues = (m.due for m in states if m.due is not None and (looks or m.order is not Order.LOOK))
        return min(dues, default=None)

    @property
    def room(self) -> int:
        """How many reconciliations may begin now."""
        return AT_ONCE - sum(known.busy for known in self.subjects.values())

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not any(known.busy for known in self.subjects.values())

    def ripe(self, now: float) -> dict[Subject, SubjectState]:
        """Return what begins now: all orders, and the looks that have waited longest."""
        due = {s: m for s, m in self.subjects.items() if m.due is not None and m.due <= now}
        orders = {s: m for s, m in due.items() if m.order is not Order.LOOK}
        looks = [s for s in due if s not in orders]
        looks.sort(key=lambda subject: due[subject].first or 0.0)
        room = max(0, self.room - len(orders))
        return orders | {subject: due[subject] for subject in looks[:room]}


def step(state: State, event: Event, now: float) -> tuple[State, tuple[Work, ...]]:
    """Return the next state and what must be done now."""
    match event:
        case Touched(subject):
            known = state.subjects.get(subject, SubjectState())
            first = now if known.first is None else known.first
            return _with(state, subject, replace(known, first=first, last=now)), ()
        case Asked(subject, order):
            known = state.subjects.get(subject, SubjectState())
            asked = _with(state, subject, replace(known, first=now, last=now, order=order))
            return step(asked, Tick(), now)
        case Finished(subject):
            known = state.subjects.get(subject, SubjectState())
            took = now - known.began if isinstance(subject, ClusterChoice) else 0.0
            known = replace(known, busy=False, rests=now + min(REST * took, LONGEST_REST))
            return step(_with(state, subject, known), Tick(), now)
        case Tick():
            ripe = state.ripe(now)
            works = tuple(Work(s, m.order, m.first) for s, m in ripe.items() if m.first is not None)
            states = {s: SubjectState(last=m.last, busy=True, began=now) for s, m in ripe.items()}
            return State({**state.subjects, **states}), works


def _with(state: State, subject: Subject, known: SubjectState) -> State:
    return State({**state.subjects, subject: known})
