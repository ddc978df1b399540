"""Comparison: the desired and the observed state of a sandbox as one value, with its plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from companion.engine.driver import Driver
from companion.engine.model import Choice, Observed
from companion.errors import Code, CompanionError
from companion.project.record import AgentRecord, update_sentence
from companion.reconcile.desired import Desired
from companion.reconcile.steps import LeaveEngine, Plan, Start, Step
from companion.reconcile.validate import Checked
from companion.spec.identity import Role


class Restarts(Enum):
    """Which containers may be replaced."""

    ALL = "all"
    """Each one, even if nothing differs."""
    NEEDED = "needed"
    """Those that differ."""
    EDITED = "edited"
    """Those that differ by something that the user can write; not for an update of Companion."""
    NONE = "none"
    """None that would end an agent's work."""

    @property
    def take_updates(self) -> bool:
        """Whether an update of Companion is applied, too."""
        return self in {Restarts.ALL, Restarts.NEEDED}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The desired and observed state of an agent's sandbox, and the plan between them."""

    checked: Checked
    was_on: Choice | None
    """The engine that the agent is on before the plan is applied."""
    record: AgentRecord
    desired: Desired
    engine: Driver
    observed: Observed
    plan: Plan
    was_asked: bool = True
    """False: what the engine holds is unknown, because the user did not agree to it yet."""
    takes_update: bool = False
    """Its user asked for what an update of Companion changes, too."""
    waits_for: str = ""
    """The definition that an update of Companion gave it; `desired` is what runs."""
    saved: tuple[str, ...] = ()
    """Keys of the config that may wait for the same: they were saved before it was known."""
    kept: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Service → field of its definition → digest, of what stays as another version started it."""
    silent: tuple[Choice, ...] | None = None
    """Former engines that do not answer; None: none was asked."""

    @property
    def parts(self) -> dict[str, Mapping[str, str]]:
        """The same of every service, once the plan is carried out."""
        return {s.name: self.kept.get(s.name, s.parts) for s in self.desired.target.services}

    @property
    def update_waits(self) -> str:
        """What waits for the next restart after an update of Companion, in words."""
        return update_sentence(self.saved) if self.waits_for else ""

    def require_agent_kept(self) -> None:
        """Check that the plan ends no work of an agent that runs.

        Raises:
            CompanionError: it replaces the agent's container, or removes it from an engine.
        """
        ends = next((step for step in self.plan.steps if self._ends_agent(step)), None)
        if ends:
            agent = self.checked.config.name
            what = f"{agent} would have to restart ({ends.why.text}): nothing was applied"
            hint = (
                "what you allowed or denied is kept; `companion up` applies all of it, and ends"
                " the agent's terminal"
            )
            raise CompanionError(what, hint, code=Code.RESTART_NEEDED)

    def _ends_agent(self, step: Step) -> bool:
        if isinstance(step, LeaveEngine):
            return self.was_on is not None and step.engine.is_same(self.was_on)
        if not isinstance(step, Start) or step.service.role is not Role.AGENT:
            return False
        container = self.observed.container(step.service.name)
        return container is not None and container.running
