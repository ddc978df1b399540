"""One whole sandbox as a value, before any file format."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Literal

from companion.config.models import SSHD_PORT, Egress, Limits, LogLevel
from companion.config.origin import Origin
from companion.plugins.contribution import (
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
from companion.spec.containers import File, Login, Network

HOME_VOLUME = "home"
_RUNTIME = Origin(("runtime",))


@dataclass(frozen=True, slots=True)
class PathFacts:
    """What a path of the config turned out to be on disk; `real` has its symlinks resolved."""

    kind: Literal["file", "directory", "missing"]
    real: str
    inside: bool
    links: tuple[str, ...] = ()
    """Where the symbolic links lie that lead to it."""
    files: tuple[File, ...] = ()
    """The file itself (path "") or the directory's files, where content was asked for."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another agent, or a project without one: real paths that steer it, and where it may write."""

    name: str
    steered_by: tuple[str, ...]
    writes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Allocation:
    """What was chosen once for an agent and is kept: alias, two /28 subnets and the SSH port."""

    alias: str
    egress_subnet: str
    internal_subnet: str
    ssh_port: int | None = None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the desktop tells: who the containers run as, and what they must never reach."""

    uid: int
    home: str
    own_directories: tuple[str, ...]
    addresses: tuple[str, ...]
    ca_certificate: str
    images: tuple[tuple[str, str], ...] = ()
    rootless: bool = False
    """The engine has no root: it leads the desktop in by whichever of the gateway's addresses."""
    trusted_certificates: bytes = b""
    """PEM of CAs that the gateway trusts besides the public ones."""
    ignores_case: bool = False
    """The file system takes names that differ in case only for one."""

    def image(self, reference: str) -> str:
        """Return the mirror that the user's settings give for an image, or the image."""
        mirrors = {qualified(name): mirror for name, mirror in self.images}
        return mirrors.get(qualified(reference), reference)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One agent's sandbox, complete."""

    project: str
    agent: str
    program: RuntimeProgram
    contribution: Contribution
    egress: Egress
    limits: Limits
    gateway: bool
    """All traffic goes through a gateway; without one the agent is on a network of its own."""
    log_level: LogLevel
    workdir: str
    allocation: Allocation
    host: HostFacts
    found: Mapping[ProjectFile, PathFacts]

    @property
    def ssh(self) -> SshServer | None:
        """The agent's SSH server, if it has one."""
        return self.contribution.ssh[0] if self.contribution.ssh else None

    @property
    def login(self) -> Login | None:
        """How the desktop gets in, if the agent takes logins."""
        port = self.allocation.ssh_port
        return Login(self.allocation.alias, port, self.program.user) if self.ssh and port else None

    @property
    def ports(self) -> tuple[Port, ...]:
        """Every port of the desktop that leads into the agent, each once, SSH first."""
        ways = {port.way: port for port in self.contribution.ports}
        ssh = (
            (Port("127.0.0.1", self.login.port, SSHD_PORT, self.ssh.origin),)
            if self.ssh and self.login
            else ()
        )
        return (*ssh, *ways.values())

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The configured endpoints, each once, in a stable order."""
        found = {u.endpoint: u for u in self.contribution.upstreams}
        return tuple(found[endpoint] for endpoint in sorted(found))

    def upstreams_by(self, scheme: Literal["http", "https"]) -> tuple[Upstream, ...]:
        """Return the configured endpoints of one scheme."""
        return tuple(u for u in self.upstreams if u.scheme == scheme)

    @property
    def secrets(self) -> tuple[SecretRef, ...]:
        """The secrets that the gateway needs."""
        found = {header.secret for upstream in self.upstreams for header in upstream.headers}
        return tuple(sorted(found, key=lambda secret: secret.name))

    @property
    def egress_network(self) -> Network:
        """The gateway's way out."""
        return Network(f"{self.agent}-default", self.allocation.egress_subnet, internal=False)

    @property
    def internal_network(self) -> Network:
        """The agent's only network, shared with nobody but its gateway."""
        return Network(f"{self.agent}-internal", self.allocation.internal_subnet, internal=True)

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """All mounts; a home volume of our own unless the config gives one."""
        own = Mount(HOME_VOLUME, self.program.home, read_only=False, origin=_RUNTIME)
        given = self.contribution.mounts
        return given if any(m.target == own.target for m in given) else (own, *given)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The agent's environment as the config gives it, each name once."""
        return tuple({variable.name: variable for variable in self.contribution.variables}.values())

    def files_of(self, file: ProjectFile) -> tuple[File, ...]:
        """Return the content that was found for a path of the config."""
        return self.found[file].files


def project_files(contribution: Contribution) -> tuple[ProjectFile, ...]:
    """Return every path of the config whose content becomes part of the sandbox."""
    additions = (
        addition for part in fields(contribution) for addition in getattr(contribution, part.name)
    )
    return tuple(file for addition in additions for file in _files_in(addition))


def _files_in(addition: object) -> Iterator[ProjectFile]:
    """Yield what an addition names, at any depth: a new kind of addition needs no line here."""
    if isinstance(addition, ProjectFile):
        yield addition
    elif is_dataclass(addition):
        for part in fields(addition):
            yield from _files_in(getattr(addition, part.name))


def mount_files(contribution: Contribution) -> tuple[ProjectFile, ...]:
    """Return every path of the config that the agent will see itself."""
    return tuple(mount_file(mount) for mount in contribution.mounts if not mount.is_volume)


def mount_file(mount: Mount) -> ProjectFile:
    """Return the path that a mount of the desktop names."""
    return ProjectFile(mount.source, mount.origin)


def qualified(reference: str) -> str:
    """Return an image reference as engines understand it: node:24 is docker.io/library/node:24."""
    head, slash, _ = reference.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        return reference
    return f"docker.io/{reference}" if slash else f"docker.io/library/{reference}"
