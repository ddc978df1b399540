"""What can one plugin add to a sandbox, and when do two additions clash?"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from companion.config.origin import Origin
from companion.errors import Problem


@dataclass(frozen=True, slots=True)
class EnvVar:
    """A secret that a variable of .env or of our environment holds."""

    name: str


@dataclass(frozen=True, slots=True)
class OAuthToken:
    """A secret that an MCP server gives: the access token that the user granted us there."""

    provider: str
    url: str
    client_id: str

    @property
    def name(self) -> str:
        """What the gateway calls it; no variable has such a name.

        Another server or client has another one, so that no gateway takes its token for this one's.
        """
        who = hashlib.sha256(f"{self.url} {self.client_id}".encode()).hexdigest()
        return f"oauth.{self.provider}.{who[:12]}"


SecretRef: TypeAlias = EnvVar | OAuthToken
"""Where a secret is found; its value is read only to write a file or to make a seal."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header that the gateway sets, with a secret in it."""

    name: str
    prefix: str
    secret: SecretRef
    suffix: str
    basic_user: str = ""
    """With it, the value is that of HTTP's Basic scheme: user and secret, in base64."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """One endpoint that the agent may reach, and what the gateway adds on the way there."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    headers: tuple[Header, ...]
    origin: Origin

    @property
    def endpoint(self) -> str:
        """`host:port`, the key of everything that the gateway decides."""
        return f"{self.host}:{self.port}"

    @property
    def meaning(self) -> tuple[object, ...]:
        """What it is, whoever asked for it."""
        return self.scheme, self.endpoint, self.headers


@dataclass(frozen=True, slots=True)
class Provider:
    """An MCP server where the user authorises us by OAuth."""

    name: str
    url: str
    client_id: str
    client_secret: EnvVar | None
    origin: Origin

    @property
    def token(self) -> OAuthToken:
        """Its access token."""
        return OAuthToken(self.name, self.url, self.client_id)

    @property
    def meaning(self) -> tuple[object, ...]:
        """What it is, whoever asked for it."""
        return self.url, self.client_id, self.client_secret


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file or directory of the project that an option of a plugin names."""

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
        """Tell a named volume from a path."""
        return not self.source.startswith(("/", "."))


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable of the agent; never a secret."""

    name: str
    value: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class HomeFile:
    """A file that the agent's home begins with; the project's own of that path counts more."""

    path: str
    text: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class SshServer:
    """The agent takes logins. `port` is the desktop's port, None: choose one and keep it."""

    port: int | None
    authorized_keys: ProjectFile | None
    host_key: ProjectFile | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the desktop that leads to a port of the agent."""

    address: str
    host: int
    container: int
    origin: Origin

    @property
    def way(self) -> tuple[str, int, int]:
        """Where it leads, whoever asked for it."""
        return self.address, self.host, self.container


@dataclass(frozen=True, slots=True)
class RuntimeProgram:
    """The program that the sandbox is for, and the image it needs."""

    base_image: str
    install: tuple[str, ...]
    command: tuple[str, ...]
    acp_command: tuple[str, ...]
    user: str
    ports: tuple[Port, ...] = ()
    packages: tuple[str, ...] = ()

    @property
    def home(self) -> str:
        """The agent user's home directory in the container."""
        return f"/home/{self.user}"


@dataclass(frozen=True, slots=True)
class Contribution:
    """Everything that a plugin adds. Merging joins each part in order: a monoid."""

    packages: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    hooks: tuple[ProjectFile, ...] = ()
    root_hooks: tuple[ProjectFile, ...] = ()
    """Scripts that root runs at each start, before everything else and for nothing else."""
    capabilities: tuple[str, ...] = ()
    """What root may do in the root hooks, besides becoming the agent."""
    overlays: tuple[ProjectFile, ...] = ()
    home: tuple[HomeFile, ...] = ()
    mounts: tuple[Mount, ...] = ()
    variables: tuple[Variable, ...] = ()
    upstreams: tuple[Upstream, ...] = ()
    providers: tuple[Provider, ...] = ()
    networks: tuple[str, ...] = ()
    """Networks of the engine that are not ours, on which the gateway finds services."""
    ssh: tuple[SshServer, ...] = ()
    ports: tuple[Port, ...] = ()

    def __add__(self, other: "Contribution") -> "Contribution":
        return Contribution(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )


def secrets(contribution: Contribution) -> tuple[SecretRef, ...]:
    """Return every secret that is used, by the gateway or to authorise us, each once."""
    sent = (header.secret for upstream in contribution.upstreams for header in upstream.headers)
    shown = (provider.client_secret for provider in contribution.providers)
    return tuple(dict.fromkeys((*sent, *filter(None, shown))))


def merge(parts: Iterable[Contribution]) -> Contribution:
    """Return all parts as one, in order."""
    return sum(parts, start=Contribution())


def clashes(contribution: Contribution) -> tuple[tuple[Origin, Problem], ...]:
    """Return, for each pair of additions that cannot both hold, the second one and the problem."""
    return (
        *_conflicts("variable", ((v.name, v.value, v.origin) for v in contribution.variables)),
        *_conflicts("service", ((u.endpoint, u.meaning, u.origin) for u in contribution.upstreams)),
        *_conflicts("provider", ((p.name, p.meaning, p.origin) for p in contribution.providers)),
        *_conflicts("mount at", ((m.target, m, m.origin) for m in contribution.mounts)),
        *_conflicts("file in the home", ((f.path, f.text, f.origin) for f in contribution.home)),
        *_conflicts("home overlay", (("", o, o.origin) for o in contribution.overlays)),
        *_conflicts("desktop's port", _ports(contribution)),
        *_conflicts("ssh server", (("", s, s.origin) for s in contribution.ssh)),
        *_mixed_ports(contribution),
    )


def _mixed_ports(contribution: Contribution) -> Iterator[tuple[Origin, Problem]]:
    """Yield a problem for each service on a port where others speak TLS and it does not, or so."""
    first = {80: "http", 443: "https"}
    for upstream in contribution.upstreams:
        scheme = first.setdefault(upstream.port, upstream.scheme)
        if scheme != upstream.scheme:
            what = f"{upstream.scheme}://{upstream.endpoint} is on a port of {scheme} services"
            yield upstream.origin, Problem(what, "the gateway takes one of both on a port")


def _ports(contribution: Contribution) -> Iterator[tuple[str, object, Origin]]:
    yield from ((str(p.host), p.way, p.origin) for p in contribution.ports)
    yield from ((str(s.port), s, s.origin) for s in contribution.ssh if s.port)


def _conflicts(
    what: str, claims: Iterable[tuple[str, object, Origin]]
) -> Iterator[tuple[Origin, Problem]]:
    first: dict[str, tuple[object, Origin]] = {}
    for key, value, origin in claims:
        held, holder = first.setdefault(key, (value, origin))
        if held != value:
            name = f"{what} {key}".strip()
            both = f"{holder} and {origin} both define the {name}"
            yield origin, Problem(both, "remove one of them")
