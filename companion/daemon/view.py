"""What there is to see: every sandbox, and the state of everything together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from companion.daemon.calls import Calls
from companion.daemon.events import Events
from companion.daemon.refusals import Refusals
from companion.engine.model import Choice, Condition, Health
from companion.errors import Code, Problem
from companion.project.model import AgentRef
from companion.traffic.attention import Attention


class IconState(StrEnum):
    """The overall state that the icon shows."""

    IDLE = "idle"
    WORKING = "working"
    ATTENTION = "attention"
    WAITING = "waiting"
    """An agent waits for its user's answer."""
    PAUSED = "paused"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class TrustQuestion:
    """What an agent waits for: its user's agreement to what it opens."""

    digest: str
    """The digest of everything that it opens."""
    new: tuple[str, ...]
    """What was not agreed to, as sentences without a subject."""
    is_known: bool
    """The user agreed to it before."""


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent's sandbox as last reported."""

    ref: AgentRef
    agent: str = ""
    """Its name; empty while its file names none."""
    alias: str = ""
    """Its SSH alias; empty if it accepts no logins or was never started."""
    engine: Choice | None = None
    paused: bool = False
    """Saves are not applied."""
    condition: Condition = field(default_factory=Condition)
    """Its condition when the engine was last observed."""
    step: str = ""
    """The work under way; empty for none."""
    trouble: Problem | None = None
    """Why the last change failed."""
    login_problem: Problem | None = None
    """What it cannot log in to, until the user does something."""
    exposed: tuple[Problem, ...] = ()
    """That it can change what git on the desktop obeys, and what is new there."""
    review: TrustQuestion | None = None
    """What it waits for; its last change was not applied because of that."""
    refusals: Refusals = field(default_factory=Refusals)
    """The hosts that it was refused lately."""
    attention: Attention = Attention.UNKNOWN
    """Whether its agent works, waits for the user or is done."""
    calls: Calls = field(default_factory=Calls)
    """When the user was told of that."""
    update_waits: str = ""
    """What an update of Companion changes at the next restart of its sandbox, in words."""
    settled: bool = False
    """It matched its files when last observed, and no engine event came since."""

    @property
    def id(self) -> str:
        """Its unique key."""
        return self.ref.key

    @property
    def name(self) -> str:
        """The display name of its project or directory."""
        return self.ref.name

    @property
    def health(self) -> Health:
        """The health of its sandbox."""
        return self.condition.health

    @property
    def published(self) -> tuple[int, ...]:
        """The ports of the desktop that lead into its sandbox, besides SSH."""
        return tuple(outside for outside, _ in self.condition.published)

    @property
    def word(self) -> str:
        """Its state as shown to the user."""
        words = {Health.UNKNOWN: "…", Health.ABSENT: "stopped"}
        return words.get(self.health, str(self.condition))

    @property
    def is_up(self) -> bool:
        """Whether there is anything to stop."""
        return self.health in {Health.RUNNING, Health.BROKEN}

    @property
    def waits(self) -> bool:
        """Whether its agent waits for an answer."""
        return self.is_up and self.attention is Attention.WAITING

    @property
    def changed_git(self) -> Problem | None:
        """What git on the desktop newly obeys, and its agent could have written."""
        return next((one for one in self.exposed if one.code is Code.GIT_CHANGED), None)

    @property
    def needs_you(self) -> bool:
        """Whether something is wrong that only its user can mend, or its agent waits."""
        wrong = self.review or self.trouble or self.login_problem or self.changed_git
        return bool(wrong) or self.health is Health.CRASHED or self.waits


@dataclass(frozen=True, slots=True)
class View:
    """Everything that there is to see; sandboxes by id."""

    sandboxes: Mapping[str, AgentView] = field(default_factory=dict)
    silent: frozenset[Choice] = frozenset()
    """Engines that do not answer."""
    paused: bool = False
    events: Events = field(default_factory=Events)
    """What happened lately."""

    @property
    def missed(self) -> tuple[str, ...]:
        """The names of silent engines that have a registered sandbox."""
        used = {agent_view.engine for agent_view in self.sandboxes.values()}
        return tuple(sorted({engine.name for engine in self.silent & used}))


def last_output(agent_view: AgentView) -> str:
    """Return how an agent ended, and its last line of output."""
    said = [line.strip() for line in agent_view.condition.last_output if line.strip()]
    return ": ".join((str(agent_view.condition), *said[-1:]))
