"""What is there, and what did we do last? Values that plan() compares with Desired."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from companion.sandbox import Allocation
from companion.services import Role


@dataclass(frozen=True, slots=True)
class Container:
    """One container of ours as the engine reports it; times are the engine's ISO texts."""

    id: str
    name: str
    project: str
    service: str
    agent: str
    role: Role
    spec: str
    running: bool
    status: str
    exit_code: int
    started: str
    network_mode: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What the engine holds of one project."""

    containers: tuple[Container, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    """Name without the project's prefix → subnet."""
    images: frozenset[str] = frozenset()
    """Tags of all images that companion built."""

    def container(self, service: str) -> Container | None:
        """Return the container of a service, if there is one."""
        return next((c for c in self.containers if c.service == service), None)


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine that a project uses, recorded at its first `up`."""

    name: Literal["docker", "podman"]
    binary: str
    environment: tuple[tuple[str, str], ...] = ()
    """Variables that point the engine's client at its endpoint, e.g. DOCKER_HOST."""


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """What we remember of one agent."""

    allocation: Allocation
    user: str = "agent"
    workdir: str = ""
    acp_command: tuple[str, ...] = ()
    """The agent's command for editors, in the sandbox."""
    parts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Service → field → digest, as last started: tells what a change changed."""
    loaded: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Service → what it took in last; a service is missing while that is not certain."""
    complete: bool = False
    """All of it was applied with success; False while an apply is under way."""


@dataclass(frozen=True, slots=True)
class Written:
    """What we remember of one project; never holds a secret or a file's content."""

    directory: str
    salt: str
    wanted: Literal["up", "down"] = "down"
    engine: EngineChoice | None = None
    agents: Mapping[str, AgentRecord] = field(default_factory=dict)
