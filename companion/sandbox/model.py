"""Sandbox: one agent's complete sandbox as a value, independent of any file format."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Literal

from companion.config.models import Egress, Limits, LogLevel
from companion.config.origin import Origin
from companion.config.ports import SSHD_PORT
from companion.errors import Problem
from companion.plugins.contribution import (
    Committer,
    Contribution,
    Mount,
    Port,
    ProjectFile,
    RuntimeProgram,
    SecretRef,
    SshServer,
    Upstream,
    Variable,
)
from companion.sandbox.addressing import Addressing
from companion.sandbox.allocation import Allocation
from companion.sandbox.places import Place
from companion.sandbox.repositories import GitFacts
from companion.spec.build_network import BuildNetwork
from companion.spec.containers import File, Login, Network

HOME_VOLUME = "home"
_RUNTIME = Origin(("runtime",))


@dataclass(frozen=True, slots=True)
class PathFacts:
    """A configured path as found on disk, with symlinks resolved."""

    kind: Literal["file", "directory", "missing", "special file"]
    place: Place
    inside: bool
    """Whether it lies inside the project and is not the project or agent directory itself."""
    links: tuple[Place, ...] = ()
    """The symbolic links that were followed to get there."""
    files: tuple[File, ...] = ()
    """The file itself (path "") or the directory's files, if content was requested."""
    obstacle: Problem | None = None
    """Why its content could not be read."""
    hard_linked: str = ""
    """The path of a file, itself or in the directory, that has further names."""
    holds_secrets: bool = False
    git: GitFacts | None = None
    """The repository at the top of a directory that is mounted."""

    @property
    def real(self) -> str:
        """The path with symlinks resolved."""
        return self.place.path


@dataclass(frozen=True, slots=True)
class Neighbor:
    """Another agent, or a project without one."""

    name: str
    steered_by: tuple[Place, ...]
    """The files that configure it."""
    writes: tuple[Place, ...] = ()
    """The directories that it may write to."""
    holds: tuple[Place, ...] = ()
    """Repositories in them that it cannot exchange."""
    directory: Place | None = None
    """The directory of the project, if it is a project."""
    is_sibling: bool = False
    """It is of the same fleet, whose files it shares."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Facts about the desktop: the user that containers run as, and what they must not reach."""

    uid: int
    addresses: tuple[str, ...]
    ca_certificate: str
    images: tuple[tuple[str, str], ...] = ()
    rootless: bool = False
    """The engine runs without root: it forwards the desktop to any of the gateway's addresses."""
    shares_files: bool = True
    """Containers can mount files of this desktop; otherwise the engine is elsewhere."""
    addressing: Addressing | None = None
    """Where gateways listen on a cluster; elsewhere each has addresses of its own."""
    trusted_certificates: bytes = b""
    """PEM of CAs that the gateway trusts besides the public ones."""
    build_network: BuildNetwork = field(default_factory=BuildNetwork)
    ignores_case: bool = False
    """The file system treats names that differ only in case as one."""

    def image(self, reference: str) -> str:
        """Return the mirror of an image in the user's settings, or else the reference itself."""
        mirrors = {qualified(name): mirror for name, mirror in self.images}
        return mirrors.get(qualified(reference), reference)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One agent's complete sandbox."""

    project: str
    agent: str
    program: RuntimeProgram
    contribution: Contribution
    egress: Egress
    limits: Limits
    gateway: bool
    """All traffic goes through a gateway; without one, the agent has its own open network."""
    log_level: LogLevel
    workdir: str
    allocation: Allocation
    host: HostFacts
    found: Mapping[ProjectFile, PathFacts]
    brought: tuple[File, ...] = ()
    """The user's own agent settings for the agent's home."""
    once: tuple[str, ...] = ()
    """Hosts that it may reach as if they were in its egress list, until it is taken down."""

    @property
    def ssh(self) -> SshServer | None:
        """The agent's SSH server, if it has one."""
        return self.contribution.ssh[0] if self.contribution.ssh else None

    @property
    def signer(self) -> Committer | None:
        """Who signs commits with a key of the sandbox's own, if anyone does."""
        return next((who for who in self.contribution.committers if who.signs), None)

    @property
    def login(self) -> Login | None:
        """How the desktop logs in, if the agent accepts SSH logins."""
        port = self.allocation.ssh_port
        return Login(self.allocation.alias, port, self.program.user) if self.ssh and port else None

    @property
    def ports(self) -> tuple[Port, ...]:
        """Every desktop port that is forwarded to the agent, without duplicates, SSH first."""
        by_route = {port.route: port for port in self.contribution.ports}
        ssh = (
            (Port("127.0.0.1", self.login.port, SSHD_PORT, self.ssh.origin),)
            if self.ssh and self.login
            else ()
        )
        return (*ssh, *by_route.values())

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The configured endpoints, without duplicates, sorted."""
        by_endpoint = {u.endpoint: u for u in self.contribution.upstreams}
        return tuple(by_endpoint[endpoint] for endpoint in sorted(by_endpoint))

    def upstreams_by(self, scheme: Literal["http", "https"]) -> tuple[Upstream, ...]:
        """Return the configured endpoints of one scheme."""
        return tuple(u for u in self.upstreams if u.scheme == scheme)

    @property
    def joined_networks(self) -> tuple[str, ...]:
        """The engine's networks that the gateway joins, in the order of joining."""
        return tuple(sorted(set(self.contribution.networks)))

    @property
    def secrets(self) -> tuple[SecretRef, ...]:
        """The secrets that the gateway needs, sorted by name."""
        used = {header.secret for upstream in self.upstreams for header in upstream.headers}
        return tuple(sorted(used, key=lambda secret: secret.name))

    @property
    def egress_network(self) -> Network:
        """The network through which the gateway reaches the outside."""
        return Network(f"{self.agent}-default", self.allocation.egress_subnet, internal=False)

    @property
    def internal_network(self) -> Network:
        """The agent's only network, shared only with its gateway."""
        return Network(f"{self.agent}-internal", self.allocation.internal_subnet, internal=True)

    @property
    def addressing(self) -> Addressing:
        """Where its gateway listens, and the agent's address there."""
        if self.host.addressing:
            return self.host.addressing
        inside = self.internal_network
        return Addressing(listen=inside.address(2), clients=inside.address(3))

    @property
    def is_on_cluster(self) -> bool:
        """Its containers are Pods: they have no network of ours, and nothing is published."""
        return self.host.addressing is not None

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """All mounts, with a home volume of ours unless the config mounts something there."""
        own = Mount(HOME_VOLUME, self.program.home, read_only=False, origin=_RUNTIME)
        configured = self.contribution.mounts
        has_home = any(mount.target == own.target for mount in configured)
        return configured if has_home else (own, *configured)

    @property
    def repositories(self) -> tuple[tuple[str, GitFacts], ...]:
        """The repositories that the agent may write to, with the targets of their mounts.

        An engine elsewhere has a copy, which git on the desktop does not see.
        """
        if not self.host.shares_files:
            return ()
        writable = (m for m in self.mounts if not m.is_volume and not m.read_only)
        found = ((mount.target, self.found[mount_file(mount)].git) for mount in writable)
        return tuple((target, facts) for target, facts in found if facts)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The agent's configured environment, without duplicates."""
        return tuple({variable.name: variable for variable in self.contribution.variables}.values())

    def files_of(self, file: ProjectFile) -> tuple[File, ...]:
        """Return the files found at a configured path."""
        return self.found[file].files


def project_files(contribution: Contribution) -> tuple[ProjectFile, ...]:
    """Return every configured path whose content becomes part of the sandbox."""
    additions = (
        addition for part in fields(contribution) for addition in getattr(contribution, part.name)
    )
    return tuple(file for addition in additions for file in _files_in(addition))


def _files_in(addition: object) -> Iterator[ProjectFile]:
    """Yield the ProjectFiles in an addition at any depth, so that new kinds need no change here."""
    if isinstance(addition, ProjectFile):
        yield addition
    elif is_dataclass(addition):
        for part in fields(addition):
            yield from _files_in(getattr(addition, part.name))


def mount_files(contribution: Contribution) -> tuple[ProjectFile, ...]:
    """Return every configured path that is mounted into the agent."""
    return tuple(mount_file(mount) for mount in contribution.mounts if not mount.is_volume)


def mount_file(mount: Mount) -> ProjectFile:
    """Return the desktop path of a mount."""
    return ProjectFile(mount.source, mount.origin)


def qualified(reference: str) -> str:
    """Return the full image reference: node:24 becomes docker.io/library/node:24."""
    head, slash, _ = reference.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        return reference
    return f"docker.io/{reference}" if slash else f"docker.io/library/{reference}"
