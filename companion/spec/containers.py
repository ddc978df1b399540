"""Specification for a container engine: images, networks and services as complete values."""

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import PurePath

from companion.spec.identity import SECURITY, Role, digest

INGRESS = 4
"""The number of the ingress on its networks; the gateway has 2, the agent's namespace 3."""


@dataclass(frozen=True, slots=True)
class File:
    """One generated or copied file; `path` is relative to the directory it belongs to."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Image:
    """An image with its complete build context; the tag contains a digest of both."""

    name: str
    role: Role
    files: tuple[File, ...]
    arguments: tuple[tuple[str, str], ...]

    @property
    def tag(self) -> str:
        """Name with content digest: images with the same tag are identical."""
        seal = hashlib.sha256(json.dumps(self.arguments).encode())
        for file in sorted(self.files, key=lambda f: f.path):
            seal.update(f"\0{file.path}\0{file.mode:o}\0{len(file.content)}\0".encode())
            seal.update(file.content)
        return f"localhost/companion/{self.name}:{seal.hexdigest()[:16]}"

    @property
    def recipe(self) -> str:
        """Digest of the build steps without labels: images with equal recipes share layers."""
        texts = (file.content.decode() for file in self.files if file.path == "Dockerfile")
        steps = [line for text in texts for line in text.splitlines() if line[:5] != "LABEL"]
        return digest([steps, self.arguments])

    @property
    def base(self) -> str:
        """The base image of its Dockerfile, with build arguments expanded."""
        dockerfile = next(file for file in self.files if file.path == "Dockerfile")
        lines = dockerfile.content.decode().splitlines()
        words = (line.removeprefix("FROM ") for line in lines if line.startswith("FROM "))
        named = {f"${{{key}}}": value for key, value in self.arguments}
        base = next(words, "")
        return named.get(base, base)


@dataclass(frozen=True, slots=True)
class Network:
    """A network for one agent."""

    name: str
    subnet: str
    internal: bool

    def address(self, number: int) -> str:
        """Return the subnet's address number `number`; 1 is the engine's bridge."""
        return str(ipaddress.IPv4Network(self.subnet)[number])


@dataclass(frozen=True, slots=True)
class Attachment:
    """A service's network and its address there."""

    network: str
    address: str

    @property
    def mac(self) -> str:
        """The MAC address derived from the IP address, as docker does it.

        A new container with a different one would be unreachable until its neighbors' ARP entries
        expire half a minute later.
        """
        return "02:42:" + ":".join(f"{int(part):02x}" for part in self.address.split("."))


@dataclass(frozen=True, slots=True)
class Publish:
    """A port of a desktop address, loopback by default, that is forwarded to a container's port."""

    host_port: int
    container_port: int
    host_address: str = "127.0.0.1"

    def __str__(self) -> str:
        return f"{self.host_address}:{self.host_port}:{self.container_port}"


class Directory(StrEnum):
    """The directories of our own files that are mounted into a sandbox."""

    GATEWAY = "gateway"
    """The gateway's configuration."""
    SECRETS = "secrets"
    CERTIFICATES = "certificates"
    """Leaf certificates with their keys."""
    CONTROL = "control"
    """Holds the socket on which the gateway listens for commands."""
    RESOLVER = "resolver"
    SSHD = "sshd"
    """Host key, authorized keys and configuration."""
    SIGNING = "signing"
    """The key with which the agent signs commits, and what verifies them."""
    GIT = "git"
    """Copies of what git obeys in mounted repositories."""
    BROUGHT = "brought"
    """The user's own agent settings, which the agent copies into its home."""
    REACH = "reach"
    """What the agent may reach, for the agent itself."""
    SECCOMP = "seccomp"
    """The list of system calls; read by the engine and not mounted."""


@dataclass(frozen=True, slots=True)
class Files:
    """A directory of ours, or one file in it; the driver decides its location on the host."""

    directory: Directory
    file: str = ""

    def on_host(self, root: str) -> str:
        """Return the path, where `root` holds the agent's directories."""
        return str(PurePath(root, self.directory, self.file))


@dataclass(frozen=True, slots=True)
class HostPath:
    """A desktop directory of the user; absolute, with symlinks resolved."""

    path: str

    def on_host(self, _root: str) -> str:
        """Return the path."""
        return self.path


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume that the engine keeps for the project."""

    name: str


@dataclass(frozen=True, slots=True)
class Bind:
    """A mount at `target` in the container. Source types share no field name: see `parts`."""

    source: Files | HostPath | Volume
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Service:
    """One container: the source of both the engine's argv and the compose file."""

    name: str
    role: Role
    image: str
    user: str
    command: tuple[str, ...]
    hostname: str = ""
    attachments: tuple[Attachment, ...] = ()
    joins: tuple[str, ...] = ()
    """Foreign networks, besides the attachments."""
    network_of: str = ""
    publish: tuple[Publish, ...] = ()
    binds: tuple[Bind, ...] = ()
    tmpfs: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    capabilities: tuple[str, ...] = ()
    seccomp: str = ""
    """File name of its seccomp profile in Directory.SECCOMP, with a digest of the content.

    Snapshots of versions without one have none: there the engine's own profile applies.
    """
    writable: bool = False
    """Root may write to the root file system; otherwise it is read-only."""
    sysctls: tuple[tuple[str, str], ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    workdir: str = ""
    restart: str = "no"
    memory: str = ""
    pids: int = 0
    cpus: str = ""
    cpu_shares: int = 0
    configuration: tuple[tuple[str, str], ...] = ()
    """Digests of what the container reads from its mounts at start, as (name, digest)."""
    reloads: tuple[tuple[str, str], ...] = ()
    """Digests of what it can reload while running, as (name, digest); not part of `spec`."""

    def security_options(self, profiles: str) -> tuple[str, ...]:
        """Return its security options, where the directory `profiles` holds seccomp profiles."""
        if not self.seccomp:
            return SECURITY
        return (*SECURITY, f"seccomp={PurePath(profiles, self.seccomp)}")

    @property
    def parts(self) -> Mapping[str, str]:
        """Field name → digest of its value: a comparison shows which fields differ."""
        fields = {name: value for name, value in asdict(self).items() if name != "reloads"}
        return {name: digest(value) for name, value in fields.items()}

    @property
    def spec(self) -> str:
        """Digest of the complete definition; stored as a label of the container."""
        return digest(dict(self.parts))


@dataclass(frozen=True, slots=True)
class Login:
    """SSH login from the desktop to a sandbox."""

    alias: str
    port: int
    user: str


@dataclass(frozen=True, slots=True)
class Target:
    """The desired engine objects of one agent's sandbox; plain data that can be stored."""

    agent: str
    login: Login | None
    images: tuple[Image, ...]
    networks: tuple[Network, ...]
    services: tuple[Service, ...]
    ports: tuple[int, ...] = ()
    """On a cluster, the TCP ports on which the gateway serves the agent, besides DNS."""

    def service(self, role: Role) -> Service:
        """Return the service of a role."""
        return next(s for s in self.services if s.role is role)

    def on_network(self, name: str) -> frozenset[str]:
        """Return the names of the services on a network, by their own address or another's."""
        own = {s.name for s in self.services if name in {a.network for a in s.attachments}}
        return frozenset(s.name for s in self.services if {s.name, s.network_of} & own)

    @property
    def internal(self) -> Network:
        """The network of the agent's namespace."""
        return next(n for n in self.networks if n.internal)


def digest_files(files: tuple[File, ...]) -> str:
    """Return a short digest of files, independent of their order."""
    return digest(sorted((f.path, f.mode, hashlib.sha256(f.content).hexdigest()) for f in files))
