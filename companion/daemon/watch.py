"""Which files steer a project, and how do we hear of their changes? The one user of watchdog."""

from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from companion import paths
from companion.config import load
from companion.errors import CompanionError
from companion.observe import Project

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
_OPTIONS = ("authorized_keys", "host_key", "home_override", "entrypoint_hooks")


def steering(project: Project, text: str | None) -> tuple[Path, ...]:
    """Return the files and directories whose change may mean something, as far as they are known.

    A config that does not decode still steers: then only the files with fixed names do.
    """
    names = [paths.CONFIG_NAME, paths.FLEET_NAME, paths.ENV_NAME]
    if text is not None:
        try:
            config, _ = load.agent(text)
        except CompanionError:
            pass
        else:
            for feature in config.features:
                for option in _OPTIONS:
                    names += _as_names(feature.options.get(option))
    return tuple(project.directory / name for name in dict.fromkeys(names))


class Watch:
    """Calls `touched` (from watchdog's thread) for each event on a file that steers a project."""

    def __init__(self, touched: Callable[[], None], files: Iterable[Path]) -> None:
        self._files = tuple(files)
        self._touched = touched
        self._observer: BaseObserver = Observer()

    def start(self) -> None:
        """Watch the directories of the files, and whole trees where a file is a directory."""
        handler = _Handler(self._on_event)
        trees = {path for path in self._files if path.is_dir()}
        for directory in {path.parent for path in self._files} - trees:
            if directory.is_dir():
                self._observer.schedule(handler, str(directory), event_filter=_KINDS)
        for tree in trees:
            self._observer.schedule(handler, str(tree), recursive=True, event_filter=_KINDS)
        self._observer.start()

    def stop(self) -> None:
        """Stop watching; returns when no further call will come."""
        self._observer.stop()
        self._observer.join(timeout=5)

    def _on_event(self, event: events.FileSystemEvent) -> None:
        # An atomic save is a move: the name that counts is only in dest_path.
        for name in (event.src_path, event.dest_path):
            path = Path(str(name))
            if name and any(path == f or path.is_relative_to(f) for f in self._files):
                self._touched()
                return


class _Handler(events.FileSystemEventHandler):
    def __init__(self, on_event: Callable[[events.FileSystemEvent], None]) -> None:
        self._on_event = on_event

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        self._on_event(event)


def _as_names(option: object) -> list[str]:
    if isinstance(option, str):
        return [option]
    return [name for name in option if isinstance(name, str)] if isinstance(option, tuple) else []
