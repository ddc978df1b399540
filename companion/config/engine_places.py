"""Places: the engines and clusters that the user's settings name.

Such as `build: {docker: ssh://me@box}`.
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, model_validator

from companion.config.models import Model
from companion.config.names import KINDS, Kind
from companion.config.values import Line
from companion.errors import Problem, named

_ADDRESS = re.compile(
    r"(unix:///[^\s?#]+"
    r"|ssh://([A-Za-z_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(?P<path>/[^\s?#]*)?)\Z"
)
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*\Z")
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


def _context(text: str) -> str:
    if not text or text.startswith("-"):
        raise ValueError("must be a context of your kubeconfig: see `kubectl config get-contexts`")
    return text


def _namespace(text: str) -> str:
    if not _NAMESPACE.match(text):
        raise ValueError("must be a namespace: 1 to 63 of a-z, 0-9 and '-'")
    return text


def _registry(text: str) -> str:
    if not _REGISTRY.match(text):
        raise ValueError("must begin the names of images, such as registry.example.com/team")
    return text


class ClusterPlace(Model):
    """A namespace of a cluster, and the registry from which its nodes pull images."""

    context: Annotated[Line, AfterValidator(_context)]
    """A context of the user's kubeconfig."""
    namespace: Annotated[Line, AfterValidator(_namespace)]
    registry: Annotated[Line, AfterValidator(_registry)]
    """What the names of images begin with; an engine of the desktop pushes to it."""
    node_seccomp: bool = False
    """Its nodes have Companion's list of system calls, which then limits the sandboxes."""

    def __str__(self) -> str:
        where = f"the namespace {self.namespace} of kubectl's context {self.context}"
        calls = ", our system calls" if self.node_seccomp else ""
        return f"{where}, images in {self.registry}{calls}"


class EnginePlace(Model):
    """One engine or cluster, by exactly one of its keys."""

    docker: Annotated[Line, AfterValidator(_docker)] | None = None
    """A context of docker, or an address."""
    podman: Annotated[Line, AfterValidator(_podman)] | None = None
    """A connection of podman, or an address."""
    kubernetes: ClusterPlace | None = None
    """A namespace of a cluster."""
    seed: bool = False
    """Directories of the desktop that a sandbox mounts are copied there, once."""

    @model_validator(mode="after")
    def _is_one_engine(self) -> "EnginePlace":
        given = [one for one in (self.docker, self.podman, self.kubernetes) if one is not None]
        if len(given) != 1:
            raise ValueError("must have one key: docker, podman or kubernetes")
        if self.kubernetes and self.seed:
            raise ValueError("a cluster gets no copies of directories: leave out `seed`")
        return self

    @property
    def engine(self) -> Kind:
        """The kind of engine, if it is no cluster."""
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
        if self.kubernetes:
            return str(self.kubernetes)
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
