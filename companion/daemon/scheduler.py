"""When is a project reconciled? A pure machine: (state, event, now) → (state, effects).

A subject is a project, or an engine that is to be looked at. An event never carries news, only
"look again"; what a user asked for comes as an order. Times are seconds on any steady clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

DEBOUNCE = 0.04
"""Seconds of silence after which a burst of saves counts as one."""
PATIENCE = 2.0
"""Seconds after which a burst that does not end is looked at all the same."""
AT_ONCE = 8
"""How many works may be under way when one more look begins; what a user asked for never waits."""


class Order(StrEnum):
    """What shall be done with a subject."""

    LOOK = "look"
    """Do what its files say, if it is wanted up and watched."""
    START = "start"
    RESTART = "restart"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Touched:
    """Something that steers this subject may have changed."""

    subject: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The user wants something; the newest order counts, and it does not wait for silence."""

    subject: str
    order: Order


@dataclass(frozen=True, slots=True)
class Finished:
    """The work on this subject ended."""

    subject: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = Touched | Asked | Finished | Tick


@dataclass(frozen=True, slots=True)
class Work:
    """Effect: carry out the order; `since` is when it, or the first unseen change, came."""

    subject: str
    order: Order
    since: float


@dataclass(frozen=True, slots=True)
class AgentState:
    """What is known of one subject: when unseen changes came, and whether work is under way."""

    first: float | None = None
    last: float = 0.0
    order: Order = Order.LOOK
    busy: bool = False

    @property
    def due(self) -> float | None:
        """When to begin; None: there is nothing to do, or the work must end first."""
        if self.first is None or self.busy:
            return None
        if self.order is not Order.LOOK:
            return self.first
        return min(self.last + DEBOUNCE, self.first + PATIENCE)


@dataclass(frozen=True, slots=True)
class State:
    """What the machine knows of all subjects."""

    subjects: Mapping[str, AgentState] = field(default_factory=dict)

    @property
    def due(self) -> float | None:
        """When to look again without an event; None: not before the next one."""
        minds = self.subjects.values()
        looks = self.room > 0
        dues = (m.due for m in minds if m.due is not None and (looks or m.order is not Order.LOOK))
        return min(dues, default=None)

    @property
    def room(self) -> int:
        """How many looks may begin now."""
        return AT_ONCE - sum(mind.busy for mind in self.subjects.values())

    def ripe(self, now: float) -> dict[str, AgentState]:
        """Return what is to begin now: all orders, and the looks that waited longest."""
        due = {s: m for s, m in self.subjects.items() if m.due is not None and m.due <= now}
        orders = {s: m for s, m in due.items() if m.order is not Order.LOOK}
        looks = sorted((m.first or 0.0, s) for s, m in due.items() if s not in orders)
        room = max(0, self.room - len(orders))
        return orders | {subject: due[subject] for _, subject in looks[:room]}


def step(state: State, event: Event, now: float) -> tuple[State, tuple[Work, ...]]:
    """Return the next state and what must be done now."""
    match event:
        case Touched(subject):
            mind = state.subjects.get(subject, AgentState())
            first = now if mind.first is None else mind.first
            return _with(state, subject, replace(mind, first=first, last=now)), ()
        case Asked(subject, order):
            mind = state.subjects.get(subject, AgentState())
            asked = _with(state, subject, replace(mind, first=now, last=now, order=order))
            return step(asked, Tick(), now)
        case Finished(subject):
            mind = state.subjects.get(subject, AgentState())
            return step(_with(state, subject, replace(mind, busy=False)), Tick(), now)
        case Tick():
            ripe = state.ripe(now)
            works = tuple(Work(s, m.order, m.first) for s, m in ripe.items() if m.first is not None)
            minds = {s: AgentState(last=m.last, busy=True) for s, m in ripe.items()}
            return State({**state.subjects, **minds}), works


def _with(state: State, subject: str, mind: AgentState) -> State:
    return State({**state.subjects, subject: mind})
