"""What is there, and what did we do last? Values that plan() compares with Desired."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from companion.sandbox import Allocation
from companion.services import Role


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
    last_words: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """What we remember of one agent; never holds a secret or a file's content."""

    allocation: Allocation
    salt: str = ""
    """Keys the digests of its secrets."""
    wanted: Literal["up", "down", "gone"] = "down"
    """What the user wants; gone: it was up when its fleet stopped listing it."""
    engine: EngineChoice | None = None
    """The only engine that holds containers and networks of it, or held them last."""
    others: tuple[EngineChoice, ...] = ()
    """Engines that may hold images and volumes of it besides: it moved, or it is moving there."""
    user: str = "agent"
    begun_by_root: bool = False
    """Its container starts as root, for root hooks."""
    workdir: str = ""
    acp_command: tuple[str, ...] = ()
    """The agent's command for editors, in the sandbox."""
    parts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Service → field → digest, as last started: tells what a change changed."""
    loaded: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Service → what it took in last; a service is missing while that is not certain."""
    complete: bool = False
    """All of it was applied with success; False while an apply is under way."""
    uses: Mapping[str, str] = field(default_factory=dict)
    """Variable of .env → what it is used for."""
    grants: tuple[str, ...] = ()
    """The keys of the grants whose tokens its gateway has, or would have."""
    steered_by: tuple[str, ...] = ()
    """Real paths of what steers it: no other agent may write there."""
    writes: tuple[str, ...] = ()
    """Directories of the desktop that it may write to."""

    @property
    def engines(self) -> tuple[EngineChoice, ...]:
        """Every engine that may hold something of it, the one that it is on first."""
        return (*((self.engine,) if self.engine else ()), *self.others)

    def on(self, engine: EngineChoice | None) -> "AgentRecord":
        """Return the record of the agent on an engine, with all others that it knew."""
        others = (e for e in self.engines if engine is None or e.name != engine.name)
        return replace(self, engine=engine, others=tuple(others))


@dataclass(frozen=True, slots=True)
class Written:
    """What we remember of one project."""

    directory: str
    agents: Mapping[str, AgentRecord] = field(default_factory=dict)
