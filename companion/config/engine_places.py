"""Places: the engines that the user's settings name, such as `build: {docker: ssh://me@box}`."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, model_validator

from companion.config.models import Line, Model
from companion.config.names import KINDS, Kind
from companion.errors import Problem, named

_ADDRESS = re.compile(
    r"(unix:///[^\s?#]+"
    r"|ssh://([A-Za-z_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(?P<path>/[^\s?#]*)?)\Z"
)
_OWN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}\Z")


def _docker(text: str) -> str:
    if not (_ADDRESS if "/" in text else _OWN_NAME).match(text):
        raise ValueError("must be a context of docker, or an address such as ssh://me@box")
    return text


def _podman(text: str) -> str:
    found = _ADDRESS.match(text)
    if found and text.startswith("ssh:") and len(found["path"] or "") < len("/x"):
        raise ValueError(f"must name podman's socket, too: {text}/run/podman/podman.sock")
    if not found and not _OWN_NAME.match(text):
        raise ValueError(
            "must be a connection of podman, or an address such as"
            " ssh://me@box:22/run/podman/podman.sock"
        )
    return text


class EnginePlace(Model):
    """One engine, by exactly one of its keys."""

    docker: Annotated[Line, AfterValidator(_docker)] | None = None
    """A context of docker, or an address."""
    podman: Annotated[Line, AfterValidator(_podman)] | None = None
    """A connection of podman, or an address."""
    seed: bool = False
    """Directories of the desktop that a sandbox mounts are copied there, once."""

    @model_validator(mode="after")
    def _is_one_engine(self) -> "EnginePlace":
        if (self.docker is None) == (self.podman is None):
            raise ValueError("must have one key: docker or podman")
        return self

    @property
    def engine(self) -> Kind:
        """The kind of engine."""
        return "docker" if self.docker else "podman"

    @property
    def selector(self) -> str:
        """How its client finds it: a name of the client's own, or an address."""
        return self.docker or self.podman or ""

    @property
    def is_address(self) -> bool:
        """Whether the settings give an address."""
        return "/" in self.selector

    def __str__(self) -> str:
        if self.is_address:
            return f"{self.engine} at {self.selector}"
        own = "context" if self.docker else "connection"
        return f"{self.engine}'s {own} {self.selector}"


def problem(name: str, places: Mapping[str, EnginePlace], file: str) -> Problem | None:
    """Return the problem of a chosen engine that is neither a kind nor a place; else None.

    `file` is the path of the user's settings, which alone define places.
    """
    if name in KINDS or name in places:
        return None
    names = ", ".join((*KINDS, *sorted(places)))
    hint = f"known are: {names}; define it below `places:` in {file}, or choose another one"
    return Problem(f"your settings have no place {named(name)}", hint)
