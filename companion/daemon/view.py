"""What there is to see: every sandbox, and the state of everything together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from companion.engine.model import Condition, EngineChoice, Health
from companion.errors import Problem
from companion.project.model import AgentRef


class IconState(StrEnum):
    """How everything together is: what the icon shows."""

    IDLE = "idle"
    WORKING = "working"
    ATTENTION = "attention"
    PAUSED = "paused"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent's sandbox, as far as we know it."""

    ref: AgentRef
    agent: str = ""
    """Its name; empty: its file names none yet."""
    alias: str = ""
    """Its SSH alias; empty: it takes no logins, or was never started."""
    engine: EngineChoice | None = None
    paused: bool = False
    """Saves are left alone."""
    condition: Condition = field(default_factory=Condition)
    """How it was when the engine was asked last."""
    step: str = ""
    """What is being done with it now; empty: nothing."""
    trouble: Problem | None = None
    """Why the last change did not work."""
    grant_problem: Problem | None = None
    """What it runs without, until the user does something."""
    settled: bool = False
    """It was seen to run as its files say, and no engine event came since."""

    @property
    def id(self) -> str:
        """What tells it from all others."""
        return self.ref.key

    @property
    def name(self) -> str:
        """What people call the place where it is configured."""
        return self.ref.name

    @property
    def health(self) -> Health:
        """How its sandbox is."""
        return self.condition.health

    @property
    def word(self) -> str:
        """Its state for people."""
        words = {Health.UNKNOWN: "…", Health.ABSENT: "stopped"}
        word = words.get(self.health, str(self.condition))
        return f"{word}, paused" if self.paused else word


@dataclass(frozen=True, slots=True)
class View:
    """Everything that there is to see; sandboxes by id."""

    sandboxes: Mapping[str, AgentView] = field(default_factory=dict)
    silent: frozenset[EngineChoice] = frozenset()
    """Engines that do not answer."""
    paused: bool = False

    @property
    def missed(self) -> tuple[str, ...]:
        """The names of engines that do not answer and have a sandbox that is known."""
        used = {agent_view.engine for agent_view in self.sandboxes.values()}
        return tuple(sorted({engine.name for engine in self.silent & used}))


def last_output(agent_view: AgentView) -> str:
    """Return how an agent ended and the last line it said."""
    said = [line.strip() for line in agent_view.condition.last_output if line.strip()]
    return ": ".join((f"{agent_view.agent} {agent_view.condition}", *said[-1:]))
