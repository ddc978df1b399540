"""What is there to see, and what did news change about it? Values and one pure fold."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import PurePath

from companion.errors import Problem
from companion.state import Condition, Health


class Mood(StrEnum):
    """How everything together is: what the icon shows."""

    IDLE = "idle"
    WORKING = "working"
    ATTENTION = "attention"
    PAUSED = "paused"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent, and how it was when the engine was asked last."""

    name: str
    alias: str = ""
    """Its SSH alias; empty: it takes no logins, or was never started."""
    condition: Condition = field(default_factory=Condition)

    @property
    def health(self) -> Health:
        """How its sandbox is."""
        return self.condition.health

    @property
    def word(self) -> str:
        """Its state for people."""
        words = {Health.UNKNOWN: "…", Health.ABSENT: "stopped"}
        return words.get(self.health, str(self.condition))


@dataclass(frozen=True, slots=True)
class ProjectView:
    """One project that is known."""

    id: str
    directory: str
    agents: tuple[AgentView, ...] = ()
    engine: str = ""
    paused: bool = False
    step: str = ""
    """What is being done with it now; empty: nothing."""
    trouble: Problem | None = None
    """Why the last change did not work."""

    @property
    def name(self) -> str:
        """What people call it: the name of its directory."""
        return PurePath(self.directory).name


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that there is to see; projects by id."""

    projects: Mapping[str, ProjectView] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()
    """Engines that do not answer."""
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """A project became known, or what we remember of it changed."""

    view: ProjectView
    new: bool = False


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A project is not known any more."""

    project: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Watching was paused for all projects, or resumed."""

    paused: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """An engine answered: project → agent → condition; what is missing has no containers."""

    engine: str
    conditions: Mapping[str, Mapping[str, Condition]]


@dataclass(frozen=True, slots=True)
class Silent:
    """An engine does not answer."""

    engine: str
    why: str


@dataclass(frozen=True, slots=True)
class Step:
    """Work on a project goes on."""

    project: str
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Work on a project ended."""

    project: str
    text: str
    """The whole story in a sentence, or every problem, a line each."""
    trouble: Problem | None = None
    changed: bool = False
    """Containers, rules or keys are others than before."""
    settled: bool = False
    """The sandbox was seen to run as its files say."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """An agent was seen to have ended with a failure."""

    project: str
    agent: str
    text: str
    """How, and what it said last."""


News = Known | Forgotten | Paused | Seen | Silent | Step | Ended | Crashed


def fold(picture: Picture, news: News) -> Picture:
    """Return the picture after the news."""
    match news:
        case Known(view):
            return _with(picture, _kept(view, picture.projects.get(view.id)))
        case Forgotten(project):
            rest = {i: v for i, v in picture.projects.items() if i != project}
            return replace(picture, projects=rest)
        case Paused(paused):
            return replace(picture, paused=paused)
        case Seen(engine, conditions):
            views = (_seen(v, engine, conditions.get(i, {})) for i, v in picture.projects.items())
            projects = {view.id: view for view in views}
            return replace(picture, projects=projects, silent=picture.silent - {engine})
        case Crashed():
            return picture
        case Silent(engine):
            return replace(picture, silent=picture.silent | {engine})
        case Step(project, text):
            known = picture.projects.get(project)
            return _with(picture, replace(known, step=text)) if known else picture
        case Ended(project, _, trouble):
            known = picture.projects.get(project)
            return _with(picture, replace(known, step="", trouble=trouble)) if known else picture


def mood(picture: Picture) -> Mood:
    """Return what the icon shows."""
    views = picture.projects.values()
    if any(view.step for view in views):
        return Mood.WORKING
    if picture.silent:
        return Mood.OFFLINE
    if any(view.trouble or crashed(view) for view in views):
        return Mood.ATTENTION
    return Mood.PAUSED if picture.paused else Mood.IDLE


def headline(picture: Picture) -> str:
    """Return the one sentence that says how everything is."""
    views = tuple(picture.projects.values())
    match mood(picture):
        case Mood.WORKING:
            return next(f"{view.name}: {view.step}" for view in views if view.step)
        case Mood.OFFLINE:
            return f"{' and '.join(sorted(picture.silent))} does not answer"
        case Mood.ATTENTION:
            return next(text for v in views if (text := _attention(v)))
        case Mood.PAUSED:
            return "Watching is paused"
        case Mood.IDLE:
            return _counted(views)


def line(picture: Picture, news: News) -> str:
    """Return the news as a line for a terminal or the log; empty: not worth one."""
    match news:
        case Known(view, new=True):
            return f"{view.name}: watching {view.directory}"
        case Step(project, text) | Ended(project, text) | Crashed(project, _, text):
            known = picture.projects.get(project)
            return f"{known.name}: {text}" if known else ""
        case Silent(engine, why):
            return f"{engine}: {why}"
        case Paused(paused):
            return "watching is paused" if paused else ""
        case Known() | Forgotten() | Seen():
            return ""


def first_line(problem: Problem | None) -> str:
    """Return what is wrong in one line; where the first only leads to a log's end, with that."""
    if problem is None:
        return ""
    first, *rest = str(problem).splitlines() or [""]
    last = problem.what.splitlines()[-1].strip()
    return f"{first} {last}" if rest and first.endswith(":") else first


def turned(before: Picture, view: ProjectView, health: Health) -> tuple[AgentView, ...]:
    """Return the agents of a project nobody works on whose health was another before."""
    old = before.projects.get(view.id)
    was = {a.name for a in old.agents if a.health is health} if old else set()
    mine = (a for a in view.agents if a.health is health and a.name not in was)
    return () if view.step else tuple(mine)


def crashed(view: ProjectView) -> AgentView | None:
    """Return an agent of this project that ended with a failure."""
    return next((a for a in view.agents if a.health is Health.CRASHED), None)


def last_words(agent: AgentView) -> str:
    """Return how an agent ended and the last line it said."""
    said = [line.strip() for line in agent.condition.last_words if line.strip()]
    return ": ".join((f"{agent.name} {agent.condition}", *said[-1:]))


def _attention(view: ProjectView) -> str:
    if view.trouble:
        return f"{view.name}: {first_line(view.trouble)}"
    agent = crashed(view)
    return last_words(agent) if agent else ""


def _kept(new: ProjectView, old: ProjectView | None) -> ProjectView:
    """Keep what only work and the engine tell."""
    if old is None:
        return new
    seen = {a.name: a.condition for a in old.agents if a.health is not Health.UNKNOWN}
    agents = tuple(replace(a, condition=seen.get(a.name, a.condition)) for a in new.agents)
    return replace(new, agents=agents, step=old.step, trouble=old.trouble)


def _seen(view: ProjectView, engine: str, conditions: Mapping[str, Condition]) -> ProjectView:
    if view.engine != engine:
        return view
    gone = Condition(Health.ABSENT)
    agents = tuple(replace(a, condition=conditions.get(a.name, gone)) for a in view.agents)
    return replace(view, agents=agents)


def _counted(views: tuple[ProjectView, ...]) -> str:
    agents = [agent for view in views for agent in view.agents]
    running = sum(agent.health is Health.RUNNING for agent in agents)
    if not views:
        return "No project yet"
    if len(agents) == 1:
        return f"{agents[0].name} is {agents[0].word}"
    return f"{running} of {len(agents)} sandboxes are running"


def _with(picture: Picture, view: ProjectView) -> Picture:
    projects = {**picture.projects, view.id: view}
    ordered = dict(sorted(projects.items(), key=lambda item: (item[1].name, item[0])))
    return replace(picture, projects=ordered)
