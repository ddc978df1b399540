"""Following: the projects that the watcher follows, by the registry and by their own files."""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from companion import __version__
from companion.daemon.file_watcher import Watch, first_start, steering
from companion.daemon.guards import Guards
from companion.daemon.listener import Listener
from companion.daemon.news import (
    ExposureChanged,
    News,
    ProjectAdded,
    ProjectRemoved,
    WatchDegraded,
    WorkFinished,
)
from companion.daemon.scheduler import Touched
from companion.daemon.timers import Timers
from companion.daemon.view import AgentView, View
from companion.engine.model import Condition, Health
from companion.errors import Code, CompanionError, Problem
from companion.oauth import grant_store, grants
from companion.project import inventory, store
from companion.project.model import AgentRef, Project
from companion.project.record import ConfigSummary
from companion.reconcile import secret_values, user_settings
from companion.sandbox import brought
from companion.system import files
from companion.system.paths import Paths

INTERVAL = 2.0
"""Seconds between checks for registered, removed and replaced directories."""
BROUGHT = "~"
"""The file watcher's key for what settings.yaml brings into all sandboxes."""
_OF_SECRETS = {Code.SECRET_FAILED, Code.NO_KEYCHAIN, Code.KEYCHAIN_LOCKED}


@dataclass(slots=True)
class Following:
    """Follows every registered project; belongs to the loop, and runs in its thread only."""

    home: Paths
    watch: Watch
    listener: Listener
    view: Callable[[], View]
    """Return what the loop knows now."""
    put: Callable[[Touched], None]
    """Have a sandbox or an engine looked at."""
    tell: Callable[[News], None]
    """Tell the loop; view() includes the news at once."""
    expose: Callable[[tuple[AgentView, ...]], None]
    """Have what agents can change of a repository looked at, until exposed() is called."""
    _guards: Guards = field(default_factory=Guards)
    _timers: Timers = field(default_factory=Timers)
    _registry: float = -1.0
    _is_refused: bool = False
    """The system did not let us look at the registry."""
    _looked: float = 0.0
    """When directories were last compared, on the monotonic clock."""
    _unregistered: tuple[Path, ...] = ()
    """Directories of projects whose first `up` is under way, or failed."""

    def look(self) -> None:
        """Notice what changed without an event of the file watcher."""
        self.look_at_registry()
        self._look_at_grants()
        self._look_at_directories()

    def look_at_registry(self) -> None:
        """Add projects that were registered and drop those that were removed.

        While the registry cannot be read, the projects stay as they are; this is reported once.
        """
        try:
            self._compare_registry()
        except FileNotFoundError:
            self._registry = -1.0  # nothing is registered yet, or it vanished while we looked
        except OSError as error:
            self._registry = -1.0
            if not self._is_refused:
                what = f"cannot read {self.home.projects}: {error.strerror}"
                self.tell(WatchDegraded(f"{what}; new and removed projects are not noticed"))
            self._is_refused = True
        else:
            self._is_refused = False

    def _compare_registry(self) -> None:
        changed = self.home.projects.stat().st_mtime
        if changed == self._registry and not any(map(store.is_registered, self._unregistered)):
            return
        next(self.home.projects.iterdir(), None)  # glob() would find nothing, and say nothing
        self._registry = changed
        self._unregistered = store.unregistered(self.home)  # first: what registers now is seen
        there = store.directories(self.home)
        for agent_view in tuple(self._sandboxes.values()):
            if agent_view.ref.project.id not in there:
                self._forget(agent_view.id)
        known = {agent_view.ref.project.id for agent_view in self._sandboxes.values()}
        for project_id in there.keys() - known:
            self.take_in(Project(there[project_id], project_id))

    def _look_at_directories(self) -> None:
        """Notice directories and guards that are gone, at most once per interval."""
        now = time.monotonic()
        if now >= self._looked + INTERVAL:
            self._looked = now
            self.watch.notice_exchanges()
            if changed := tuple(self._guards.changed(self._sandboxes.values())):
                self.expose(changed)

    def exposed(self, news: ExposureChanged) -> None:
        """Take note that what an agent can change of a repository was looked at."""
        self._guards.ended(news.sandbox, is_whole=news.is_whole)

    def _look_at_grants(self) -> None:
        """Reconcile each sandbox whose token must be renewed now.

        One in trouble is left alone: to look would be to try again what did not work. Where a
        secret could not be read, that is what is to be done.
        """
        for key in self._timers.due(time.time()):
            agent_view = self._sandboxes.get(key)
            trouble = agent_view.trouble if agent_view else None
            if agent_view and (trouble is None or trouble.code in _OF_SECRETS):
                self._timers.ring(key)
                self.put(Touched(key))

    def take_in(self, project: Project, again: str = "") -> None:
        """Update the agents of a project; examine new ones, and the one with the key `again`."""
        if not files.is_directory(project.directory):
            return
        before = self._sandboxes
        agent_refs = inventory.agents_of(self.home, project)
        mine = {
            agent_view.id for agent_view in before.values() if agent_view.ref.project == project
        }
        for key in mine - {ref.key for ref in agent_refs}:
            self._forget(key)
        for ref in agent_refs:
            if ref.key not in before:
                self.put(Touched(ref.key))
            if ref.key not in before or ref.key == again:
                self._follow_agent(ref)

    def _follow_agent(self, ref: AgentRef) -> None:
        """Follow one agent of a project; if that fails, it is shown as this agent's problem."""
        self._follow_brought()
        try:
            self._examine_agent(ref)
        except (CompanionError, OSError) as error:
            self._wait_at(ref, error)

    def _follow_brought(self) -> None:
        """Follow what settings.yaml brings; while that cannot be read, what it named last."""
        with suppress(CompanionError):
            named = (self.home.home / path for path in user_settings.read(self.home).bring)
            if (paths := tuple(dict.fromkeys(named))) != self.watch.followed(BROUGHT):
                self.watch.follow(BROUGHT, paths)

    def _examine_agent(self, ref: AgentRef) -> None:
        """Read an agent's record and follow the files that control it."""
        project_paths = self.home.project(ref.project.id)
        agent = inventory.agent_name(self.home, ref)
        steered = self._steering(ref)
        self.watch.follow(ref.key, (*steered, first_start(project_paths.agent(agent))))
        record = store.read(project_paths.agent(agent)) if agent else None
        self._guards.follow(ref.key, project_paths.agent(agent), record)
        if record:
            self.listener.follow(ref.key, project_paths.agent(agent).control)
        if record and record.engine:
            granted = grant_store.files_of(self.home, ref.project.id, record.config.grants)
            self.watch.follow(ref.key, (*steered, *granted))
            self._timers.set(ref.key, self._next_due(ref, record.config))
        old = self._sandboxes.get(ref.key)
        waits = record.applied.update_waits(__version__) if record else ""
        if waits is None and old:
            waits = old.update_waits  # as a worker found out
        agent_view = AgentView(
            ref=ref,
            agent=agent,
            alias=record.allocation.alias if record and record.allocation.ssh_port else "",
            engine=record.engine if record else None,
            paused=project_paths.paused.exists(),
            update_waits=waits or "",
            condition=Condition() if record and record.engine else Condition(Health.ABSENT),
        )
        self.tell(ProjectAdded(agent_view, new=old is None))
        if agent_view.engine and old and _moved(old, agent_view):
            self.put(Touched(agent_view.engine))
            if not old.settled:
                self.put(Touched(ref.key))

    def _wait_at(self, ref: AgentRef, error: CompanionError | OSError) -> None:
        """Show an agent that cannot be examined; for a new one, its first reconcile says why."""
        project_paths = self.home.project(ref.project.id)
        records = project_paths.root.glob("*/agent.json")
        self.watch.follow(ref.key, (*self._steering(ref), *records))
        known = self._sandboxes.get(ref.key)
        if isinstance(error, CompanionError):
            problem = error.problems[0]
        else:
            problem = Problem(str(error), code=Code.FILE_ACCESS)
        if known is None:
            self.tell(ProjectAdded(AgentView(ref), new=True))
        elif known.trouble != problem:
            self.tell(WorkFinished(ref.key, str(problem), problem))

    def _steering(self, ref: AgentRef) -> tuple[Path, ...]:
        before = self.watch.followed(ref.key)
        project_id = ref.project.id
        ours = self.home.project(project_id).paused, self.home.trust(project_id)
        users = self.home.secret_names, self.home.settings
        return (*steering(ref, before), *ours, *users)

    def _next_due(self, ref: AgentRef, config: ConfigSummary) -> float:
        """Return when a token or a secret is due; reconcile() reports a damaged file."""
        due = math.inf
        with suppress(CompanionError):
            if config.grants:
                held = grant_store.usable(self.home, ref.project.id, config.grants)
                due = grants.next_due(held, config.grants)
            if config.uses:
                due = min(due, secret_values.next_due(self.home, config.uses))
        return due

    def _forget(self, key: str) -> None:
        self.watch.forget(key)
        self.listener.forget(key)
        self._timers.forget(key)
        self._guards.forget(key)
        self.tell(ProjectRemoved(key))

    @property
    def started(self) -> tuple[str, ...]:
        """The sandboxes that were started at some time."""
        return tuple(key for key, agent_view in self._sandboxes.items() if agent_view.engine)

    @property
    def _sandboxes(self) -> Mapping[str, AgentView]:
        return self.view().sandboxes


def _moved(old: AgentView, new: AgentView) -> bool:
    return (old.agent, old.engine) != (new.agent, new.engine)


def is_brought(home: Paths, path: str) -> bool:
    """Tell whether a path below what is brought may be brought itself.

    What agents on the desktop write all the time, such as what was said, never is.
    """
    within = PurePath(path)
    return not within.is_relative_to(home.home) or not brought.refusal(
        within.relative_to(home.home).as_posix()
    )
