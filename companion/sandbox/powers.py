"""Powers: what a configuration opens beyond a closed sandbox, as values that a user agrees to.

Pure. The user is asked for every power of a project that somebody else wrote. After that, a power
that was not agreed to is asked for: always if it reaches the desktop, a secret or another machine
(`ALWAYS_ASKED`), and otherwise only if the text came with a checkout.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from companion.config.origin import Origin
from companion.config.request_rules import lie_within
from companion.errors import Position

_DIGITS = 40
"""Of a digest that people copy: who wants two configurations with one needs 2^80 tries."""


FENCED = "fenced"
"""Subject of a BUILD_NETWORK that reaches the internet only; without it, it reaches everything."""


PACKAGE = "installs as root while it is built: Debian's "
"""What the text of a PACKAGE begins with; its name follows."""


class Kind(StrEnum):
    """The kind of a power: its code in `--json`."""

    NO_GATEWAY = "no-gateway"
    OPEN_EGRESS = "open-egress"
    WILDCARD = "wildcard"
    HOST = "host"
    SERVICE = "service"
    ENGINE_NETWORK = "engine-network"
    SECRET = "secret"  # noqa: S105 - the kind, not a secret
    LOGIN = "login"
    FOREIGN_WRITE = "foreign-write"
    FOREIGN_READ = "foreign-read"
    PROJECT_WRITE = "project-write"
    PROJECT_READ = "project-read"
    PUBLIC_PORT = "public-port"
    PORT = "port"
    IMAGE = "image"
    PACKAGE = "package"
    BUILD = "build"
    VERSION = "version"
    BUILD_NETWORK = "build-network"
    ROOT_HOOK = "root-hook"
    CAPABILITY = "capability"
    HOOK = "hook"
    COMMAND = "command"
    VARIABLE = "variable"
    COMMITTER = "committer"
    HOME = "home"
    KEYS = "keys"
    HOST_KEY = "host-key"
    EDITOR = "editor"
    CHAT = "chat"
    LIMITS = "limits"
    ENGINE = "engine"
    PLACE = "place"


ALWAYS_ASKED = frozenset({
    Kind.NO_GATEWAY, Kind.OPEN_EGRESS, Kind.WILDCARD, Kind.SERVICE, Kind.ENGINE_NETWORK,
    Kind.SECRET, Kind.LOGIN, Kind.FOREIGN_WRITE, Kind.FOREIGN_READ, Kind.PUBLIC_PORT,
    Kind.ROOT_HOOK, Kind.CAPABILITY, Kind.EDITOR, Kind.PLACE,
})  # fmt: skip
"""Powers that are asked for whenever they are new, whoever wrote them."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """A power without its words: what is compared, and remembered of an agreement."""

    kind: Kind
    subject: str
    """What it concerns: a path, a host, a command; in one spelling."""
    content: str = ""
    """Digest of the content of the file that it names; of a service, its request rules."""


@dataclass(frozen=True, slots=True)
class Power:
    """One thing that a configuration opens."""

    agreed: Agreed
    text: str
    """A sentence without its subject (the sandbox), in plain words."""
    origin: Origin | None = None
    place: Position | None = None
    """Where the project's files ask for it."""
    path: str = ""
    """The absolute path of the file whose content is part of it."""
    links: tuple[str, ...] = ()
    """The symbolic links that lead there: who sets them chooses the content."""

    @property
    def kind(self) -> Kind:
        """Its kind."""
        return self.agreed.kind

    @property
    def file(self) -> str:
        """The file that asks for it, relative to the project; "" if that is not known."""
        return self.place.file if self.place else ""


def grown(
    asked: Iterable[Power],
    agreed: Collection[Agreed],
    came_with_a_checkout: Callable[[Power, bool], bool],
) -> tuple[Power, ...]:
    """Return the powers that the user must be asked for before they are used.

    Args:
        asked: what the configuration opens now.
        agreed: what the user agreed to.
        came_with_a_checkout: tells whether the text that asks for a power did (if it is new), or
            else the content of the file that it names; and was not written by the user.
    """
    known = {(one.kind, one.subject) for one in agreed}

    def is_asked(power: Power) -> bool:
        if is_covered(power.agreed, agreed):
            return False
        is_new = (power.kind, power.agreed.subject) not in known
        if is_new and power.kind in ALWAYS_ASKED:
            return True
        return came_with_a_checkout(power, is_new)

    return tuple(power for power in asked if is_asked(power))


def is_covered(one: Agreed, agreed: Collection[Agreed]) -> bool:
    """Tell whether a power lies within what was agreed to."""
    if one in agreed:
        return True
    kinds = {other.kind for other in agreed}
    match one.kind:
        case Kind.FOREIGN_READ:
            return Agreed(Kind.FOREIGN_WRITE, one.subject) in agreed
        case Kind.PROJECT_READ:
            return Agreed(Kind.PROJECT_WRITE, one.subject) in agreed
        case Kind.HOST | Kind.WILDCARD if kinds & {Kind.OPEN_EGRESS, Kind.NO_GATEWAY}:
            return True
        case Kind.HOST | Kind.WILDCARD:
            wide = (other.subject[1:] for other in agreed if other.kind is Kind.WILDCARD)
            return any(one.subject.endswith(suffix) for suffix in wide)
        case Kind.BUILD_NETWORK:
            return one.subject == FENCED and Agreed(Kind.BUILD_NETWORK, "") in agreed
        case Kind.SECRET | Kind.SERVICE:
            same = (o for o in agreed if (o.kind, o.subject) == (one.kind, one.subject))
            return any(lie_within(one.content, other.content) for other in same)
        case Kind.OPEN_EGRESS:
            return Kind.NO_GATEWAY in kinds
        case _:
            return False


def digest_of(by_agent: Mapping[str, Iterable[Power]]) -> str:
    """Return the digest of all powers of a project's agents, for `companion trust --digest`."""
    rows = {
        agent: sorted((a.kind, a.subject, a.content) for a in (power.agreed for power in asked))
        for agent, asked in by_agent.items()
    }
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:_DIGITS]
