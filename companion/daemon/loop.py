"""What keeps all known projects current? One loop that owns all state, one worker per project."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from companion import files, log, observe, reconcile, state_file
from companion.check import check
from companion.daemon import machine
from companion.daemon.machine import Event, Finished, State, Tick, Touched, Work
from companion.daemon.watch import Watch, steering
from companion.errors import CompanionError
from companion.paths import Paths
from companion.plan import Change

Say = Callable[[str], None]
REGISTRY_INTERVAL = 2.0
"""Seconds between looks at the list of known projects."""
_WORDS = {
    Change.NONE: "nothing to do",
    Change.RELOAD: "reloaded",
    Change.RECREATE: "restarted",
    Change.REBUILD: "rebuilt",
}


@dataclass(slots=True)
class _Watched:
    """A project under watch."""

    directory: Path
    watch: Watch
    steering: tuple[Path, ...]
    looked: bool = False
    """The first look asks the engine: after a reboot nothing runs, whatever the files say."""


@dataclass(slots=True)
class Loop:
    """The watcher of one user; `say` gets one line per thing worth knowing."""

    home: Paths
    say: Say
    events: "queue.Queue[Event | None]" = field(default_factory=queue.Queue)
    watched: dict[str, _Watched] = field(default_factory=dict)
    state: State = field(default_factory=State)
    _projects_seen: float = -1.0

    def run(self) -> None:
        """Watch until interrupted.

        Raises:
            CompanionError: another watcher of this user runs.
        """
        with files.lock(self.home.watch_lock, wait=False) as mine:
            if not mine:
                raise CompanionError("companion is watching already", "use the one that runs")
            logger = log.to_file(self.home)
            terminal, self.say = self.say, lambda text: (logger.info(text), terminal(text))[1]  # type: ignore[func-returns-value]
            try:
                while True:
                    self._turn()
            finally:
                for watched in self.watched.values():
                    watched.watch.stop()

    def _turn(self) -> None:
        """Take one event, or the time that passed, and do what it means."""
        self._look_at_registry()
        due = self.state.due
        patience = REGISTRY_INTERVAL if due is None else max(0.0, due - time.monotonic())
        try:
            event: Event = self.events.get(timeout=min(patience, REGISTRY_INTERVAL)) or Tick()
        except queue.Empty:
            event = Tick()
        for step in (event, Tick()):
            self.state, works = machine.step(self.state, step, time.monotonic())
            for work in works:
                threading.Thread(target=self._work, args=(work,), daemon=True).start()

    def _look_at_registry(self) -> None:
        """Begin to watch projects that became known; the directory's time tells of new ones."""
        try:
            changed = self.home.projects.stat().st_mtime
        except FileNotFoundError:
            return
        if changed == self._projects_seen and self.watched:
            return
        self._projects_seen = changed
        for project_id, written in state_file.all_projects(self.home).items():
            if project_id not in self.watched and Path(written.directory).is_dir():
                self.watched[project_id] = self._watch(project_id, Path(written.directory))
                self.say(f"{Path(written.directory).name}: watching {written.directory}")
                self.events.put(Touched(project_id))

    def _watch(self, project_id: str, directory: Path) -> _Watched:
        project = observe.project(directory)
        steer = steering(project, files.read_text(project.config))
        paused = self.home.project(project_id).paused
        watch = Watch(lambda: self.events.put(Touched(project_id)), (*steer, paused))
        watch.start()
        return _Watched(directory, watch, steer)

    def _work(self, work: Work) -> None:
        """Bring one project up to date and say what came of it (runs in a worker)."""
        directory = self.watched[work.project].directory
        try:
            self._reconcile(work, directory)
        except CompanionError as error:
            self.say(f"{directory.name}: not changed: {error}")
        except Exception as error:  # noqa: BLE001 - one project's bug must not end the watch
            self.say(f"{directory.name}: this is a bug in companion: {error!r}")
        finally:
            self._rewatch(work.project)
            self.events.put(Finished(work.project))

    def _reconcile(self, work: Work, directory: Path) -> None:
        place = self.home.project(work.project)
        if place.paused.exists():
            self.say(f"{directory.name}: paused, the change waits for `companion resume`")
            return
        if state_file.read(place, directory).wanted != "up":
            check(self.home, observe.project(directory))
            return
        report = reconcile.reconcile(
            self.home,
            directory,
            lambda text: self.say(f"{directory.name}: {text}"),
            only_if_changed=self.watched[work.project].looked,
        )
        self.watched[work.project].looked = True
        if report.plan.steps:
            total = time.monotonic() - work.saved
            done = f"{_WORDS[report.change]}, ready {total:.1f} s after the save"
            self.say(f"{directory.name}: {done}")
        else:
            self.say(f"{directory.name}: nothing to do")

    def _rewatch(self, project_id: str) -> None:
        """Follow a config that names other files than before."""
        old = self.watched[project_id]
        project = observe.project(old.directory)
        if steering(project, files.read_text(project.config)) != old.steering:
            new = self._watch(project_id, old.directory)
            self.watched[project_id] = replace(new, looked=old.looked)
            old.watch.stop()
