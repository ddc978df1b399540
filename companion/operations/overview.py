"""Overview: every registered agent with its state, from our records and one look at each engine."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from companion.engine.driver import driver
from companion.engine.model import Choice, Condition, Container, Health
from companion.errors import Code, CompanionError, Problem
from companion.operations import attention, condition, network_use
from companion.project import forwards, runs, store
from companion.project.forwards import Forward
from companion.project.model import AgentRef, Project
from companion.project.record import AgentRecord, Written
from companion.project.runs import Run
from companion.system import files, parallel
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths
from companion.traffic.attention import Attention, Heard

_INLINE = "custom"
Answers: TypeAlias = "Mapping[Choice, tuple[Container, ...] | CompanionError]"
"""What engines answered when they were asked for all our containers."""


@dataclass(frozen=True, slots=True)
class AgentOverview:
    """One agent: what our files say of it, and its containers."""

    ref: AgentRef
    agent: str
    """Its name; empty while its config names none."""
    program: str
    """The runtime in its agent.yaml, or `custom`; empty if that is unknown."""
    record: AgentRecord | None = None
    run: Run | None = None
    """Of a sandbox of `companion run`: what was made for it."""
    paused: bool = False
    """Saves are not applied."""
    refused: int = 0
    """Hosts that were refused when the agent asked for them last."""
    forwards: tuple[Forward, ...] = ()
    condition: Condition = field(default_factory=Condition)
    """Unknown if its engine does not answer, or its record cannot be read."""
    containers: tuple[Container, ...] = ()
    heard: Heard = field(default_factory=Heard)
    """What a watcher, or a command that read the gateway's log, heard of it last."""

    @property
    def attention(self) -> Attention:
        """Whether it works, waits for the user or is done, as far as it was heard."""
        return attention.judged(self.heard, self.containers)

    @property
    def key(self) -> str:
        """Its key, unique among all agents of the user."""
        return f"{self.ref.project.id}/{self.agent}"

    @property
    def state(self) -> str:
        """Its state in one word."""
        health = self.condition.health
        return str(Health.STOPPED if health is Health.ABSENT else health)

    @property
    def published(self) -> tuple[tuple[int, int], ...]:
        """The desktop's ports that lead into it, each with the port inside; SSH is not there."""
        return tuple(sorted({pair for c in self.containers for pair in c.published}))

    @property
    def ssh_port(self) -> int | None:
        """The desktop's port for SSH; an engine elsewhere publishes none."""
        record = self.record
        if record is None or (record.engine and not record.engine.shares_files):
            return None
        return record.allocation.ssh_port

    @property
    def works_in(self) -> str:
        """The repository or worktree of a sandbox of `companion run`; empty for others."""
        return self.run.directory if self.run else ""

    @property
    def branch(self) -> str:
        """The branch that was made for it."""
        return self.run.worktree.branch if self.run and self.run.worktree else ""


@dataclass(frozen=True, slots=True)
class Overview:
    """All agents, in the order of their directories, and what could not be found out."""

    agents: tuple[AgentOverview, ...] = ()
    problems: tuple[Problem, ...] = ()

    def agent(self, key: str) -> AgentOverview | None:
        """Return the agent with a key, or None."""
        return next((one for one in self.agents if one.key == key), None)

    @property
    def containers(self) -> tuple[Container, ...]:
        """The containers of all agents."""
        return tuple(container for one in self.agents for container in one.containers)


def overview(home: Paths) -> Overview:
    """Look at every registered agent; each engine is asked once for all of them.

    An engine that does not answer is a problem of the overview.
    """
    known = registered(home)
    return _caught_up(home, seen(known, asked(engines_of(known))))


def registered(home: Paths, heard: Callable[[AgentPaths], Heard] = attention.live) -> Overview:
    """Return every registered agent by what is on disk, its condition unknown if it has one.

    Args:
        home: where our files are.
        heard: returns what an agent said of its work.
    """
    written = store.all_projects(home)
    problems = tuple(problem for one in written.values() for problem in one.problems)
    return Overview(tuple(_registered(home, written, heard)), problems)


def engines_of(known: Overview) -> tuple[Choice, ...]:
    """Return the engines that hold agents."""
    records = (one.record for one in known.agents if one.record)
    return tuple(dict.fromkeys(record.engine for record in records if record.engine))


def asked(engines: Sequence[Choice]) -> Answers:
    """Ask engines for all our containers, each once."""
    return dict(zip(engines, parallel.each(engines, _ask, at_once=2), strict=True))


def seen(known: Overview, answers: Answers) -> Overview:
    """Return agents with the containers and conditions that their engines report."""
    silent = (answer for answer in answers.values() if isinstance(answer, CompanionError))
    problems = (*known.problems, *(problem for error in silent for problem in error.problems))
    found = {c: a for c, a in answers.items() if not isinstance(a, CompanionError)}
    agents = tuple(_seen(one, found) for one in known.agents)
    return Overview(agents, tuple(dict.fromkeys(problems)))


def _caught_up(home: Paths, found: Overview) -> Overview:
    """Return agents with what they said while no watcher listened, if they are few."""

    def paths_of(one: AgentOverview) -> AgentPaths:
        return home.project(one.ref.project.id).agent(one.agent)

    def read(one: AgentOverview) -> Heard:
        if one.record is None or one.record.engine is None:
            return Heard()
        engine = driver(one.record.engine, one.ref.project.id, one.agent)
        return attention.caught_up(paths_of(one), engine, one.containers)

    running = ((one, one.record) for one in found.agents if one.state == Health.RUNNING)
    missed = [one for one, its in running if its and attention.is_missed(paths_of(one), its)]
    if len(missed) > attention.FEW:
        what = f"no watcher runs, so whether {len(missed)} agents wait for you is unknown"
        problem = Problem(what, "run `companion tray` or `companion watch`", code=Code.NO_WATCHER)
        return replace(found, problems=(*found.problems, problem))
    read_now = parallel.each(missed, read, at_once=4)
    heard = dict(zip((one.key for one in missed), read_now, strict=True))
    agents = tuple(replace(one, heard=heard.get(one.key, one.heard)) for one in found.agents)
    return replace(found, agents=agents)


def _registered(
    home: Paths, known: Mapping[str, Written], heard: Callable[[AgentPaths], Heard]
) -> Iterator[AgentOverview]:
    """Yield every agent by what is on disk."""
    made = {runs.directory_of(home, run.name): run for run in runs.all_of_user(home)}
    active, all_paused = forwards.active(home), home.paused.exists()
    by_place = sorted(known.items(), key=lambda item: (Path(item[1].directory).name, item[0]))
    for project_id, written in by_place:
        project, paths = Project(Path(written.directory), project_id), home.project(project_id)
        run, paused = made.get(project.directory), all_paused or paths.paused.exists()
        for ref, name in _refs(home, project, written):
            record, mine = written.agents.get(name), (project_id, name)
            yield AgentOverview(
                ref=ref,
                agent=name,
                program=_program(ref, record, run),
                record=record,
                run=run,
                paused=paused,
                refused=_refused(paths.agent(name)) if name else 0,
                heard=heard(paths.agent(name)) if name else Heard(),
                forwards=tuple(f for f in active if (f.project, f.agent) == mine),
                condition=Condition() if name in written.broken else Condition(Health.ABSENT),
            )


def _refs(home: Paths, project: Project, written: Written) -> Iterator[tuple[AgentRef, str]]:
    """Yield each agent and its name; a config is read only if we have no record of its agent."""
    if not files.is_file(project.fleet):
        names = [n for n in written.names if not _is_gone(written.agents.get(n))]
        for name in names or [_configured(AgentRef(project))[0]]:
            yield AgentRef(project), name
        return
    from companion.project import inventory  # noqa: PLC0415 - start-up time is a budget

    for ref in inventory.agents_of(home, project):
        yield ref, ref.folder


def _is_gone(record: AgentRecord | None) -> bool:
    return record is not None and record.wanted == "gone"


def _program(ref: AgentRef, record: AgentRecord | None, run: Run | None) -> str:
    if record and record.config.runtime is not None:
        return record.config.runtime or _INLINE
    return run.runtime if run else _configured(ref)[1]


def _configured(ref: AgentRef) -> tuple[str, str]:
    """Return the name and the program in an agent.yaml, as far as they are valid.

    Nothing else of the file is checked: that takes as long as everything else here.
    """
    from companion.config import strict_yaml  # noqa: PLC0415 - start-up time is a budget

    try:
        data = strict_yaml.parse(files.read_text(ref.config) or "", ref.config.name).data
    except CompanionError:
        return "", ""
    found = data if isinstance(data, Mapping) else {}
    name, runtime = found.get("name"), found.get("runtime")
    if isinstance(runtime, Mapping):
        runtime = runtime.get("name", _INLINE)
    return _word(name), _word(runtime)


def _word(value: object) -> str:
    """Return a value that is a name, which never leads to another directory, else nothing."""
    return value if isinstance(value, str) and runs.is_name(value) else ""


def _refused(agent_paths: AgentPaths) -> int:
    """Return how many hosts are refused, as far as it is known without asking an engine."""
    try:
        book = network_use.known(agent_paths)
    except CompanionError:  # `companion network` reports it
        return 0
    return len({entry.host for entry in book.entries if entry.is_refused})


def _ask(choice: Choice) -> "tuple[Container, ...] | CompanionError":
    try:
        return driver(choice).containers()
    except CompanionError as error:
        return error


def _seen(one: AgentOverview, found: Mapping[Choice, Collection[Container]]) -> AgentOverview:
    """Return an agent with its containers."""
    record = one.record
    if record is None or record.engine is None:
        return one
    if record.engine not in found:
        return replace(one, condition=Condition())
    owner = (one.ref.project.id, one.agent)
    mine = tuple(c for c in found[record.engine] if (c.project, c.agent) == owner)
    seen = condition.without_output(mine, record.applied.parts)
    return replace(one, condition=seen, containers=mine)
