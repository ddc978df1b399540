"""What is there to see, and what did news change about it? Values and one pure fold."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from companion.engine.model import Condition, EngineChoice, Health
from companion.errors import Problem
from companion.project.model import Seat


class Mood(StrEnum):
    """How everything together is: what the icon shows."""

    IDLE = "idle"
    WORKING = "working"
    ATTENTION = "attention"
    PAUSED = "paused"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class SandboxView:
    """One agent's sandbox, as far as we know it."""

    seat: Seat
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

    @property
    def id(self) -> str:
        """What tells it from all others."""
        return self.seat.key

    @property
    def name(self) -> str:
        """What people call the place where it is configured."""
        return self.seat.name

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
class Picture:
    """Everything that there is to see; sandboxes by id."""

    sandboxes: Mapping[str, SandboxView] = field(default_factory=dict)
    silent: frozenset[EngineChoice] = frozenset()
    """Engines that do not answer."""
    paused: bool = False

    @property
    def missed(self) -> tuple[str, ...]:
        """The names of engines that do not answer and have a sandbox that is known."""
        used = {view.engine for view in self.sandboxes.values()}
        return tuple(sorted({engine.name for engine in self.silent & used}))


@dataclass(frozen=True, slots=True)
class Known:
    """A sandbox became known, or what we remember of it changed."""

    view: SandboxView
    new: bool = False


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A sandbox is not known any more."""

    sandbox: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Watching was paused for all projects, or resumed."""

    paused: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """An engine answered: project → agent → condition; what is missing has no containers."""

    engine: EngineChoice
    conditions: Mapping[str, Mapping[str, Condition]]


@dataclass(frozen=True, slots=True)
class Silent:
    """An engine does not answer."""

    engine: EngineChoice
    why: str


@dataclass(frozen=True, slots=True)
class Step:
    """Work on a sandbox goes on."""

    sandbox: str
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
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
class Crashed:
    """An agent was seen to have ended with a failure."""

    sandbox: str
    text: str
    """Who, how, and what it said last."""


@dataclass(frozen=True, slots=True)
class Hindered:
    """The watcher cannot do its work as it should; it goes on all the same."""

    why: str


News = Known | Forgotten | Paused | Seen | Silent | Step | Ended | Crashed | Hindered


def fold(picture: Picture, news: News) -> Picture:
    """Return the picture after the news."""
    match news:
        case Known(view):
            return _with(picture, _kept(view, picture.sandboxes.get(view.id)))
        case Forgotten(sandbox):
            rest = {i: v for i, v in picture.sandboxes.items() if i != sandbox}
            return replace(picture, sandboxes=rest)
        case Paused(paused):
            return replace(picture, paused=paused)
        case Seen(engine, conditions):
            views = (_seen(view, engine, conditions) for view in picture.sandboxes.values())
            sandboxes = {view.id: view for view in views}
            return replace(picture, sandboxes=sandboxes, silent=picture.silent - {engine})
        case Crashed() | Hindered():
            return picture
        case Silent(engine):
            return replace(picture, silent=picture.silent | {engine})
        case Step(sandbox, text):
            known = picture.sandboxes.get(sandbox)
            return _with(picture, replace(known, step=text)) if known else picture
        case Ended(sandbox, _, trouble, lack):
            known = picture.sandboxes.get(sandbox)
            if known is None:
                return picture
            return _with(picture, replace(known, step="", trouble=trouble, lack=lack))


def mood(picture: Picture) -> Mood:
    """Return what the icon shows."""
    views = picture.sandboxes.values()
    if any(view.step for view in views):
        return Mood.WORKING
    if picture.missed:
        return Mood.OFFLINE
    if any(_attention(view) for view in views):
        return Mood.ATTENTION
    return Mood.PAUSED if picture.paused else Mood.IDLE


def headline(picture: Picture) -> str:
    """Return the one sentence that says how everything is."""
    views = tuple(picture.sandboxes.values())
    match mood(picture):
        case Mood.WORKING:
            return next(f"{view.name}: {view.step}" for view in views if view.step)
        case Mood.OFFLINE:
            return f"{' and '.join(picture.missed)} does not answer"
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
            return f"{view.name}: watching {view.seat.directory}"
        case Step(sandbox, text) | Ended(sandbox, text) | Crashed(sandbox, text):
            known = picture.sandboxes.get(sandbox)
            return f"{known.name}: {text}" if known else ""
        case Silent(engine, why):
            return f"{engine.name}: {why}"
        case Hindered(why):
            return why
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


def turned(before: Picture, view: SandboxView, health: Health) -> bool:
    """Tell whether a sandbox that nobody works on got this health, and had another before."""
    old = before.sandboxes.get(view.id)
    return not view.step and view.health is health and not (old and old.health is health)


def last_words(view: SandboxView) -> str:
    """Return how an agent ended and the last line it said."""
    said = [line.strip() for line in view.condition.last_words if line.strip()]
    return ": ".join((f"{view.agent} {view.condition}", *said[-1:]))


def _attention(view: SandboxView) -> str:
    if problem := view.trouble or view.lack:
        return f"{view.name}: {first_line(problem)}"
    return last_words(view) if view.health is Health.CRASHED else ""


def _kept(new: SandboxView, old: SandboxView | None) -> SandboxView:
    """Keep what only work and the engine tell."""
    if old is None:
        return new
    seen = old.condition if old.health is not Health.UNKNOWN else new.condition
    return replace(new, condition=seen, step=old.step, trouble=old.trouble, lack=old.lack)


def _seen(
    view: SandboxView, engine: EngineChoice, conditions: Mapping[str, Mapping[str, Condition]]
) -> SandboxView:
    if view.engine != engine:
        return view
    mine = conditions.get(view.seat.project.id, {})
    return replace(view, condition=mine.get(view.agent, Condition(Health.ABSENT)))


def _counted(views: tuple[SandboxView, ...]) -> str:
    agents = [view for view in views if view.agent]
    running = sum(view.health is Health.RUNNING for view in agents)
    if not views:
        return "No project yet"
    if len(agents) == 1:
        return f"{agents[0].agent} is {agents[0].word}"
    return f"{running} of {len(agents)} sandboxes are running"


def _with(picture: Picture, view: SandboxView) -> Picture:
    sandboxes = {**picture.sandboxes, view.id: view}
    ordered = dict(sorted(sandboxes.items(), key=lambda item: (item[1].name, item[0])))
    return replace(picture, sandboxes=ordered)
