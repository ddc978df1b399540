"""What is remembered of projects and their agents."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from companion.engine.model import EngineChoice
from companion.sandbox.model import Allocation


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
