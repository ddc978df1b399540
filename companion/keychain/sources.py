"""Sources: where the value of each secret of the user's comes from, and where it may go. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from companion.config.settings import Settings
from companion.keychain.store import Held, Where

_LIFETIME = 12 * 3600.0
"""Seconds for which a stored value is used before it is read again: `set` makes a new source."""


@dataclass(frozen=True, slots=True)
class Source:
    """A secret of the user's: the key of its value in the cache."""

    name: str
    hosts: tuple[str, ...]
    """Its bindings (config/bindings.py)."""
    lifetime: float
    """Seconds after which its value is read again."""
    command: tuple[str, ...] = ()
    """The command that prints it, from the user's settings."""
    held: Held | None = None
    """Where `companion secret set` stored it; without it and a command: only in the keychain."""

    @property
    def words(self) -> str:
        """Where it comes from, in a sentence: `from …`; never a command's arguments."""
        if self.command:
            return f"from the command {PurePath(self.command[0]).name}"
        in_file = self.held and self.held.where is Where.FILE
        return "from your secrets" if in_file else "from your keychain"


def sources(held: Mapping[str, Held], settings: Settings) -> dict[str, Source]:
    """Return the user's secrets by name; what is stored takes precedence over the settings."""
    named = {
        name: Source(name, one.bindings(name), one.seconds, tuple(one.command))
        for name, one in settings.secrets.items()
    }
    return named | {
        name: Source(name, one.hosts, _LIFETIME, held=one) for name, one in held.items()
    }
