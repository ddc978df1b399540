"""Values: the engine that a project uses, and what it reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from companion.spec.containers import Role


class Health(StrEnum):
    """How an agent's sandbox is, in the words of `status`."""

    UNKNOWN = "unknown"
    """The engine was not asked yet."""
    ABSENT = "absent"
    STOPPED = "stopped"
    CRASHED = "crashed"
    """The agent ended by itself, with a failure."""
    BROKEN = "broken"
    """The agent runs, but its way out does not: it must be started anew, in order."""
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Condition:
    """The health of one agent, and what it said last if it crashed."""

    health: Health = Health.UNKNOWN
    exit_code: int = 0
    last_output: tuple[str, ...] = ()

    def __str__(self) -> str:
        code = f" (exit code {self.exit_code})" if self.health is Health.CRASHED else ""
        return f"{self.health}{code}"


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
    out_of_memory: bool
    started: str
    network_mode: str


@dataclass(frozen=True, slots=True)
class AgentLogin:
    """Who the agent is in its container."""

    user: str
    begun_by_root: bool = False
    """The container starts as root, for root hooks: root's rights must be given up first."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What the engine holds of one project."""

    containers: tuple[Container, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    """Name without the project's prefix → subnet."""
    images: frozenset[str] = frozenset()
    """Tags of those images that it was asked for."""

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
    rootless: bool = False
    """It runs as an ordinary user: its containers live in user namespaces."""
    seccomp: str = ""
    """Its own list of system calls, where that allows more than docker's."""
