"""Origin: the source of a configured value, so that messages can name file, line and column."""

from dataclasses import dataclass, replace

from companion.config.strict_yaml import Document, Location
from companion.errors import Position

SHARED = "shared"
"""The key of fleet.yaml for what all agents share."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A value of agent.yaml, or of fleet.yaml's `shared`, and the plugin that reads it."""

    location: Location
    """Keys and indexes from the top of agent.yaml, or from `shared` of fleet.yaml."""
    is_shared: bool = False
    plugin: str = ""
    """Empty for values that Companion reads itself."""

    def at(self, *parts: str | int) -> "Origin":
        """Return the origin of a part of the value."""
        return replace(self, location=(*self.location, *parts))

    @property
    def joined(self) -> Location:
        """The location in the document that joins agent.yaml and fleet.yaml."""
        return (SHARED, *self.location) if self.is_shared else self.location

    def place(self, document: Document) -> Position:
        """Return file, line and column."""
        return document.place(self.joined)

    def __str__(self) -> str:
        """As in `features[2].env[0] (custom-runtime)`."""
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.joined)
        reader = f" ({self.plugin})" if self.plugin else ""
        return "".join(parts).removeprefix(".") + reader
