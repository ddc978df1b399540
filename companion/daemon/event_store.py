"""The event store: the last events in a file, so that a restart keeps them."""

from contextlib import suppress

from companion.daemon.events import Events
from companion.errors import CompanionError
from companion.system.json_store import Broken, Store
from companion.system.paths import Paths

_FILES = Store(Events, "remove it")


def read(home: Paths) -> Events:
    """Return the events of earlier; none if their file cannot be read."""
    found = _FILES.look(home.events)
    return Events() if found is None or isinstance(found, Broken) else found


def write(home: Paths, events: Events) -> None:
    """Keep the events; a file that cannot be written is no reason to stop."""
    with suppress(CompanionError):
        _FILES.write(home.events, events)
