"""The loop that keeps all registered projects current: it owns all state, workers do the work."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeAlias

from companion.daemon import event_store, scheduler, worker
from companion.daemon.file_watcher import Watch
from companion.daemon.following import BROUGHT, INTERVAL, Following, is_brought
from companion.daemon.listener import Listener
from companion.daemon.news import (
    AttentionChanged,
    EngineObserved,
    ExposureChanged,
    HostRefused,
    HostSettled,
    News,
    Paused,
    ProjectAdded,
    ProjectRemoved,
    WatchDegraded,
    fold,
    has_ended,
    is_known,
    reactions,
)
from companion.daemon.scheduler import (
    Asked,
    Event,
    Finished,
    Order,
    State,
    Subject,
    Tick,
    Touched,
    Work,
)
from companion.daemon.threads import Threads
from companion.daemon.view import AgentView, View
from companion.daemon.wording import event, line
from companion.engine.events import EngineEvents
from companion.engine.model import Choice
from companion.errors import AlreadyRunningError
from companion.reconcile import teardown
from companion.system import files, locks, log, process, renewal
from companion.system.paths import Paths
from companion.system.renewal import Fate, Renewal
from companion.traffic.attention import Heard
from companion.traffic.log import Passage

_PATIENCE = 3.0
"""Seconds that work under way gets to reach its next step at the end; the next run repairs it."""
_PAUSE = "*"
"""The file watcher's key for the file that pauses all projects."""


class PauseTouched:
    """Watching may have been paused for all projects, or resumed."""


class BroughtTouched:
    """Something that settings.yaml brings into all sandboxes may have changed."""


_Item: TypeAlias = Event | News | PauseTouched | BroughtTouched | None


@contextmanager
def alone(home: Paths) -> Iterator[None]:
    """Hold the lock of this user's only watcher.

    Raises:
        AlreadyRunningError: another one is.
    """
    with locks.attempt(home.watch_lock) as mine:
        if not mine:
            raise AlreadyRunningError("companion is running already", "use the one that runs")
        yield


@dataclass(slots=True)
class Loop:
    """The watcher of one user; `show` is called for all news, from the loop's thread only."""

    home: Paths
    show: Callable[[View, News], None]
    view: View = field(default_factory=View)
    fate: Fate = Fate.SAME
    """Why it ended by itself: the program was replaced by another version, or removed."""
    _renewal: Renewal = field(default_factory=renewal.of_this)
    _inbox: "SimpleQueue[_Item]" = field(default_factory=SimpleQueue)
    _state: State = field(default_factory=State)
    _engines: dict[Choice, EngineEvents] = field(default_factory=dict)
    _threads: Threads = field(default_factory=Threads)
    _watch: Watch = field(init=False)
    _following: Following = field(init=False)
    _listener: Listener = field(init=False)
    _log: logging.Logger = field(init=False)

    def run(self) -> None:
        """Watch until stopped, interrupted or replaced (`fate`); to be run inside alone()."""
        self._log = log.to_file(self.home)
        self.view = replace(self.view, events=event_store.read(self.home))
        self._watch = Watch(self._touched, lambda why: self._inbox.put(WatchDegraded(why)))
        self._listener = Listener(self._hear, self._attend)
        self._following = Following(
            self.home,
            self._watch,
            self._listener,
            lambda: self.view,
            self._inbox.put,
            self._tell,
            lambda changed: self._threads.begin(self._expose, changed),
        )
        self._threads.begin(self._listener.run)
        files.make_private_dir(self.home.pauses)
        files.make_private_dir(self.home.all_grants)
        files.make_private_dir(self.home.all_trust)
        files.make_private_dir(self.home.all_secrets)
        self._watch.follow(_PAUSE, [self.home.paused])
        self._notice_pause()
        try:
            while self._turn():
                pass
        finally:
            for events in self._engines.values():
                events.stop()
            self._watch.stop()
            self._listener.stop()
            process.end_builds()  # they would go on without the lock
            self._threads.end(_PATIENCE)

    def ask(self, sandbox: str, order: Order) -> None:
        """Order work on a sandbox; callable from any thread."""
        self._inbox.put(Asked(sandbox, order))

    def settle(self, sandbox: str, host: str, *, ignored: bool = False) -> None:
        """Show a refused host no longer; callable from any thread."""
        self._inbox.put(HostSettled(sandbox, host, ignored))

    def stop(self) -> None:
        """End the loop; callable from any thread. Sandboxes keep running."""
        self._inbox.put(None)

    def _turn(self) -> bool:
        """Process one item of the inbox, or the passing of time; return False at the end."""
        self._following.look()
        item = self._next()
        match item:
            case None:
                return False
            case PauseTouched():
                self._notice_pause()
            case BroughtTouched():
                for key in self._following.started:
                    self._step(Touched(key))
            case Touched() | Asked() | Finished() | Tick():
                self._request_stop(item)
                self._step(item)
            case _:
                self._tell(item)
        self._step(Tick())
        if self._state.is_idle:
            self.fate = self._renewal.fate(time.monotonic())
        return self.fate is Fate.SAME

    def _request_stop(self, event: Event) -> None:
        """Ask work under way to stop: a stop waits for it, so it must not build any more."""
        agent_view = self._agent(event.subject) if isinstance(event, Asked) else None
        if agent_view and event == Asked(agent_view.id, Order.STOP):
            teardown.request_stop(
                self.home.project(agent_view.ref.project.id).agent(agent_view.agent)
            )

    def _next(self) -> _Item:
        due = self._state.due
        patience = INTERVAL if due is None else max(0.0, due - time.monotonic())
        try:
            return self._inbox.get(timeout=min(patience, INTERVAL))
        except Empty:
            return Tick()

    def _step(self, event: Event) -> None:
        self._state, works = scheduler.step(self._state, event, time.monotonic())
        if isinstance(event, Finished) and (agent_view := self._agent(event.subject)):
            self._following.take_in(agent_view.ref.project, again=agent_view.id)
        if any(not isinstance(work.subject, Choice) for work in works):
            self._watch.look_again()  # before the files are read: what comes later is seen
        for work in works:
            self._threads.begin(self._work, work)

    def _work(self, work: Work) -> None:
        """Carry out one order (runs in a worker)."""
        try:
            if isinstance(work.subject, Choice):
                self._inbox.put(worker.observe(self.home, work.subject))
            elif agent_view := self._agent(work.subject):
                self._inbox.put(worker.carry_out(self.home, work, agent_view, self._report))
        finally:
            self._inbox.put(Finished(work.subject))

    def _touched(self, key: str, path: str) -> None:
        """Record an event on a file that is followed (runs in the file watcher's thread)."""
        if key == _PAUSE:
            self._inbox.put(PauseTouched())
        elif key != BROUGHT:
            self._inbox.put(Touched(key))
        elif is_brought(self.home, path):
            self._inbox.put(BroughtTouched())

    def _hear(self, sandbox: str, passage: Passage) -> None:
        """Record a refusal or passage that a gateway logged (runs in the listener's thread)."""
        if passage.was_refused:
            self._inbox.put(HostRefused(sandbox, passage.host, time.monotonic()))
        else:
            self._inbox.put(HostSettled(sandbox, passage.host))

    def _attend(self, sandbox: str, known: Heard) -> None:
        """Record the state of an agent's work (runs in the listener's thread)."""
        if agent_view := self._agent(sandbox):
            worker.remember(self.home, agent_view, known)
        self._inbox.put(AttentionChanged(sandbox, known.attention, known.at))

    def _recall(self, began: list[AgentView]) -> None:
        """Find out what agents said before they were seen (runs in a thread of its own)."""
        for agent_view in began:
            self._threads.interrupt_if_ending()
            self._listener.recall(agent_view.id, worker.recalled(self.home, agent_view))

    def _expose(self, changed: tuple[AgentView, ...]) -> None:
        """Find out what of a repository agents can change (runs in a thread of its own)."""
        for agent_view in changed:
            self._threads.interrupt_if_ending()
            self._inbox.put(worker.exposure(self.home, agent_view))

    def _report(self, news: News) -> None:
        """Report progress from a worker, and end its work there if the loop ends."""
        self._threads.interrupt_if_ending()
        self._inbox.put(news)

    def _tell(self, news: News) -> None:
        """Fold news into the view and show both, unless all is as it was."""
        before = self.view
        if isinstance(news, ExposureChanged):
            self._following.exposed(news)
        if is_known(before, news):
            return
        self.view = fold(self.view, news)
        if text := line(self.view, news):
            self._log.info(text)
        self._remember(news)
        self.show(self.view, news)
        if isinstance(news, EngineObserved):
            self._follow_attention(before)
        for reaction in reactions(before, self.view, news):
            if isinstance(reaction, Touched):
                self._inbox.put(reaction)
            else:
                self._tell(reaction)
        if isinstance(news, ProjectAdded | ProjectRemoved):
            self._follow_engines()

    def _remember(self, news: News) -> None:
        """Keep what deserves it among the last events, also for the next start."""
        if happened := event(self.view, news, time.time()):
            self.view = replace(self.view, events=self.view.events.after(happened))
            event_store.write(self.home, self.view.events)

    def _follow_attention(self, before: View) -> None:
        """Forget what ended agents said, and find out what those that run said before."""
        both = [(old, self.view.sandboxes[key]) for key, old in before.sandboxes.items()]
        for old, new in both:
            if has_ended(old, new):
                self._listener.reset(new.id)
        began = [new for old, new in both if new.condition.pid not in {0, old.condition.pid}]
        if began:
            self._threads.begin(self._recall, began)

    def _agent(self, subject: Subject) -> AgentView | None:
        return self.view.sandboxes.get(subject) if isinstance(subject, str) else None

    def _follow_engines(self) -> None:
        """Listen to exactly the engines that have an agent."""
        used = {v.engine for v in self.view.sandboxes.values() if v.engine}
        for choice in self._engines.keys() - used:
            self._engines.pop(choice).stop()
        for choice in used - self._engines.keys():
            events = EngineEvents(choice, partial(self._inbox.put, Touched(choice)))
            self._engines[choice] = events
            self._threads.begin(events.listen)
            self._threads.begin(events.poll)

    def _notice_pause(self) -> None:
        try:
            paused = self.home.paused.exists()
        except OSError:  # the system does not tell: it stays as it is
            return
        if paused != self.view.paused:
            self._tell(Paused(paused))
            for key in self.view.sandboxes:
                self._inbox.put(Touched(key))
