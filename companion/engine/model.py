"""Values: the engine that an agent uses, and what it reports."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from companion.spec.identity import Role

_ADDRESSES = {
    "docker": ("DOCKER_HOST",),
    "podman": ("CONTAINER_HOST", "CONTAINER_CONNECTION"),
}
_ON_THIS_MACHINE = ("unix:", "npipe:", "/")
_OVER_NETWORK = ("ssh://", "tcp://", "http://", "https://")


class Health(StrEnum):
    """The state of an agent's sandbox, as `status` prints it."""

    UNKNOWN = "unknown"
    """Not yet observed."""
    ABSENT = "absent"
    STOPPED = "stopped"
    CRASHED = "crashed"
    """The agent exited with a failure."""
    BROKEN = "broken"
    """The agent runs, but a container around it does not, or SSH does not answer."""
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Condition:
    """The health of one agent, and its last output if it crashed."""

    health: Health = Health.UNKNOWN
    exit_code: int = 0
    last_output: tuple[str, ...] = ()
    pid: int = 0
    """The agent's process, as the engine's machine numbers it; 0 unless the sandbox runs."""
    published: tuple[tuple[int, int], ...] = ()
    """The ports of the desktop, besides SSH's, that lead into it, each with the port inside."""

    @property
    def state(self) -> str:
        """The word for it everywhere: a sandbox without containers is stopped, too."""
        return Health.STOPPED if self.health is Health.ABSENT else self.health

    def __str__(self) -> str:
        code = f" (exit code {self.exit_code})" if self.health is Health.CRASHED else ""
        return f"{self.state}{code}"


@dataclass(frozen=True, slots=True)
class Container:
    """One of our containers as the engine reports it; times are UTC texts in ISO format."""

    id: str
    name: str
    project: str
    service: str
    agent: str
    role: Role | None
    """None: another version of Companion made it, for a purpose of its own."""
    spec: str
    running: bool
    status: str
    exit_code: int
    out_of_memory: bool
    started: str
    network_mode: str
    ssh_port: int | None = None
    """The desktop's port that leads to sshd, if this container publishes it."""
    published: tuple[tuple[int, int], ...] = ()
    """The other ports of the desktop that it publishes, each with the port inside."""
    pid: int = 0
    """Its first process, as the engine's machine numbers it; 0 unless it runs."""
    coming: bool = False
    """A cluster is starting it by itself: there is nothing to do but wait."""


@dataclass(frozen=True, slots=True)
class AgentLogin:
    """The agent's user in its container."""

    user: str
    started_as_root: bool = False
    """The container starts as root, for root hooks: commands must drop root first."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command line of an engine's client, and the variables to set or remove for it."""

    argv: tuple[str, ...]
    environment: Mapping[str, str | None]
    unsaid: str = ""
    """What lines of the client's own begin with that are not shown: they add to what ran."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What an engine holds of an agent or project."""

    containers: tuple[Container, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    """Name without the project's prefix → subnet."""
    images: frozenset[str] = frozenset()
    """Tags of the requested images that exist."""
    unreachable: bool = False
    """Everything runs, but SSH does not answer."""
    lost: frozenset[str] = frozenset()
    """The roles whose containers mount files of ours that an engine elsewhere has no more."""

    def container(self, service: str) -> Container | None:
        """Return the container of a service, or None."""
        return next((c for c in self.containers if c.service == service), None)


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine that an agent uses, recorded at its first `up`."""

    name: Literal["docker", "podman"]
    binary: str
    environment: tuple[tuple[str, str], ...] = ()
    """Variables that point the engine's client at its endpoint, e.g. DOCKER_HOST."""
    rootless: bool = False
    """The engine runs as an ordinary user, its containers in user namespaces."""
    shares_files: bool = True
    """Its containers can mount files of this desktop, as `engine/shared_files.py` found out.

    Otherwise it is elsewhere: on another machine, or in a virtual machine on this one.
    """

    networks: tuple[str, ...] = ()
    """The networks and addresses of its machine (CIDR texts), if it is elsewhere."""
    place: str = ""
    """The place of the user's settings that it was chosen by, and how that was defined then."""
    defined: str = ""

    @property
    def endpoint(self) -> str:
        """The address at which its client finds it; "" if the client's own settings decide."""
        recorded = dict(self.environment)
        return next((recorded[key] for key in _ADDRESSES[self.name] if recorded.get(key)), "")

    @property
    def is_remote(self) -> bool:
        """Whether its endpoint is reached over a network."""
        return self.endpoint.startswith(_OVER_NETWORK)

    @property
    def is_here(self) -> bool:
        """Whether its endpoint is on this machine; of a place, only an address can tell that."""
        return self.endpoint.startswith(_ON_THIS_MACHINE) or not (self.is_remote or self.place)

    @property
    def label(self) -> str:
        """Its name for people; a remote one with its endpoint, without a password."""
        where = f"{self.name} at {shown(self.endpoint)}" if self.is_remote else self.name
        return f"{self.place} ({where})" if self.place else where

    def is_same(self, other: "Choice") -> bool:
        """Tell whether both name one engine: by name and endpoint.

        One daemon has many names on its own machine (links to its socket, none at all), so there is
        one docker and one podman on this machine. Before 0.2, records of docker had no endpoint.
        """
        if self.name != other.name or isinstance(other, ClusterChoice):
            return False
        ends = {self.endpoint, other.endpoint}
        is_unpinned = self.name == "docker" and "" in ends
        are_here = all(not end or end.startswith(_ON_THIS_MACHINE) for end in ends)
        if self.place or other.place:  # the user tells engines of this machine apart
            return len(ends) == 1
        return is_unpinned or are_here or len(ends) == 1


@dataclass(frozen=True, slots=True)
class ClusterChoice:
    """The namespace of a cluster that an agent uses, recorded at its first `up`."""

    name: Literal["kubernetes"]
    binary: str
    context: str
    """The context of the user's kubeconfig, whose credentials reach it."""
    namespace: str
    registry: str
    """What the names of images begin with there."""
    environment: tuple[tuple[str, str], ...] = ()
    """KUBECONFIG, if it was set."""
    server: str = ""
    """The address of its API server, as the context had it then; "" while nobody may ask."""
    seal: str = ""
    """A digest of what else leads there, such as its certificate authority."""
    node_seccomp: bool = False
    """Its nodes have our list of system calls."""
    owner: str = ""
    """The ID of the desktop that made what is there; "" while it has made nothing anywhere."""
    fence: Literal["pod", "policy"] = "pod"
    """What closes an agent's network there: see `kubernetes/cluster.Fence`."""
    place: str = ""
    """The place of the user's settings that it was chosen by, and how that was defined then."""
    defined: str = ""

    @property
    def endpoint(self) -> str:
        """What tells it from others: the API server's address, what leads there, the namespace."""
        return f"{self.server} {self.seal} {self.namespace}"

    @property
    def label(self) -> str:
        """Its name for people."""
        at = f" at {self.server}" if self.server else ""
        return f"{self.place} (the namespace {self.namespace}{at})"

    @property
    def caveat(self) -> str:
        """What is weaker there than elsewhere, for people; "" if nothing is."""
        if self.fence == "pod":
            return ""
        return "NetworkPolicies alone close its network: whoever deletes one opens it"

    @property
    def is_remote(self) -> bool:
        """It is reached over a network."""
        return True

    @property
    def is_here(self) -> bool:
        """It is not this machine's."""
        return False

    @property
    def shares_files(self) -> bool:
        """Its Pods mount nothing of this desktop."""
        return False

    @property
    def rootless(self) -> bool:
        """Its Pods have the user IDs that they are given."""
        return False

    @property
    def networks(self) -> tuple[str, ...]:
        """Its own networks are not known: NetworkPolicies and the gateway refuse private ones."""
        return ()

    def is_same(self, other: "Choice") -> bool:
        """Tell whether both name one namespace of one cluster, and what one owner has there."""
        if not isinstance(other, ClusterChoice):
            return False
        return (self.endpoint, self.owner) == (other.endpoint, other.owner)


IN_POD = "pod"
"""The network mode of a container on a cluster: its Pod's."""

Choice = EngineChoice | ClusterChoice
"""Where an agent's sandbox is: what both have in common is all that most callers use."""


def shown(endpoint: str) -> str:
    """Return an endpoint for people: without a password."""
    return re.sub(r"//([^:@/]*):[^@/]*@", r"//\1@", endpoint)
