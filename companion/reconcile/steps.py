"""Steps: the parts of a plan, and the plan that they make. Pure."""

from dataclasses import dataclass
from enum import IntEnum

from companion.engine.model import Choice
from companion.reconcile.reasons import Reason, Why
from companion.spec.containers import Image, Network, Service
from companion.spec.identity import Role


class Change(IntEnum):
    """The classes of a change, from least to most."""

    NONE = 0
    RELOAD = 1
    RECREATE = 2
    REBUILD = 3


@dataclass(frozen=True, slots=True)
class BuildImage:
    """Build an image while the old sandbox keeps running."""

    image: Image
    why: Why

    def describe(self) -> str:
        """Return the step in words."""
        return f"build the {self.image.role} image"


@dataclass(frozen=True, slots=True)
class LeaveEngine:
    """Remove the sandbox from an engine, except its images and volumes."""

    engine: Choice
    why: Why

    def describe(self) -> str:
        """Return the step in words."""
        return f"take the sandbox off {self.engine.label}"


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a container."""

    name: str
    why: Why

    def describe(self) -> str:
        """Return the step in words."""
        return f"remove {self.name}"


@dataclass(frozen=True, slots=True)
class RemoveNetwork:
    """Remove a network that differs or is no longer needed."""

    name: str
    why: Why

    def describe(self) -> str:
        """Return the step in words."""
        return f"remove the network {self.name}"


@dataclass(frozen=True, slots=True)
class CreateNetwork:
    """Create a network."""

    network: Network
    why: Why

    def describe(self) -> str:
        """Return the step in words."""
        return f"create the network {self.network.name}"


@dataclass(frozen=True, slots=True)
class Start:
    """Create and start a service's container."""

    service: Service
    why: Why

    def describe(self) -> str:
        """Return the step in words."""
        return f"start {self.service.name}"


@dataclass(frozen=True, slots=True)
class Reload:
    """Reload a running service; no container restarts."""

    service: Service
    why: Why
    changed: tuple[str, ...] = ()
    """The entries that it has not loaded; empty while that is uncertain."""

    def describe(self) -> str:
        """Return the step in words."""
        return f"reload {self.service.name}"

    def is_about(self, name: str) -> bool:
        """Tell whether the service may not have loaded the entry `name`."""
        return not self.changed or name in self.changed


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Restore the engine's network rules for a running service; no container restarts."""

    service: Service
    why: Why

    def describe(self) -> str:
        """Return the step in words."""
        return f"restore the network rules of {self.service.name}"


@dataclass(frozen=True, slots=True)
class Await:
    """Wait for a container that a cluster is starting by itself; none restarts."""

    service: Service
    why: Why

    def describe(self) -> str:
        """Return the step in words."""
        return f"wait for {self.service.name}"


_Light = Await | Reconnect | Reload
Step = BuildImage | LeaveEngine | Remove | RemoveNetwork | CreateNetwork | Start | _Light


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order; an empty plan changes nothing."""

    steps: tuple[Step, ...]

    @property
    def change(self) -> Change:
        """The class of the entire plan."""
        if any(isinstance(step, BuildImage) for step in self.steps):
            return Change.REBUILD
        if any(not isinstance(step, _Light) for step in self.steps):
            return Change.RECREATE
        return Change.RELOAD if self.steps else Change.NONE

    @property
    def starts(self) -> frozenset[Role]:
        """The roles whose containers are started."""
        return frozenset(step.service.role for step in self.steps if isinstance(step, Start))

    @property
    def carries_anew(self) -> bool:
        """Whether an engine elsewhere may lack any of our files."""
        lost = (isinstance(s, Reload) and s.why.reason is Reason.FILES_LOST for s in self.steps)
        return bool(self.starts) or any(lost)

    @property
    def waits(self) -> bool:
        """Whether a container is new by the end, so that its start is to be waited for."""
        return any(isinstance(step, Start | Await) for step in self.steps)
