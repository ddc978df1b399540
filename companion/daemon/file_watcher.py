"""The file watcher: the files that control a project, and events when they change (watchdog)."""

import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch
from watchdog.observers.polling import PollingObserver

from companion.errors import CompanionError
from companion.plugins.contribution import Contribution
from companion.project.model import AgentRef
from companion.reconcile import project_files, validate
from companion.sandbox import model
from companion.system import files as disk
from companion.system import mount_table
from companion.system.mount_table import MountTable
from companion.system.project_paths import AgentPaths

# Reading a file must not look like a change of it: watchdog also reports opens.
_KINDS: list[type[events.FileSystemEvent]] = [
    events.FileClosedEvent,
    events.FileModifiedEvent,
    events.FileCreatedEvent,
    events.FileDeletedEvent,
    events.FileMovedEvent,
    events.DirCreatedEvent,
    events.DirDeletedEvent,
    events.DirMovedEvent,
]
POLL_INTERVAL = 2
"""Seconds between polls if the system provides no watches."""
REMOTE_INTERVAL = 5
"""Seconds between polls of a file system that reports no changes made elsewhere."""
MAX_DIRECTORIES = 2000
"""Limit of directories of one tree that are watched individually."""
_CURE = f"looking every {POLL_INTERVAL} s instead (raise fs.inotify.max_user_instances or _watches)"


def steering(ref: AgentRef, before: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Return the files and directories whose change may matter.

    While the config cannot be read, those followed `before` stay, besides agent.yaml and the like.
    """
    try:
        return steering_of(ref, validate.contribution_of(ref))
    except CompanionError:
        return (*steering_of(ref, Contribution()), *before)


def steering_of(ref: AgentRef, contribution: Contribution) -> tuple[Path, ...]:
    """Return the files that always control an agent, and those that its plugins name.

    What lies behind a link is followed there, too: its changes are not told of under the link.
    """
    named = (project_files.path_of(ref, file) for file in model.project_files(contribution))
    paths = (ref.config, ref.project.fleet, *ref.env_files, *named)
    return tuple(dict.fromkeys(place for path in paths for place in (path, disk.real(path))))


def first_start(agent_paths: AgentPaths) -> Path:
    """Return the path that changes when another process starts an agent for the first time."""
    return agent_paths.record if agent_paths.root.is_dir() else agent_paths.root


class _Place(NamedTuple):
    """A directory to watch, by identity: not another one that replaces it."""

    path: Path
    identity: tuple[int, int]
    is_tree: bool
    remote: str = ""
    """The mount point of its file system, if that reports no changes made elsewhere."""


_Begun: TypeAlias = tuple[BaseObserver, ObservedWatch]
_Identity: TypeAlias = tuple[int, int] | None
"""Device and inode; None if there is nothing."""


class Watch:
    """Calls `touched(key, path)` (from watchdog's thread) for each event on a file of a key.

    `path` is what changed: a file that is followed, or one below or above it. Where the system
    gives no more watches, it looks every two seconds, and `hindered` hears why, once. Of a tree
    with very many directories only the top is watched.
    """

    def __init__(
        self, touched: Callable[[str, str], None], hindered: Callable[[str], None]
    ) -> None:
        self._touched, self._hindered = touched, hindered
        self._files: dict[str, tuple[Path, ...]] = {}
        self._directories: dict[Path, _Identity] = {}
        self._links: dict[Path, Path] = {}
        self._watches: dict[_Place, _Begun] = {}
        self._handler = _Handler(self._on_event)
        self._poller: BaseObserver | None = None
        self._remote_poller: BaseObserver | None = None
        self._remote: set[str] = set()
        try:
            self._observer: BaseObserver = Observer()
            self._observer.start()
        except OSError as error:
            self._observer = self._polling(error)

    def follow(self, key: str, files: Iterable[Path]) -> None:
        """Follow exactly these files for a key."""
        self.notice_exchanges()
        self._files = {**self._files, key: tuple(dict.fromkeys(files))}
        self._links |= {
            path: real for path in self._files[key] if (real := disk.real(path)) != path
        }
        self.look_again()

    def followed(self, key: str) -> tuple[Path, ...]:
        """Return the files that are followed for a key."""
        return self._files.get(key, ())

    def forget(self, key: str) -> None:
        """Stop following files for a key."""
        self._files = {k: files for k, files in self._files.items() if k != key}
        self.look_again()

    def stop(self) -> None:
        """Stop watching; return once no further call will come."""
        for observer in self._observers:
            observer.stop()
            observer.join(timeout=5)

    def look_again(self) -> None:
        """Watch the directories that exist now, including those that replaced others."""
        self.notice_exchanges()  # what is remembered next would hide them
        self._remember_identities()
        wanted, alive = self._wanted(), self._alive()
        for place in tuple(self._watches):
            observer, watch = self._watches[place]
            if place not in wanted or watch not in alive:
                del self._watches[place]
                observer.unschedule(watch)
        for place in wanted - self._watches.keys():
            if begun := self._begin(place):
                self._watches[place] = begun

    def notice_exchanges(self) -> None:
        """Report files whose directory was replaced, or that a link on their way left.

        Nothing in a directory changes when it, or one above it, is renamed: there is no event. Each
        is reported once, until look_again() is called.
        """
        changed = [path for path, known in self._directories.items() if _identity(path) != known]
        self._directories |= {path: _identity(path) for path in changed}
        left = [path for path, real in self._links.items() if _file(path) != _file(real)]
        new = {path: disk.real(path) for path in left}
        self._files = {  # before the files are read: what is saved there meanwhile is seen
            key: (*files, *(new[path] for path in files if path in new))
            for key, files in self._files.items()
        }
        self._links |= new
        self._tell(map(str, (*changed, *left)))

    def _remember_identities(self) -> None:
        files = {file for followed in self._files.values() for file in followed}
        self._links = {path: real for path, real in self._links.items() if path in files}
        self._directories = {path: _identity(path) for path in {file.parent for file in files}}

    @property
    def _observers(self) -> set[BaseObserver]:
        pollers = (self._poller, self._remote_poller)
        return {self._observer, *(poller for poller in pollers if poller)}

    def _wanted(self) -> set[_Place]:
        """Return the directories of all files, and whole trees where a file is a directory.

        Where there is no such directory, the one above it is where it will come.
        """
        files = {file for followed in self._files.values() for file in followed}
        trees = {path: found for path in files if (found := _identity(path))}
        above = (_nearest(path) for path in {file.parent for file in files})
        around = {path: found for path in above if path not in trees and (found := _identity(path))}
        table = mount_table.read()
        return {
            _Place(path, found, _is_small(path), _remote_mount(table, path))
            for path, found in trees.items()
        } | {
            _Place(path, found, is_tree=False, remote=_remote_mount(table, path))
            for path, found in around.items()
        }

    def _alive(self) -> set[ObservedWatch]:
        """Return the watches that are still alive; one ends with its directory."""
        emitters = (emitter for observer in self._observers for emitter in observer.emitters)
        return {emitter.watch for emitter in emitters if emitter.should_keep_running()}

    def _begin(self, place: _Place) -> _Begun | None:
        """Start a watch; None if the directory has just vanished or cannot be read."""
        if place.remote:
            poller = self._polling_remote(place.remote)
            with suppress(OSError):
                return poller, self._schedule(poller, place)
            return None
        try:
            return self._observer, self._schedule(self._observer, place)
        except OSError as error:
            if _identity(place.path) != place.identity:
                self._tell([str(place.path)])
                return None
            poller = self._polling(error)
        with suppress(OSError):
            return poller, self._schedule(poller, place)
        return None

    def _polling(self, error: OSError) -> BaseObserver:
        """Return a polling observer instead, and say why the first time."""
        if self._poller is None:
            reason = error.strerror or error
            self._hindered(f"the system watches no more files for us ({reason}): {_CURE}")
            self._poller = PollingObserver(timeout=POLL_INTERVAL)
            self._poller.start()
        return self._poller

    def _polling_remote(self, mount: str) -> BaseObserver:
        """Return the observer for remote file systems, and report each of them once."""
        if mount not in self._remote:
            self._remote.add(mount)
            what = f"the file system at {mount} does not report changes made elsewhere"
            self._hindered(f"{what}: looking every {REMOTE_INTERVAL} s")
        if self._remote_poller is None:
            self._remote_poller = PollingObserver(timeout=REMOTE_INTERVAL)
            self._remote_poller.start()
        return self._remote_poller

    def _schedule(self, observer: BaseObserver, place: _Place) -> ObservedWatch:
        return observer.schedule(
            self._handler, str(place.path), recursive=place.is_tree, event_filter=_KINDS
        )

    def _on_event(self, event: events.FileSystemEvent) -> None:
        # An atomic save is a move: the name that counts is only in dest_path.
        self._tell([str(name) for name in (event.src_path, event.dest_path) if name])

    def _tell(self, names: Iterable[str]) -> None:
        """Report the keys that follow one of these paths."""
        changed = [f"{name}{os.sep}" for name in names]
        if not changed:
            return
        for key, files in self._files.items():
            followed = [f"{file}{os.sep}" for file in files]
            for name in changed:
                if any(file.startswith(name) or name.startswith(file) for file in followed):
                    self._touched(key, name.removesuffix(os.sep))


def _identity(directory: Path) -> _Identity:
    """Return a directory's identity, or None if it is not a directory."""
    status = disk.status(directory)
    if status is None or not stat.S_ISDIR(status.st_mode):
        return None
    return status.st_dev, status.st_ino


def _file(path: Path) -> _Identity:
    status = disk.status(path)
    return (status.st_dev, status.st_ino) if status else None


def _remote_mount(table: MountTable, path: Path) -> str:
    """Return the mount point of a path's file system if that is a remote one, else ""."""
    if not table.has_remote:  # as on most machines
        return ""
    mount = mount_table.mount_of(table, str(disk.real(path)))
    return mount.point if mount and mount_table.is_remote(mount) else ""


def _nearest(directory: Path) -> Path:
    """Return the directory, or its nearest existing parent."""
    return next(filter(_identity, (directory, *directory.parents)), directory)


def _is_small(tree: Path) -> bool:
    """Tell whether a directory has few enough subdirectories to watch all of them."""
    return all(number < MAX_DIRECTORIES for number, _ in enumerate(os.walk(tree)))


class _Handler(events.FileSystemEventHandler):
    def __init__(self, on_event: Callable[[events.FileSystemEvent], None]) -> None:
        self._on_event = on_event

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        self._on_event(event)
