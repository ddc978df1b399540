"""The loop that keeps all registered projects current: it owns all state, workers do the work."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from companion.daemon import scheduler, worker
from companion.daemon.file_watcher import Watch, first_start, steering
from companion.daemon.news import (
    EngineSilent,
    News,
    Paused,
    ProjectAdded,
    ProjectRemoved,
    WatchDegraded,
    WorkFinished,
    fold,
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
from companion.daemon.timers import Timers
from companion.daemon.view import AgentView, View
from companion.daemon.wording import line
from companion.engine.events import EngineEvents
from companion.engine.model import Condition, EngineChoice, Health
from companion.errors import AlreadyRunningError, Code, CompanionError, Problem
from companion.oauth import grant_store, grants
from companion.project import inventory, store
from companion.project.model import AgentRef, Project
from companion.reconcile import teardown
from companion.system import files, locks, log, process
from companion.system.paths import Paths

REGISTRY_INTERVAL = 2.0
"""Seconds between checks for registered and removed projects."""
_PATIENCE = 3.0
"""Seconds that work under way gets to reach its next step at the end; the next run repairs it."""
_PAUSE = "*"
"""The file watcher's key for the file that pauses all projects."""


class PauseTouched:
    """Watching may have been paused for all projects, or resumed."""


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
    _inbox: "SimpleQueue[Event | News | PauseTouched | None]" = field(default_factory=SimpleQueue)
    _state: State = field(default_factory=State)
    _engines: dict[EngineChoice, EngineEvents] = field(default_factory=dict)
    _timers: Timers = field(default_factory=Timers)
    _threads: Threads = field(default_factory=Threads)
    _registry: float = -1.0
    _looked: float = 0.0
    """When directories were last compared, on the monotonic clock."""
    _unregistered: tuple[Path, ...] = ()
    """Directories of projects whose first `up` is under way, or failed."""
    _watch: Watch = field(init=False)
    _log: logging.Logger = field(init=False)

    def run(self) -> None:
        """Watch until stopped or interrupted; to be run inside alone()."""
        self._log = log.to_file(self.home)
        self._watch = Watch(
            lambda key: self._inbox.put(PauseTouched() if key == _PAUSE else Touched(key)),
            lambda why: self._inbox.put(WatchDegraded(why)),
        )
        files.make_private_dir(self.home.pauses)
        files.make_private_dir(self.home.all_grants)
        files.make_private_dir(self.home.all_trust)
        self._watch.follow(_PAUSE, [self.home.paused])
        self._notice_pause()
        try:
            while self._turn():
                pass
        finally:
            for events in self._engines.values():
                events.stop()
            self._watch.stop()
            process.end_builds()  # they would go on without the lock
            self._threads.end(_PATIENCE)

    def ask(self, sandbox: str, order: Order) -> None:
        """Order work on a sandbox; callable from any thread."""
        self._inbox.put(Asked(sandbox, order))

    def stop(self) -> None:
        """End the loop; callable from any thread. Sandboxes keep running."""
        self._inbox.put(None)

    def _turn(self) -> bool:
        """Process one item of the inbox, or the passing of time; return False at the end."""
        self._look_at_registry()
        self._look_at_grants()
        self._look_at_directories()
        item = self._next()
        match item:
            case None:
                return False
            case PauseTouched():
                self._notice_pause()
            case Touched() | Asked() | Finished() | Tick():
                self._request_stop(item)
                self._step(item)
            case _:
                self._tell(item)
        self._step(Tick())
        return True

    def _request_stop(self, event: Event) -> None:
        """Ask work under way to stop: a stop waits for it, so it must not build any more."""
        agent_view = self._agent(event.subject) if isinstance(event, Asked) else None
        if agent_view and event == Asked(agent_view.id, Order.STOP):
            teardown.request_stop(
                self.home.project(agent_view.ref.project.id).agent(agent_view.agent)
            )

    def _next(self) -> Event | News | PauseTouched | None:
        due = self._state.due
        patience = REGISTRY_INTERVAL if due is None else max(0.0, due - time.monotonic())
        try:
            return self._inbox.get(timeout=min(patience, REGISTRY_INTERVAL))
        except Empty:
            return Tick()

    def _step(self, event: Event) -> None:
        self._state, works = scheduler.step(self._state, event, time.monotonic())
        if isinstance(event, Finished) and (agent_view := self._agent(event.subject)):
            self._take_in(agent_view.ref.project, again=agent_view.id)
        if any(not isinstance(work.subject, EngineChoice) for work in works):
            self._watch.look_again()  # before the files are read: what comes later is seen
        for work in works:
            self._threads.begin(self._work, work)

    def _work(self, work: Work) -> None:
        """Carry out one order (runs in a worker)."""
        try:
            if isinstance(work.subject, EngineChoice):
                self._inbox.put(worker.observe(work.subject))
            elif agent_view := self._agent(work.subject):
                self._inbox.put(worker.carry_out(self.home, work, agent_view, self._report))
        finally:
            self._inbox.put(Finished(work.subject))

    def _report(self, news: News) -> None:
        """Report progress from a worker, and end its work there if the loop ends."""
        self._threads.interrupt_if_ending()
        self._inbox.put(news)

    def _tell(self, news: News) -> None:
        """Fold news into the view and show both, unless an engine is merely still silent."""
        before = self.view
        if isinstance(news, EngineSilent) and news.engine in before.silent:
            return
        self.view = fold(self.view, news)
        if text := line(self.view, news):
            self._log.info(text)
        self.show(self.view, news)
        for reaction in reactions(before, self.view, news):
            if isinstance(reaction, Touched):
                self._inbox.put(reaction)
            else:
                self._tell(reaction)
        if isinstance(news, ProjectAdded | ProjectRemoved):
            self._follow_engines()

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

    def _look_at_registry(self) -> None:
        """Add projects that were registered and drop those that were removed."""
        try:
            changed = self.home.projects.stat().st_mtime
        except FileNotFoundError:
            return
        if changed == self._registry and not any(map(store.is_registered, self._unregistered)):
            return
        self._registry = changed
        self._unregistered = store.unregistered(self.home)  # first: what registers now is seen
        there = store.directories(self.home)
        for agent_view in tuple(self.view.sandboxes.values()):
            if agent_view.ref.project.id not in there:
                self._forget(agent_view.id)
        known = {agent_view.ref.project.id for agent_view in self.view.sandboxes.values()}
        for project_id in there.keys() - known:
            self._take_in(Project(there[project_id], project_id))

    def _look_at_directories(self) -> None:
        """Notice directories that were replaced, at most once per interval."""
        now = time.monotonic()
        if now >= self._looked + REGISTRY_INTERVAL:
            self._looked = now
            self._watch.notice_exchanges()

    def _look_at_grants(self) -> None:
        """Reconcile each sandbox whose token must be renewed now.

        One in trouble is left alone: to look would be to try again what did not work.
        """
        for key in self._timers.due(time.time()):
            agent_view = self.view.sandboxes.get(key)
            if agent_view and not agent_view.trouble:
                self._timers.ring(key)
                self._inbox.put(Touched(key))

    def _take_in(self, project: Project, again: str = "") -> None:
        """Update the agents of a project; examine new ones, and the one with the key `again`."""
        if not files.is_directory(project.directory):
            return
        before = self.view.sandboxes
        agent_refs = inventory.agents_of(self.home, project)
        mine = {
            agent_view.id for agent_view in before.values() if agent_view.ref.project == project
        }
        for key in mine - {ref.key for ref in agent_refs}:
            self._forget(key)
        for ref in agent_refs:
            if ref.key not in before:
                self._inbox.put(Touched(ref.key))
            if ref.key not in before or ref.key == again:
                self._follow_agent(ref)

    def _follow_agent(self, ref: AgentRef) -> None:
        """Follow one agent of a project; if that fails, it is shown as this agent's problem."""
        try:
            self._examine_agent(ref)
        except (CompanionError, OSError) as error:
            self._wait_at(ref, error)

    def _examine_agent(self, ref: AgentRef) -> None:
        """Read an agent's record and follow the files that control it."""
        project_paths = self.home.project(ref.project.id)
        agent = inventory.agent_name(self.home, ref)
        steered = self._steering(ref)
        self._watch.follow(ref.key, (*steered, first_start(project_paths.agent(agent))))
        record = store.read(project_paths.agent(agent)) if agent else None
        if record and record.engine:
            granted = (self.home.grants(ref.project.id),) if record.config.grants else ()
            self._watch.follow(ref.key, (*steered, *granted))
            self._timers.set(ref.key, self._next_due(ref, record.config.grants))
        old = self.view.sandboxes.get(ref.key)
        agent_view = AgentView(
            ref=ref,
            agent=agent,
            alias=record.allocation.alias if record and record.allocation.ssh_port else "",
            engine=record.engine if record else None,
            paused=project_paths.paused.exists(),
            condition=Condition() if record and record.engine else Condition(Health.ABSENT),
        )
        self._tell(ProjectAdded(agent_view, new=old is None))
        if agent_view.engine and old and _moved(old, agent_view):
            self._inbox.put(Touched(agent_view.engine))
            if not old.settled:
                self._inbox.put(Touched(ref.key))

    def _wait_at(self, ref: AgentRef, error: CompanionError | OSError) -> None:
        """Show an agent that cannot be examined; for a new one, its first reconcile says why."""
        project_paths = self.home.project(ref.project.id)
        records = project_paths.root.glob("*/agent.json")
        self._watch.follow(ref.key, (*self._steering(ref), *records))
        known = self.view.sandboxes.get(ref.key)
        if isinstance(error, CompanionError):
            problem = error.problems[0]
        else:
            problem = Problem(str(error), code=Code.FILE_ACCESS)
        if known is None:
            self._tell(ProjectAdded(AgentView(ref), new=True))
        elif known.trouble != problem:
            self._tell(WorkFinished(ref.key, str(problem), problem))

    def _steering(self, ref: AgentRef) -> tuple[Path, ...]:
        before = self._watch.followed(ref.key)
        project_id = ref.project.id
        ours = self.home.project(project_id).paused, self.home.trust(project_id)
        return (*steering(ref, before), *ours)

    def _next_due(self, ref: AgentRef, keys: tuple[str, ...]) -> float:
        """Return when a token must be renewed; reconcile() reports a damaged file."""
        if not keys:
            return math.inf
        with suppress(CompanionError):
            return grants.next_due(grant_store.read(self.home, ref.project.id), keys)
        return math.inf

    def _forget(self, key: str) -> None:
        self._watch.forget(key)
        self._timers.forget(key)
        self._tell(ProjectRemoved(key))

    def _notice_pause(self) -> None:
        paused = self.home.paused.exists()
        if paused != self.view.paused:
            self._tell(Paused(paused))
            for key in self.view.sandboxes:
                self._inbox.put(Touched(key))


def _moved(old: AgentView, new: AgentView) -> bool:
    return (old.agent, old.engine) != (new.agent, new.engine)
