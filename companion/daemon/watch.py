"""Which files steer a project, and how do we hear of their changes? The one user of watchdog."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch
from watchdog.observers.polling import PollingObserver

from companion import files as disk
from companion import seats
from companion.config import load
from companion.config.models import Feature
from companion.errors import CompanionError
from companion.seats import Seat

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
"""Seconds between looks where the system gives no watches."""
MAX_DIRECTORIES = 2000
"""Directories of one tree that are watched, each by itself."""
_CURE = f"looking every {POLL_INTERVAL} s instead (raise fs.inotify.max_user_instances or _watches)"
_OPTIONS = ("authorized_keys", "host_key", "home_override", "entrypoint_hooks")


def steering(seat: Seat) -> tuple[Path, ...]:
    """Return the files and directories whose change may mean something, as far as they are known.

    A config that does not decode still steers: then only the files with fixed names do.
    """
    fixed = (seat.config, seat.project.fleet, *seat.env_files)
    own = _named(seat.directory, _own_features(seat))
    shared = _named(seat.project.directory, _shared_features(seat))
    return tuple(dict.fromkeys((*fixed, *own, *shared)))


class Watch:
    """Calls `touched(key)` (from watchdog's thread) for each event on a file followed for a key.

    Where the system gives no more watches, it looks every two seconds, and `hindered` hears why,
    once. Of a tree with very many directories only the top is watched.
    """

    def __init__(self, touched: Callable[[str], None], hindered: Callable[[str], None]) -> None:
        self._touched, self._hindered = touched, hindered
        self._files: dict[str, tuple[Path, ...]] = {}
        self._watches: dict[tuple[Path, bool], tuple[BaseObserver, ObservedWatch]] = {}
        self._handler = _Handler(self._on_event)
        self._poller: BaseObserver | None = None
        try:
            self._observer: BaseObserver = Observer()
            self._observer.start()
        except OSError as error:
            self._observer = self._polling(error)

    def follow(self, key: str, files: Iterable[Path]) -> None:
        """Follow these files for a key, and none that were followed for it before."""
        self._files = {**self._files, key: tuple(files)}
        self._rearrange()

    def forget(self, key: str) -> None:
        """Follow nothing for a key any more."""
        self._files = {k: files for k, files in self._files.items() if k != key}
        self._rearrange()

    def stop(self) -> None:
        """Stop watching; returns when no further call will come."""
        for observer in {self._observer, self._poller or self._observer}:
            observer.stop()
            observer.join(timeout=5)

    def _rearrange(self) -> None:
        """Watch the directories of all files, and whole trees where a file is a directory."""
        files = {file for followed in self._files.values() for file in followed}
        trees = {path for path in files if disk.is_directory(path)}
        directories = {path.parent for path in files if disk.is_directory(path.parent)} - trees
        wanted = {(path, _is_small(path)) for path in trees}
        wanted |= {(path, False) for path in directories}
        for place in self._watches.keys() - wanted:
            observer, watch = self._watches.pop(place)
            observer.unschedule(watch)
        for place in wanted - self._watches.keys():
            path, recursive = place
            self._watches[place] = self._begin(path, recursive=recursive)

    def _begin(self, path: Path, *, recursive: bool) -> tuple[BaseObserver, ObservedWatch]:
        try:
            return self._observer, self._schedule(self._observer, path, recursive=recursive)
        except OSError as error:
            poller = self._polling(error)
            return poller, self._schedule(poller, path, recursive=recursive)

    def _polling(self, error: OSError) -> BaseObserver:
        """Return what looks now and then instead; the first time, say why."""
        if self._poller is None:
            reason = error.strerror or error
            self._hindered(f"the system watches no more files for us ({reason}): {_CURE}")
            self._poller = PollingObserver(timeout=POLL_INTERVAL)
            self._poller.start()
        return self._poller

    def _schedule(self, observer: BaseObserver, path: Path, *, recursive: bool) -> ObservedWatch:
        return observer.schedule(self._handler, str(path), recursive=recursive, event_filter=_KINDS)

    def _on_event(self, event: events.FileSystemEvent) -> None:
        # An atomic save is a move: the name that counts is only in dest_path.
        paths = [Path(str(name)) for name in (event.src_path, event.dest_path) if name]
        for key, files in self._files.items():
            if any(path == f or path.is_relative_to(f) for path in paths for f in files):
                self._touched(key)


def _is_small(tree: Path) -> bool:
    """Tell whether a directory has few enough directories in it to watch them all."""
    return all(number < MAX_DIRECTORIES for number, _ in enumerate(os.walk(tree)))


class _Handler(events.FileSystemEventHandler):
    def __init__(self, on_event: Callable[[events.FileSystemEvent], None]) -> None:
        self._on_event = on_event

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        self._on_event(event)


def _own_features(seat: Seat) -> tuple[Feature, ...]:
    try:
        return load.agent(disk.read_text(seat.config) or "")[0].features
    except CompanionError:
        return ()


def _shared_features(seat: Seat) -> tuple[Feature, ...]:
    try:
        above = seats.fleet(seat.project)
    except CompanionError:
        return ()
    return above[0].shared.features if above else ()


def _named(directory: Path, features: Iterable[Feature]) -> Iterator[Path]:
    """Yield every path that an option of a feature names."""
    for feature in features:
        for option in _OPTIONS:
            yield from (directory / name for name in _as_names(feature.options.get(option)))


def _as_names(option: object) -> list[str]:
    if isinstance(option, str):
        return [option]
    return [name for name in option if isinstance(name, str)] if isinstance(option, tuple) else []
