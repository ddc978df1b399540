"""What keeps all known projects current? One loop that owns all state, one worker per subject."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from companion.daemon import scheduler, worker
from companion.daemon.file_watcher import Watch, first_start, steering
from companion.daemon.scheduler import Asked, Event, Finished, Order, State, Tick, Touched, Work
from companion.daemon.timers import Alarms
from companion.daemon.view import (
    Crashed,
    Ended,
    Forgotten,
    Hindered,
    Known,
    News,
    Paused,
    Picture,
    SandboxView,
    Seen,
    Silent,
    fold,
    last_words,
    line,
    turned,
)
from companion.engine.events import Witness
from companion.engine.model import Condition, EngineChoice, Health
from companion.errors import AlreadyRunningError, CompanionError, Problem
from companion.oauth import grant_store, grants
from companion.project import inventory, store
from companion.project.model import Project, Seat
from companion.reconcile import teardown
from companion.system import files, log
from companion.system.paths import Paths

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
    _alarms: Alarms = field(default_factory=Alarms)
    _registry: float = -1.0
    _watch: Watch = field(init=False)
    _log: logging.Logger = field(init=False)

    def run(self) -> None:
        """Watch until stopped or interrupted; to be run inside alone()."""
        self._log = log.to_file(self.home)
        self._watch = Watch(
            lambda key: self._inbox.put(Touched(key)), lambda why: self._inbox.put(Hindered(why))
        )
        files.make_private_dir(self.home.pauses)
        files.make_private_dir(self.home.all_grants)
        self._watch.follow(_ALL, [self.home.paused])
        self._notice_pause()
        try:
            while self._turn():
                pass
        finally:
            self._watch.stop()
            for _, witness in self._engines.values():
                witness.stop()

    def ask(self, sandbox: str, order: Order) -> None:
        """Have something done with a sandbox; callable from any thread."""
        self._inbox.put(Asked(sandbox, order))

    def stop(self) -> None:
        """End the loop; callable from any thread. Sandboxes keep running."""
        self._inbox.put(None)

    def _turn(self) -> bool:
        """Take one item, or the time that passed, and do what it means; False: it is the end."""
        self._look_at_registry()
        self._look_at_grants()
        item = self._next()
        match item:
            case None:
                return False
            case Touched(subject) if subject == _ALL:
                self._notice_pause()
            case Touched() | Asked() | Finished() | Tick():
                self._leave_off(item)
                self._step(item)
            case _:
                self._tell(item)
        self._step(Tick())
        return True

    def _leave_off(self, event: Event) -> None:
        """A stop waits for the work under way: that shall not begin or go on with a build."""
        view = self.picture.sandboxes.get(event.subject) if isinstance(event, Asked) else None
        if view and event == Asked(view.id, Order.STOP):
            teardown.leave_off(self.home.project(view.seat.project.id).agent(view.agent))

    def _next(self) -> Event | News | None:
        due = self._state.due
        patience = REGISTRY_INTERVAL if due is None else max(0.0, due - time.monotonic())
        try:
            return self._inbox.get(timeout=min(patience, REGISTRY_INTERVAL))
        except Empty:
            return Tick()

    def _step(self, event: Event) -> None:
        self._state, works = scheduler.step(self._state, event, time.monotonic())
        if isinstance(event, Finished) and (view := self.picture.sandboxes.get(event.subject)):
            self._take_in(view.seat.project, again=view.id)
        if any(not work.subject.startswith(_ENGINE) for work in works):
            self._watch.look_again()  # before the files are read: what comes later is seen
        for work in works:
            threading.Thread(target=self._work, args=(work,), daemon=True).start()

    def _work(self, work: Work) -> None:
        """Carry out one order (runs in a worker)."""
        try:
            if work.subject.startswith(_ENGINE):
                choice, _ = self._engines[work.subject]
                self._inbox.put(worker.look_at(choice))
            elif view := self.picture.sandboxes.get(work.subject):
                settled = work.subject in self._settled
                ended = worker.carry_out(self.home, work, view, self._inbox.put, settled=settled)
                self._inbox.put(ended)
        finally:
            self._inbox.put(Finished(work.subject))

    def _tell(self, news: News) -> None:
        """Draw the news into the picture and show it; that an engine is still silent is none."""
        before = self.picture
        if isinstance(news, Silent) and news.engine in before.silent:
            return
        self.picture = fold(self.picture, news)
        if text := line(self.picture, news):
            self._log.info(text)
        self.show(self.picture, news)
        match news:
            case Ended(sandbox, settled=True):
                self._settled.add(sandbox)
            case Seen(engine):
                for view in tuple(self.picture.sandboxes.values()):
                    returned = view.engine == engine and engine in before.silent
                    if returned or turned(before, view, Health.BROKEN):
                        self._settled.discard(view.id)
                        self._inbox.put(Touched(view.id))
                    if turned(before, view, Health.CRASHED):
                        self._tell(Crashed(view.id, last_words(view)))
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
        there = store.directories(self.home)
        for view in tuple(self.picture.sandboxes.values()):
            if view.seat.project.id not in there:
                self._forget(view.id)
        known = {view.seat.project.id for view in self.picture.sandboxes.values()}
        for project_id in there.keys() - known:
            self._take_in(Project(there[project_id], project_id))
        if len(there) < sum(path.is_dir() for path in self.home.projects.iterdir()):
            self._registry = -1.0  # one is just being made: its directory is there, its file is not

    def _look_at_grants(self) -> None:
        """Look again at each sandbox with a token that must be renewed now.

        One in trouble is left alone: to look would be to try again what did not work.
        """
        for key in self._alarms.due(time.time()):
            view = self.picture.sandboxes.get(key)
            if view and not view.trouble:
                self._alarms.ring(key)
                self._inbox.put(Touched(key))

    def _take_in(self, project: Project, again: str = "") -> None:
        """Know which agents a project has now; look anew at what is new, and at one `again`."""
        if not files.is_directory(project.directory):
            return
        before = self.picture.sandboxes
        seats = inventory.sitting(self.home, project)
        mine = {view.id for view in before.values() if view.seat.project == project}
        for key in mine - {seat.key for seat in seats}:
            self._forget(key)
        for seat in seats:
            if seat.key not in before:
                self._inbox.put(Touched(seat.key))
            if seat.key not in before or seat.key == again:
                self._seat(seat)

    def _seat(self, seat: Seat) -> None:
        """Take in one agent of a project; that it cannot be is its problem and no other's."""
        try:
            self._look_at_seat(seat)
        except (CompanionError, OSError) as error:
            self._wait_at(seat, error)

    def _look_at_seat(self, seat: Seat) -> None:
        """Take in what is remembered of an agent, and follow what steers it now."""
        place = self.home.project(seat.project.id)
        agent = inventory.agent_at(self.home, seat)
        steered = (*steering(seat), place.paused)
        self._watch.follow(seat.key, (*steered, first_start(place.agent(agent))))
        record = store.read(place.agent(agent)) if agent else None
        if record and record.engine:
            granted = (self.home.grants(seat.project.id),) if record.grants else ()
            self._watch.follow(seat.key, (*steered, *granted))
            self._alarms.set(seat.key, self._next_due(seat, record.grants))
        old = self.picture.sandboxes.get(seat.key)
        view = SandboxView(
            seat=seat,
            agent=agent,
            alias=record.allocation.alias if record and record.allocation.ssh_port else "",
            engine=record.engine if record else None,
            paused=place.paused.exists(),
            condition=Condition() if record and record.engine else Condition(Health.ABSENT),
        )
        self._tell(Known(view, new=old is None))
        if record and record.engine:
            engine = self._listen_to(record.engine)
            if old and (old.agent, old.engine) != (view.agent, view.engine):
                self._inbox.put(Touched(engine))
                if seat.key not in self._settled:
                    self._inbox.put(Touched(seat.key))

    def _wait_at(self, seat: Seat, error: CompanionError | OSError) -> None:
        """Show an agent that cannot be taken in; of a new one, the look to come tells why."""
        place = self.home.project(seat.project.id)
        records = place.root.glob("*/agent.json")
        self._watch.follow(seat.key, (*steering(seat), place.paused, *records))
        known = self.picture.sandboxes.get(seat.key)
        problem = error.problems[0] if isinstance(error, CompanionError) else Problem(str(error))
        if known is None:
            self._tell(Known(SandboxView(seat), new=True))
        elif known.trouble != problem:
            self._tell(Ended(seat.key, str(problem), problem))

    def _next_due(self, seat: Seat, keys: tuple[str, ...]) -> float:
        """Return when a token must be renewed; that a file is damaged is for reconcile() to say."""
        if not keys:
            return math.inf
        with suppress(CompanionError):
            return grants.next_due(grant_store.read(self.home, seat.project.id), keys)
        return math.inf

    def _forget(self, key: str) -> None:
        self._watch.forget(key)
        self._alarms.forget(key)
        self._settled.discard(key)
        self._tell(Forgotten(key))

    def _listen_to(self, choice: EngineChoice) -> str:
        """Hear of an engine from now on; returns its subject, which says at which endpoint."""
        subject = f"{_ENGINE}{choice}"
        if subject not in self._engines:
            witness = Witness(choice, lambda: self._inbox.put(Touched(subject)))
            self._engines[subject] = choice, witness
            witness.start()
        return subject

    def _notice_pause(self) -> None:
        paused = self.home.paused.exists()
        if paused != self.picture.paused:
            self._tell(Paused(paused))
            for key in self.picture.sandboxes:
                self._inbox.put(Touched(key))
