"""When is a project reconciled? A pure machine: (state, event, now) → (state, effects).

An event never carries news, only "look again". Times are seconds on any steady clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

DEBOUNCE = 0.2
"""Seconds of silence after which a burst of saves counts as one."""
PATIENCE = 2.0
"""Seconds after which a burst that does not end is looked at all the same."""


@dataclass(frozen=True, slots=True)
class Touched:
    """Something that steers this project may have changed."""

    project: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The work on this project ended."""

    project: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = Touched | Finished | Tick


@dataclass(frozen=True, slots=True)
class Work:
    """Effect: reconcile this project; `saved` is when its first unseen change came."""

    project: str
    saved: float


@dataclass(frozen=True, slots=True)
class _Mind:
    """What is known of one project: when unseen changes came, and whether work is under way."""

    first: float | None = None
    last: float = 0.0
    busy: bool = False

    @property
    def due(self) -> float | None:
        """When to look; None: there is nothing to see, or the work must end first."""
        if self.first is None or self.busy:
            return None
        return min(self.last + DEBOUNCE, self.first + PATIENCE)


@dataclass(frozen=True, slots=True)
class State:
    """What the machine knows of all projects."""

    projects: Mapping[str, _Mind] = field(default_factory=dict)

    @property
    def due(self) -> float | None:
        """When to look again without an event; None: not before the next one."""
        return min((m.due for m in self.projects.values() if m.due is not None), default=None)


def step(state: State, event: Event, now: float) -> tuple[State, tuple[Work, ...]]:
    """Return the next state and what must be done now."""
    match event:
        case Touched(project):
            mind = state.projects.get(project, _Mind())
            first = now if mind.first is None else mind.first
            return _with(state, project, replace(mind, first=first, last=now)), ()
        case Finished(project):
            mind = state.projects.get(project, _Mind())
            return step(_with(state, project, replace(mind, busy=False)), Tick(), now)
        case Tick():
            ripe = {p: m for p, m in state.projects.items() if m.due is not None and m.due <= now}
            works = tuple(Work(p, m.first) for p, m in ripe.items() if m.first is not None)
            minds = {p: replace(m, first=None, busy=True) for p, m in ripe.items()}
            return State({**state.projects, **minds}), works


def _with(state: State, project: str, mind: _Mind) -> State:
    return State({**state.projects, project: mind})
