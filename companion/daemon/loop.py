"""What keeps all known projects current? One loop that owns all state, one worker per subject."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from companion import files, log, observe, state_file
from companion.config import load
from companion.daemon import machine, worker
from companion.daemon.machine import Asked, Event, Finished, Order, State, Tick, Touched, Work
from companion.daemon.picture import (
    AgentView,
    Crashed,
    Ended,
    Forgotten,
    Known,
    News,
    Paused,
    Picture,
    ProjectView,
    Seen,
    fold,
    last_words,
    line,
    turned,
)
from companion.daemon.watch import Watch, steering
from companion.daemon.witness import Witness
from companion.errors import AlreadyRunningError, CompanionError
from companion.paths import Paths
from companion.state import Condition, EngineChoice, Health, Written

REGISTRY_INTERVAL = 2.0
"""Seconds between looks at the list of known projects."""
_ALL = "*"
_ENGINE = "engine:"


@contextmanager
def alone(home: Paths) -> Iterator[None]:
    """Be the one watcher of this user.

    Raises:
        AlreadyRunningError: another one is.
    """
    with files.lock(home.watch_lock, wait=False) as mine:
        if not mine:
            raise AlreadyRunningError("companion is running already", "use the one that runs")
        yield


@dataclass(slots=True)
class Loop:
    """The watcher of one user; `show` gets each piece of news, from the loop's thread only."""

    home: Paths
    show: Callable[[Picture, News], None]
    picture: Picture = field(default_factory=Picture)
    _inbox: "SimpleQueue[Event | News | None]" = field(default_factory=SimpleQueue)
    _state: State = field(default_factory=State)
    _engines: dict[str, tuple[EngineChoice, Witness]] = field(default_factory=dict)
    _settled: set[str] = field(default_factory=set)
    _registry: float = -1.0
    _watch: Watch = field(init=False)
    _log: logging.Logger = field(init=False)

    def run(self) -> None:
        """Watch until stopped or interrupted; to be run inside alone()."""
        self._log = log.to_file(self.home)
        self._watch = Watch(lambda key: self._inbox.put(Touched(key)))
        files.make_private_dir(self.home.pauses)
        self._watch.follow(_ALL, [self.home.paused])
        self._notice_pause()
        try:
            while self._turn():
                pass
        finally:
            self._watch.stop()
            for _, witness in self._engines.values():
                witness.stop()

    def ask(self, project: str, order: Order) -> None:
        """Have something done with a project; callable from any thread."""
        self._inbox.put(Asked(project, order))

    def stop(self) -> None:
        """End the loop; callable from any thread. Sandboxes keep running."""
        self._inbox.put(None)

    def _turn(self) -> bool:
        """Take one item, or the time that passed, and do what it means; False: it is the end."""
        self._look_at_registry()
        item = self._next()
        match item:
            case None:
                return False
            case Touched(subject) if subject == _ALL:
                self._notice_pause()
            case Touched() | Asked() | Finished() | Tick():
                self._step(item)
            case _:
                self._tell(item)
        self._step(Tick())
        return True

    def _next(self) -> Event | News | None:
        due = self._state.due
        patience = REGISTRY_INTERVAL if due is None else max(0.0, due - time.monotonic())
        try:
            return self._inbox.get(timeout=min(patience, REGISTRY_INTERVAL))
        except Empty:
            return Tick()

    def _step(self, event: Event) -> None:
        self._state, works = machine.step(self._state, event, time.monotonic())
        if isinstance(event, Finished) and event.subject in self.picture.projects:
            self._reread(event.subject)
        for work in works:
            threading.Thread(target=self._work, args=(work,), daemon=True).start()

    def _work(self, work: Work) -> None:
        """Carry out one order (runs in a worker)."""
        if work.subject.startswith(_ENGINE):
            choice, _ = self._engines[work.subject.removeprefix(_ENGINE)]
            self._inbox.put(worker.look_at(choice))
        elif view := self.picture.projects.get(work.subject):
            settled = work.subject in self._settled
            directory = Path(view.directory)
            ended = worker.carry_out(self.home, work, directory, self._inbox.put, settled=settled)
            self._inbox.put(ended)
        self._inbox.put(Finished(work.subject))

    def _tell(self, news: News) -> None:
        """Draw the news into the picture and show it."""
        before = self.picture
        self.picture = fold(self.picture, news)
        if text := line(self.picture, news):
            self._log.info(text)
        self.show(self.picture, news)
        match news:
            case Ended(project, settled=True):
                self._settled.add(project)
            case Seen(engine):
                for view in self.picture.projects.values():
                    returned = view.engine == engine and engine in before.silent
                    if returned or turned(before, view, Health.BROKEN):
                        self._settled.discard(view.id)
                        self._inbox.put(Touched(view.id))
                    for agent in turned(before, view, Health.CRASHED):
                        self._tell(Crashed(view.id, agent.name, last_words(agent)))
            case _:
                pass

    def _look_at_registry(self) -> None:
        """Take in projects that became known or were forgotten; the directory's time tells."""
        try:
            changed = self.home.projects.stat().st_mtime
        except FileNotFoundError:
            return
        if changed == self._registry:
            return
        self._registry = changed
        there = state_file.all_projects(self.home)
        for project_id in self.picture.projects.keys() - there.keys():
            self._watch.forget(project_id)
            self._tell(Forgotten(project_id))
        for project_id in there.keys() - self.picture.projects.keys():
            self._take_in(project_id, there[project_id], new=True)
            self._inbox.put(Touched(project_id))
        if len(there) < sum(path.is_dir() for path in self.home.projects.iterdir()):
            self._registry = -1.0  # one is just being made: its directory is there, its file is not

    def _reread(self, project_id: str) -> None:
        """Follow a project that steers by other files, or has other agents, than before."""
        written = state_file.all_projects(self.home).get(project_id)
        if written:
            self._take_in(project_id, written, new=False)

    def _take_in(self, project_id: str, written: Written, *, new: bool) -> None:
        directory = Path(written.directory)
        if not directory.is_dir():
            return
        project = observe.project(directory)
        text = files.read_text(project.config)
        place = self.home.project(project_id)
        self._watch.follow(project_id, (*steering(project, text), place.paused))
        view = ProjectView(
            id=project_id,
            directory=written.directory,
            agents=_agents(written, text),
            engine=written.engine.name if written.engine else "",
            paused=place.paused.exists(),
        )
        old = self.picture.projects.get(project_id)
        self._tell(Known(view, new))
        if written.engine:
            self._listen_to(written.engine)
            if old and (_names(old), old.engine) != (_names(view), view.engine):
                self._inbox.put(Touched(f"{_ENGINE}{view.engine}"))

    def _listen_to(self, choice: EngineChoice) -> None:
        subject = f"{_ENGINE}{choice.name}"
        if choice.name not in self._engines:
            witness = Witness(choice, lambda: self._inbox.put(Touched(subject)))
            self._engines[choice.name] = choice, witness
            witness.start()

    def _notice_pause(self) -> None:
        paused = self.home.paused.exists()
        if paused != self.picture.paused:
            self._tell(Paused(paused))
            for project_id in self.picture.projects:
                self._inbox.put(Touched(project_id))


def _names(view: ProjectView) -> tuple[str, ...]:
    return tuple(agent.name for agent in view.agents)


def _agents(written: Written, text: str | None) -> tuple[AgentView, ...]:
    """Return the agent that the config names, else those that were started."""
    try:
        names = [load.agent(text or "")[0].name]
    except CompanionError:
        names = list(written.agents)
    kept = {n: r.allocation for n, r in written.agents.items() if r.allocation.ssh_port}
    condition = Condition() if written.engine else Condition(Health.ABSENT)
    return tuple(AgentView(n, kept[n].alias if n in kept else "", condition) for n in names)
