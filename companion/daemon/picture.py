"""What is there to see, and what did news change about it? Values and one pure fold."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import PurePath

from companion.errors import Problem


class Mood(StrEnum):
    """How everything together is: what the icon shows."""

    IDLE = "idle"
    WORKING = "working"
    ATTENTION = "attention"
    PAUSED = "paused"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent; `state` is a word of status.py, or empty until the engine was asked."""

    name: str
    alias: str = ""
    """Its SSH alias; empty: it takes no logins, or was never started."""
    state: str = ""

    @property
    def word(self) -> str:
        """Its state for people."""
        words = {"": "…", "absent": "stopped", "partial": "partly running"}
        return words.get(self.state, self.state)


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
    """An engine answered: project → agent → state; what is missing has no containers."""

    engine: str
    states: Mapping[str, Mapping[str, str]]


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


News = Known | Forgotten | Paused | Seen | Silent | Step | Ended


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
        case Seen(engine, states):
            views = (_seen(v, engine, states.get(i, {})) for i, v in picture.projects.items())
            projects = {view.id: view for view in views}
            return replace(picture, projects=projects, silent=picture.silent - {engine})
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
    if any(view.trouble for view in views):
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
            return next(f"{v.name}: {first_line(v.trouble)}" for v in views if v.trouble)
        case Mood.PAUSED:
            return "Watching is paused"
        case Mood.IDLE:
            return _counted(views)


def line(picture: Picture, news: News) -> str:
    """Return the news as a line for a terminal or the log; empty: not worth one."""
    match news:
        case Known(view, new=True):
            return f"{view.name}: watching {view.directory}"
        case Step(project, text) | Ended(project, text):
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


def _kept(new: ProjectView, old: ProjectView | None) -> ProjectView:
    """Keep what only work and the engine tell."""
    if old is None:
        return new
    states = {agent.name: agent.state for agent in old.agents}
    agents = tuple(replace(a, state=states.get(a.name) or a.state) for a in new.agents)
    return replace(new, agents=agents, step=old.step, trouble=old.trouble)


def _seen(view: ProjectView, engine: str, states: Mapping[str, str]) -> ProjectView:
    if view.engine != engine:
        return view
    agents = tuple(replace(a, state=states.get(a.name, "absent")) for a in view.agents)
    return replace(view, agents=agents)


def _counted(views: tuple[ProjectView, ...]) -> str:
    agents = [agent for view in views for agent in view.agents]
    running = sum(agent.state == "running" for agent in agents)
    if not views:
        return "No project yet"
    if len(agents) == 1:
        return f"{agents[0].name} is {agents[0].word}"
    return f"{running} of {len(agents)} sandboxes are running"


def _with(picture: Picture, view: ProjectView) -> Picture:
    projects = {**picture.projects, view.id: view}
    ordered = dict(sorted(projects.items(), key=lambda item: (item[1].name, item[0])))
    return replace(picture, projects=ordered)
