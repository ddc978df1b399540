"""What there is to see, and how news changes it: values and pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from companion.daemon.scheduler import Touched
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
    lack: Problem | None = None
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


@dataclass(frozen=True, slots=True)
class ProjectAdded:
    """A sandbox became known, or what we remember of it changed."""

    agent_view: AgentView
    new: bool = False


@dataclass(frozen=True, slots=True)
class ProjectRemoved:
    """A sandbox is not known any more."""

    sandbox: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Watching was paused for all projects, or resumed."""

    paused: bool


@dataclass(frozen=True, slots=True)
class EngineObserved:
    """An engine answered: project → agent → condition; what is missing has no containers."""

    engine: EngineChoice
    conditions: Mapping[str, Mapping[str, Condition]]


@dataclass(frozen=True, slots=True)
class EngineSilent:
    """An engine does not answer."""

    engine: EngineChoice
    why: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """Work on a sandbox goes on."""

    sandbox: str
    text: str


@dataclass(frozen=True, slots=True)
class WorkFinished:
    """Work on a sandbox ended."""

    sandbox: str
    text: str
    """The whole story in a sentence, or every problem, a line each."""
    trouble: Problem | None = None
    lack: Problem | None = None
    """What it runs without, until the user does something."""
    changed: bool = False
    """Containers, rules or keys are others than before."""
    settled: bool = False
    """The sandbox was seen to run as its files say."""


@dataclass(frozen=True, slots=True)
class WorkCrashed:
    """An agent was seen to have ended with a failure."""

    sandbox: str
    text: str
    """Who, how, and what it said last."""


@dataclass(frozen=True, slots=True)
class AgentStopped:
    """An agent was seen to have ended, neither by work of ours nor with a failure."""

    sandbox: str
    text: str
    """Who, and with which exit code."""


@dataclass(frozen=True, slots=True)
class WatchDegraded:
    """The watcher cannot do its work as it should; it goes on all the same."""

    why: str


News = (
    ProjectAdded
    | ProjectRemoved
    | Paused
    | EngineObserved
    | EngineSilent
    | Progressed
    | WorkFinished
    | WorkCrashed
    | AgentStopped
    | WatchDegraded
)


def fold(view: View, news: News) -> View:
    """Return the picture after the news."""
    match news:
        case ProjectAdded(agent_view):
            return _with(view, _kept(agent_view, view.sandboxes.get(agent_view.id)))
        case ProjectRemoved(sandbox):
            rest = {i: v for i, v in view.sandboxes.items() if i != sandbox}
            return replace(view, sandboxes=rest)
        case Paused(paused):
            return replace(view, paused=paused)
        case EngineObserved(engine, conditions):
            sandboxes = {i: _seen(v, view, engine, conditions) for i, v in view.sandboxes.items()}
            return replace(view, sandboxes=sandboxes, silent=view.silent - {engine})
        case WorkCrashed() | AgentStopped() | WatchDegraded():
            return view
        case EngineSilent(engine):
            return replace(view, silent=view.silent | {engine})
        case Progressed(sandbox, text):
            known = view.sandboxes.get(sandbox)
            return _with(view, replace(known, step=text)) if known else view
        case WorkFinished(sandbox, _, trouble, lack, _, settled):
            known = view.sandboxes.get(sandbox)
            if known is None:
                return view
            done = replace(known, step="", trouble=trouble, lack=lack)
            return _with(view, replace(done, settled=known.settled or settled))


def reactions(
    before: View, after: View, news: News
) -> tuple[Touched | WorkCrashed | AgentStopped, ...]:
    """Return what follows from news: agents to look at again, and ends to report.

    An engine that answers again may have lost anything meanwhile, and a broken sandbox must be
    started anew.
    """
    if not isinstance(news, EngineObserved):
        return ()
    views = [v for v in after.sandboxes.values() if v.engine == news.engine]
    again = (Touched(v.id) for v in views if _needs_look(before, v))
    crashed = (v for v in views if turned(before, v, Health.CRASHED))
    ran = {i for i, v in before.sandboxes.items() if v.health in {Health.RUNNING, Health.BROKEN}}
    stopped = (v for v in views if v.id in ran and turned(before, v, Health.STOPPED))
    return (
        *again,
        *(WorkCrashed(v.id, last_output(v)) for v in crashed),
        *(AgentStopped(v.id, _end(v)) for v in stopped),
    )


def _end(agent_view: AgentView) -> str:
    """Return how an agent stopped that nobody asked us to stop."""
    code = agent_view.condition.exit_code
    return f"{agent_view.agent} stopped (exit code {code}); `companion up` starts it again"


def icon_state(view: View) -> IconState:
    """Return what the icon shows."""
    views = view.sandboxes.values()
    if any(agent_view.step for agent_view in views):
        return IconState.WORKING
    if view.missed:
        return IconState.OFFLINE
    if any(_attention(agent_view) for agent_view in views):
        return IconState.ATTENTION
    return IconState.PAUSED if view.paused else IconState.IDLE


def headline(view: View) -> str:
    """Return the one sentence that says how everything is."""
    views = tuple(view.sandboxes.values())
    match icon_state(view):
        case IconState.WORKING:
            return next(
                f"{agent_view.name}: {agent_view.step}" for agent_view in views if agent_view.step
            )
        case IconState.OFFLINE:
            return f"{' and '.join(view.missed)} does not answer"
        case IconState.ATTENTION:
            return next(text for v in views if (text := _attention(v)))
        case IconState.PAUSED:
            return "Watching is paused"
        case IconState.IDLE:
            return _counted(views)


def line(view: View, news: News) -> str:
    """Return the news as a line for a terminal or the log; empty: not worth one."""
    match news:
        case ProjectAdded(agent_view, new=True):
            return f"{agent_view.name}: watching {agent_view.ref.directory}"
        case (
            Progressed(sandbox, text)
            | WorkFinished(sandbox, text)
            | WorkCrashed(sandbox, text)
            | AgentStopped(sandbox, text)
        ):
            known = view.sandboxes.get(sandbox)
            return f"{known.name}: {text}" if known else ""
        case EngineSilent(engine, why):
            return f"{engine.name}: {why}"
        case WatchDegraded(why):
            return why
        case Paused(paused):
            return "watching is paused" if paused else ""
        case ProjectAdded() | ProjectRemoved() | EngineObserved():
            return ""


def first_line(problem: Problem | None) -> str:
    """Return what is wrong in one line; where the first only leads to a log's end, with that."""
    if problem is None:
        return ""
    first, *rest = str(problem).splitlines() or [""]
    said = [line.strip() for line in rest if line.startswith("  ")]
    return f"{first} {said[-1]}" if said and first.endswith(":") else first


def turned(before: View, agent_view: AgentView, health: Health) -> bool:
    """Tell whether a sandbox that nobody works on got this health, and had another before."""
    old = before.sandboxes.get(agent_view.id)
    return (
        not agent_view.step and agent_view.health is health and not (old and old.health is health)
    )


def last_output(agent_view: AgentView) -> str:
    """Return how an agent ended and the last line it said."""
    said = [line.strip() for line in agent_view.condition.last_output if line.strip()]
    return ": ".join((f"{agent_view.agent} {agent_view.condition}", *said[-1:]))


def _attention(agent_view: AgentView) -> str:
    if problem := agent_view.trouble or agent_view.lack:
        return f"{agent_view.name}: {first_line(problem)}"
    return last_output(agent_view) if agent_view.health is Health.CRASHED else ""


def _kept(new: AgentView, old: AgentView | None) -> AgentView:
    """Keep what only work and the engine tell."""
    if old is None:
        return new
    seen = old.condition if old.health is not Health.UNKNOWN else new.condition
    kept = replace(new, condition=seen, step=old.step, trouble=old.trouble, lack=old.lack)
    return replace(kept, settled=old.settled)


def _seen(
    old: AgentView,
    before: View,
    engine: EngineChoice,
    conditions: Mapping[str, Mapping[str, Condition]],
) -> AgentView:
    if old.engine != engine:
        return old
    mine = conditions.get(old.ref.project.id, {})
    new = replace(old, condition=mine.get(old.agent, Condition(Health.ABSENT)))
    return replace(new, settled=new.settled and not _needs_look(before, new))


def _needs_look(before: View, now: AgentView) -> bool:
    """Tell whether an agent must be reconciled after its engine was observed."""
    return now.engine in before.silent or turned(before, now, Health.BROKEN)


def _counted(views: tuple[AgentView, ...]) -> str:
    agents = [agent_view for agent_view in views if agent_view.agent]
    running = sum(agent_view.health is Health.RUNNING for agent_view in agents)
    if not views:
        return "No project yet"
    if len(agents) == 1:
        return f"{agents[0].agent} is {agents[0].word}"
    return f"{running} of {len(agents)} sandboxes are running"


def _with(view: View, agent_view: AgentView) -> View:
    sandboxes = {**view.sandboxes, agent_view.id: agent_view}
    ordered = dict(sorted(sandboxes.items(), key=lambda item: (item[1].name, item[0])))
    return replace(view, sandboxes=ordered)
