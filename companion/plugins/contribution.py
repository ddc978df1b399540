"""Contribution: what one plugin can add to a sandbox, and which additions clash."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from companion.config.origin import Origin
from companion.config.request_rules import NO_RULES, Rules


@dataclass(frozen=True, slots=True)
class EnvVar:
    """A secret that is stored in a variable of .env or of our environment."""

    name: str


@dataclass(frozen=True, slots=True)
class OAuthToken:
    """A secret that a server issued: the access token that the user granted us."""

    provider: str
    url: str
    client_id: str
    is_account: bool = False
    """It belongs to the user's account at a vendor, not to one project."""

    @property
    def name(self) -> str:
        """The token's name in the gateway, which no variable can have.

        It differs per server and client, so that no gateway uses a token of another one.
        """
        if self.is_account:
            return f"account.{self.provider}"
        issuer = hashlib.sha256(f"{self.url} {self.client_id}".encode()).hexdigest()
        return f"oauth.{self.provider}.{issuer[:12]}"


SecretRef: TypeAlias = EnvVar | OAuthToken
"""Reference to a secret; its value is read only to write a file or compute a seal."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header with a secret, set by the gateway."""

    name: str
    prefix: str
    secret: SecretRef
    suffix: str
    basic_user: str = ""
    """If set, the value is HTTP Basic authentication: this user and the secret, in base64."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """One endpoint that the agent may reach, and the headers that the gateway adds."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    headers: tuple[Header, ...]
    origin: Origin
    network: str = ""
    """The joined network whose DNS server resolves the host; empty: the engine's resolver does."""
    rules: Rules = NO_RULES
    """Which requests are let through."""

    @property
    def endpoint(self) -> str:
        """`host:port`, the key of all the gateway's decisions."""
        return f"{self.host}:{self.port}"

    @property
    def place(self) -> str:
        """The endpoint in words that no other endpoint shares."""
        where = f" on the network {self.network}" if self.network else ""
        return f"{self.scheme}://{self.endpoint}{where}"

    @property
    def meaning(self) -> tuple[object, ...]:
        """The upstream without its origin: equal ones do not clash."""
        return self.scheme, self.endpoint, self.headers, self.rules


@dataclass(frozen=True, slots=True)
class Provider:
    """A server where the user authorizes us by OAuth: an MCP server, or a vendor of models."""

    name: str
    url: str
    client_id: str
    client_secret: EnvVar | None
    origin: Origin
    is_account: bool = False
    """The user logs in once for all sandboxes; otherwise a grant belongs to one project."""

    @property
    def token(self) -> OAuthToken:
        """Its access token."""
        return OAuthToken(self.name, self.url, self.client_id, self.is_account)

    @property
    def meaning(self) -> tuple[object, ...]:
        """The provider without its origin: equal ones do not clash."""
        return self.url, self.client_id, self.client_secret, self.is_account


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file or directory of the project that a plugin's option names."""

    path: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Mount:
    """A named volume or a directory of the project that the agent sees at `target`."""

    source: str
    target: str
    read_only: bool
    origin: Origin

    @property
    def is_volume(self) -> bool:
        """Whether the source is a named volume rather than a path."""
        return not self.source.startswith(("/", "."))


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable of the agent; never a secret."""

    name: str
    value: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Command:
    """A shell command that runs as root while the image is built."""

    text: str
    origin: Origin | None = None
    """None: a plugin wrote it, not the project."""


@dataclass(frozen=True, slots=True)
class HomeFile:
    """A file in the agent's initial home; the project's own file of that path overrides it."""

    path: str
    text: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class SshServer:
    """The agent's SSH server. `port` is the desktop's port; None: choose one and keep it."""

    port: int | None
    authorized_keys: ProjectFile | None
    host_key: ProjectFile | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class Port:
    """A desktop port that is forwarded to a port of the agent."""

    address: str
    host: int
    container: int
    origin: Origin

    @property
    def route(self) -> tuple[str, int, int]:
        """The port without its origin: equal ones do not clash."""
        return self.address, self.host, self.container


@dataclass(frozen=True, slots=True)
class RuntimeProgram:
    """The agent program and the image that it needs."""

    base_image: str
    install: tuple[str, ...]
    command: tuple[str, ...]
    acp_command: tuple[str, ...]
    user: str
    ports: tuple[Port, ...] = ()
    packages: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    """(name, value) in the agent's environment; configured ones override them."""
    home_files: tuple[tuple[str, str], ...] = ()
    """(path, text) of files in the agent's initial home; all others of that path override them."""

    @property
    def home(self) -> str:
        """The agent user's home directory in the container."""
        return f"/home/{self.user}"


@dataclass(frozen=True, slots=True)
class Committer:
    """Who the agent's commits are by; "" leaves that to the agent."""

    name: str
    email: str
    signs: bool
    """With a key of the sandbox's own."""
    origin: Origin


@dataclass(frozen=True, slots=True)
class Contribution:
    """Everything that a plugin adds. Merging concatenates each field in order: a monoid."""

    packages: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    hooks: tuple[ProjectFile, ...] = ()
    root_hooks: tuple[ProjectFile, ...] = ()
    """Scripts that run as root at each start, before everything else."""
    capabilities: tuple[str, ...] = ()
    """Capabilities of the root hooks, besides those needed to become the agent."""
    overlays: tuple[ProjectFile, ...] = ()
    home: tuple[HomeFile, ...] = ()
    mounts: tuple[Mount, ...] = ()
    variables: tuple[Variable, ...] = ()
    upstreams: tuple[Upstream, ...] = ()
    providers: tuple[Provider, ...] = ()
    networks: tuple[str, ...] = ()
    """Foreign networks of the engine, where the gateway reaches services."""
    ssh: tuple[SshServer, ...] = ()
    ports: tuple[Port, ...] = ()
    committers: tuple[Committer, ...] = ()

    def __add__(self, other: "Contribution") -> "Contribution":
        return Contribution(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )


def secrets(contribution: Contribution) -> tuple[SecretRef, ...]:
    """Return every secret used by the gateway or for OAuth, without duplicates."""
    injected = (h.secret for upstream in contribution.upstreams for h in upstream.headers)
    client_secrets = (provider.client_secret for provider in contribution.providers)
    return tuple(dict.fromkeys((*injected, *filter(None, client_secrets))))


def merge(parts: Iterable[Contribution]) -> Contribution:
    """Return the concatenation of all parts, in order."""
    return sum(parts, start=Contribution())
