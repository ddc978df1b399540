"""Records: the state that we keep of projects and their agents."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from companion.engine.model import AgentLogin, Choice
from companion.errors import CompanionError, Problem
from companion.sandbox.allocation import Allocation


@dataclass(frozen=True, slots=True)
class Applied:
    """What was last started and loaded; digests only, never contents."""

    parts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Service → field of its definition → digest; lets a plan name what changed."""
    loaded: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Service → reloadable entry → digest; a service is absent while this is uncertain."""
    complete: bool = False
    """True once everything was applied; False while an apply is under way."""
    version: str = ""
    """The version of Companion that applied it."""
    waits_for: str = ""
    """The definition that an update of Companion gave it, and that was not applied; its version,
    a space and a digest; see reconcile/updates.py."""
    saved: tuple[str, ...] = ()
    """Keys of its config that were saved before that version looked for the first time."""

    def update_waits(self, version: str) -> str | None:
        """Return in words what waits for a restart, after an update of Companion to `version`.

        None: that is unknown, because no program of that version has compared the sandbox yet.
        """
        if self.version == version or not self.parts:
            return ""
        return update_sentence(self.saved) if self.waits_for.split(" ")[0] == version else None


UPDATE_WAITS = "the update of Companion takes effect at the next restart"


def update_sentence(saved: Collection[str]) -> str:
    """Return that an update waits, with what was saved of a config before it was looked at."""
    if not saved:
        return UPDATE_WAITS
    return f"{UPDATE_WAITS}, as do your changes to {', '.join(saved)} that need one"


_WIDER = ("listed", "open", "no gateway", "")
"""Egress modes, the widest last: what is unknown may be anything."""


@dataclass(frozen=True, slots=True)
class ConfigSummary:
    """The parts of an agent's config that must be available without reading its files."""

    user: str = "agent"
    """The login user in the sandbox."""
    runtime: str | None = None
    """The agent program, as agent.yaml names it; empty if it is defined inline there."""
    begun_by_root: bool = False
    """The agent's container starts as root, for root hooks."""
    workdir: str = ""
    acp_command: tuple[str, ...] = ()
    """The agent's command for editors, in the sandbox."""
    uses: Mapping[str, str] = field(default_factory=dict)
    """Variable of .env → what it is used for."""
    grants: tuple[str, ...] = ()
    """Keys of the OAuth grants whose tokens its gateway holds, or would hold."""
    steered_by: tuple[str, ...] = ()
    """Real paths of the files that control it: no other agent may write there."""
    writes: tuple[str, ...] = ()
    """Directories of the desktop that it may write to."""
    holds: tuple[str, ...] = ()
    """Repositories in them that it can change, but not exchange: they are mount points."""
    repositories: tuple[str, ...] = ()
    """Those of its directories that are repositories themselves, such as bare ones."""
    guards: Mapping[str, str] = field(default_factory=dict)
    """Target of each read-only mount in these directories → the path of the desktop it covers."""
    ports: tuple[int, ...] = ()
    """Ports of the desktop that it publishes, besides SSH."""
    egress: str = ""
    """Its egress mode: `listed`, `open` or `no gateway`; empty: an earlier version started it."""
    written: Mapping[str, str] = field(default_factory=dict)
    """Key that the user wrote → digest of what it says."""

    def joined(self, other: "ConfigSummary") -> "ConfigSummary":
        """Return this summary with all paths of both, while containers of either may run.

        A mount point counts if it is one for both; who could write nothing could exchange nothing.
        So does what guards a directory.
        Of two egress modes, the wider one counts.
        """
        both = tuple(place for place in self.holds if place in other.holds)
        return replace(
            self,
            steered_by=tuple(dict.fromkeys((*self.steered_by, *other.steered_by))),
            writes=tuple(dict.fromkeys((*self.writes, *other.writes))),
            holds=both if other.writes else self.holds,
            repositories=tuple(dict.fromkeys((*self.repositories, *other.repositories))),
            guards={at: path for at, path in self.guards.items() if at in other.guards},
            egress=max(self.egress, other.egress, key=_WIDER.index),
        )

    def waiting(self, runs: "ConfigSummary") -> "ConfigSummary":
        """Return this summary for a sandbox that stays as it was started, as `runs`, for now.

        What containers are started with stays; they may still write where they could. Rules are
        reloaded, but no gateway comes or goes.
        """
        modes = (self.egress, runs.egress)
        return replace(
            self.joined(runs),
            user=runs.user,
            begun_by_root=runs.begun_by_root,
            workdir=runs.workdir,
            acp_command=runs.acp_command,
            guards=runs.guards,
            ports=runs.ports,
            egress=runs.egress if {"no gateway", ""} & {*modes} else self.egress,
            written=runs.written,
        )

    def saved_since(self, before: "ConfigSummary") -> tuple[str, ...]:
        """Return the keys that say something else than before; none if that is unknown."""
        names = sorted({*self.written, *before.written}) if before.written else ()
        return tuple(n for n in names if self.written.get(n) != before.written.get(n))

    @property
    def login(self) -> AgentLogin:
        """The agent's user in its container."""
        return AgentLogin(self.user, self.begun_by_root)


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """The record of one agent; never holds a secret or a file's content."""

    allocation: Allocation
    salt: str = ""
    """The HMAC key for digests of the agent's secrets."""
    wanted: Literal["up", "down", "gone"] = "down"
    """What the user wants; gone: the agent was up when its fleet stopped listing it."""
    engine: Choice | None = None
    """The only engine that holds the agent's containers and networks, or last held them."""
    others: tuple[Choice, ...] = ()
    """Engines that may also hold something of the agent: it moved, or is moving there."""
    left: tuple[Choice, ...] = ()
    """Engines that hold its volumes at most: it was there, and all else was removed."""
    applied: Applied = field(default_factory=Applied)
    config: ConfigSummary = field(default_factory=ConfigSummary)

    @property
    def occupied(self) -> tuple[Choice, ...]:
        """Every engine that may hold more of the agent than volumes, the current one first."""
        return (*((self.engine,) if self.engine else ()), *self.others)

    @property
    def engines(self) -> tuple[Choice, ...]:
        """Every engine that may hold something of the agent, the current one first."""
        return (*self.occupied, *self.left)

    def on(self, engine: Choice | None) -> "AgentRecord":
        """Return the record with another current engine; the previous one joins `others`."""
        others, left = (
            tuple(e for e in held if engine is None or not e.is_same(engine))
            for held in (self.occupied, self.left)
        )
        return replace(self, engine=engine, others=others, left=left)

    def without(self, empty: Collection[Choice]) -> "AgentRecord":
        """Return the record without former engines that hold nothing any more."""
        others, left = (
            tuple(one for one in held if one not in empty) for held in (self.others, self.left)
        )
        return replace(self, others=others, left=left)

    def cleared(self, silent: Collection[Choice]) -> "AgentRecord":
        """Return the record once the agent was removed from all `others` that are not silent."""
        others = tuple(one for one in self.others if one in silent)
        left = dict.fromkeys((*self.left, *(one for one in self.others if one not in silent)))
        return replace(self, others=others, left=tuple(left))


@dataclass(frozen=True, slots=True)
class Written:
    """The records of one project, and a problem for each one that cannot be read."""

    directory: str
    """The project's directory; if its file cannot be read, our own directory for the project."""
    agents: Mapping[str, AgentRecord] = field(default_factory=dict)
    broken: Mapping[str, Problem] = field(default_factory=dict)
    """Agent name → why its record cannot be read."""
    problem: Problem | None = None
    """Why the project's own file cannot be read."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all agents, including those with a broken record."""
        return tuple(sorted({*self.agents, *self.broken}))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that cannot be read."""
        return (*((self.problem,) if self.problem else ()), *self.broken.values())

    def agent(self, name: str) -> AgentRecord | None:
        """Return the record of an agent, or None if there is none.

        Raises:
            CompanionError: it cannot be read.
        """
        if name in self.broken:
            what, hint, _, code = self.broken[name]
            raise CompanionError(what, hint, code=code)
        return self.agents.get(name)


def upgraded(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a stored record in the current shape; before 0.2 all fields were at the top level."""
    if "config" in data:
        return data
    parts = {"applied": Applied, "config": ConfigSummary}
    nested = {
        name: {f.name: data[f.name] for f in fields(part) if f.name in data}
        for name, part in parts.items()
    }
    return {**data, **nested}
