"""What do we ask of a container engine? Images, networks and services as complete values."""

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import PurePath


class Role(StrEnum):
    """The three containers of a sandbox, in the order in which they start."""

    GATEWAY = "gateway"
    NET = "net"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class File:
    """One generated or copied file; `path` is relative to the directory it belongs to."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Image:
    """An image and the whole context it is built from; the tag is a digest of both."""

    name: str
    role: Role
    files: tuple[File, ...]
    arguments: tuple[tuple[str, str], ...]

    @property
    def tag(self) -> str:
        """Name with content digest: two images of one tag are the same image."""
        seal = hashlib.sha256(json.dumps(self.arguments).encode())
        for file in sorted(self.files, key=lambda f: f.path):
            seal.update(f"\0{file.path}\0{file.mode:o}\0{len(file.content)}\0".encode())
            seal.update(file.content)
        return f"localhost/companion/{self.name}:{seal.hexdigest()[:16]}"

    @property
    def recipe(self) -> str:
        """Digest of the steps that build it, whoever it is for: such images share their layers."""
        texts = (file.content.decode() for file in self.files if file.path == "Dockerfile")
        steps = [line for text in texts for line in text.splitlines() if line[:5] != "LABEL"]
        return digest([steps, self.arguments])

    @property
    def base(self) -> str:
        """The image that its Dockerfile begins with, build arguments replaced."""
        dockerfile = next(file for file in self.files if file.path == "Dockerfile")
        lines = dockerfile.content.decode().splitlines()
        words = (line.removeprefix("FROM ") for line in lines if line.startswith("FROM "))
        named = {f"${{{key}}}": value for key, value in self.arguments}
        base = next(words, "")
        return named.get(base, base)


@dataclass(frozen=True, slots=True)
class Network:
    """A network of its own for one agent."""

    name: str
    subnet: str
    internal: bool

    def address(self, number: int) -> str:
        """Return the subnet's address number `number`; 1 is the engine's bridge."""
        return str(ipaddress.IPv4Network(self.subnet)[number])


@dataclass(frozen=True, slots=True)
class Attachment:
    """A service's place on a network."""

    network: str
    address: str

    @property
    def mac(self) -> str:
        """A MAC address that stays with the IP address, as docker derives it.

        A new container with another one would be unreachable until its neighbours' ARP entries
        expire, half a minute later.
        """
        return "02:42:" + ":".join(f"{int(part):02x}" for part in self.address.split("."))


@dataclass(frozen=True, slots=True)
class Publish:
    """A port of the desktop's loopback address that leads to a container's port."""

    host_port: int
    container_port: int
    host_address: str = "127.0.0.1"

    def __str__(self) -> str:
        return f"{self.host_address}:{self.host_port}:{self.container_port}"


class Directory(StrEnum):
    """The directories of our own files that a sandbox has mounted."""

    GATEWAY = "gateway"
    """The gateway's configuration."""
    SECRETS = "secrets"
    CERTIFICATES = "certificates"
    """Leaf certificates with their keys."""
    CONTROL = "control"
    """Shared with the gateway, which listens on a socket in it."""
    RESOLVER = "resolver"
    SSHD = "sshd"
    """Host key, authorized keys and configuration."""


@dataclass(frozen=True, slots=True)
class Files:
    """A directory of ours, or one file in it; where it lies is the driver's business."""

    directory: Directory
    file: str = ""

    def on_host(self, root: str) -> str:
        """Return the path, where `root` holds the agent's directories."""
        return str(PurePath(root, self.directory, self.file))


@dataclass(frozen=True, slots=True)
class HostPath:
    """A directory of the user's on the desktop; absolute, symlinks resolved."""

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
    """What the container sees at `target`. The kinds of source share no field: see `parts`."""

    source: Files | HostPath | Volume
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Service:
    """One container, whole: from this value come the engine's argv and the compose file."""

    name: str
    role: Role
    image: str
    user: str
    command: tuple[str, ...]
    hostname: str = ""
    attachments: tuple[Attachment, ...] = ()
    joins: tuple[str, ...] = ()
    """Networks that are not ours, besides the attachments."""
    network_of: str = ""
    publish: tuple[Publish, ...] = ()
    binds: tuple[Bind, ...] = ()
    tmpfs: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    capabilities: tuple[str, ...] = ()
    seccomp: str = ""
    """Path of the list of system calls, on the desktop; without it the engine's own holds."""
    writable: bool = False
    """Its own system may be written, by root; else it is read-only for everybody."""
    sysctls: tuple[tuple[str, str], ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    workdir: str = ""
    restart: str = "no"
    memory: str = ""
    pids: int = 0
    cpus: str = ""
    cpu_shares: int = 0
    configuration: tuple[tuple[str, str], ...] = ()
    """Digests of what the container reads from its mounts at start: name → digest."""
    reloads: tuple[tuple[str, str], ...] = ()
    """Digests of what it can take in while it runs: name → digest. No part of its identity."""

    @property
    def parts(self) -> Mapping[str, str]:
        """Field name → digest of its value: comparing two says *what* differs."""
        fields = {name: value for name, value in asdict(self).items() if name != "reloads"}
        return {name: digest(value) for name, value in fields.items()}

    @property
    def spec(self) -> str:
        """Digest of the whole definition; the container carries it as a label."""
        return digest(dict(self.parts))


@dataclass(frozen=True, slots=True)
class Login:
    """How the desktop gets into a sandbox."""

    alias: str
    port: int
    user: str


@dataclass(frozen=True, slots=True)
class Target:
    """All that the engine shall hold of one agent's sandbox; plain data, so that it can be kept."""

    agent: str
    login: Login | None
    images: tuple[Image, ...]
    networks: tuple[Network, ...]
    services: tuple[Service, ...]

    def service(self, role: Role) -> Service:
        """Return the service of a role."""
        return next(s for s in self.services if s.role is role)

    @property
    def internal(self) -> Network:
        """The network that the agent's namespace is on."""
        return next(n for n in self.networks if n.internal)


def digest(value: object) -> str:
    """Return a short digest of plain data, the same for equal data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def digest_files(files: tuple[File, ...]) -> str:
    """Return a short digest of files, whatever their order."""
    return digest(sorted((f.path, f.mode, hashlib.sha256(f.content).hexdigest()) for f in files))
