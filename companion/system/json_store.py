"""JSON stores: files that hold one frozen value each, validated when read, replaced as a whole."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from companion.errors import Code, CompanionError, Problem
from companion.system import files, json_values

T = TypeVar("T")
Fields = Mapping[str, Any]
_VERSION = "version"


class StoreError(CompanionError):
    """A file of ours cannot be read as what it should hold."""

    code = Code.DAMAGED


@dataclass(frozen=True, slots=True)
class Broken:
    """What stands for the value of a file that cannot be read: why, and the next step."""

    path: Path
    problem: Problem


@dataclass(frozen=True)
class Store(Generic[T]):
    """One kind of file. Its value is a dataclass; beside its fields the file has a version."""

    type: type[T]
    repair: str
    """What a user can do about a damaged file."""
    version: int = 1
    """A file without a version is of version 0."""
    upgrade: Callable[[Fields], Fields] = lambda fields: fields
    """From the fields of any earlier version to those of this one; pure."""

    def read(self, path: Path) -> T | None:
        """Return the value of a file, or None if there is no file.

        Raises:
            StoreError: it is damaged, or of a newer Companion.
            CompanionError: the system does not let us read it.
        """
        text = files.read_text(path)
        if text is None:
            return None
        try:
            fields = dict(json.loads(text))
            version = fields.pop(_VERSION, 0)
            if version > self.version:
                raise StoreError(f"{path} was written by a newer Companion", "update Companion")
            upgraded = self.upgrade(fields) if version < self.version else fields
            return cast("T", json_values.decode(self.type, upgraded))
        except (ValueError, TypeError, LookupError, RecursionError):
            raise StoreError(f"{path} is damaged", self.repair) from None

    def look(self, path: Path) -> T | Broken | None:
        """Do as read() does, but return a value of what cannot be read, too."""
        try:
            return self.read(path)
        except CompanionError as error:
            return Broken(path, error.problems[0])

    def write(self, path: Path, value: T) -> None:
        """Replace the value of a file, for its owner only.

        Raises:
            CompanionError: the system refuses; the file is as it was before.
        """
        fields = json_values.encode(value)
        files.write(path, json.dumps({_VERSION: self.version, **fields}, indent=2) + "\n")
