"""Editor memory: what is ours in editors' settings, and which editors the user named or used."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from companion.system.json_store import Store
from companion.system.paths import Paths
from editors.owned import Owned


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What is ours in one settings file, and whether the file itself is."""

    owned: Owned = field(default_factory=Owned)
    made: bool = False
    intended: Owned | None = None
    """What a write that is under way, or was killed, makes ours."""
    intended_made: bool = False
    former: Owned = field(default_factory=Owned)
    """What was ours: a program that read the file before may write it back."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What we remember about editors."""

    files: Mapping[str, SettingsFile] = field(default_factory=dict)
    last: str = ""
    """Id of the editor that was opened last."""
    named: tuple[str, ...] = ()
    """Ids of those that are written to only if the user wants it, and does."""


_STORE = Store(Memory, "remove it; entries that we made in editors' settings then stay")


def read(home: Paths) -> Memory:
    """Return what is remembered.

    Raises:
        CompanionError: it cannot be read.
    """
    return _STORE.read(home.editors) or Memory()


def write(home: Paths, memory: Memory) -> None:
    """Replace what is remembered.

    Raises:
        CompanionError: it cannot be written.
    """
    _STORE.write(home.editors, memory)
