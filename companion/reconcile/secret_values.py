"""Secret values: read where they stand, to write a file or make a seal, and kept nowhere."""

import hashlib
import hmac
import os
import time
from collections.abc import Iterable, Mapping
from typing import NoReturn

from companion.config import env_file
from companion.oauth import grant_store, grants
from companion.plugins.contribution import EnvVar, OAuthToken, Provider, SecretRef
from companion.project.model import AgentRef
from companion.system import files
from companion.system.paths import Paths


class Secret:
    """A value that no repr shows and no pickle takes along; false while there is none."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value."""
        return self._value

    def encoded(self) -> bytes:
        """Return the bytes that the environment or the file held."""
        return self._value.encode(errors="surrogateescape")

    @property
    def is_sendable(self) -> bool:
        """Tell whether a header may hold it: one line of printable ASCII."""
        return all(" " <= char <= "~" for char in self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is neither copied nor pickled")


NOTHING = Secret("")


def environment(ref: AgentRef) -> dict[str, Secret]:
    """Return our environment with the project's .env on top, and the agent's own on top of that.

    Raises:
        ConfigError: .env is malformed.
    """
    values = {name: Secret(value) for name, value in os.environ.items()}
    for file in ref.env_files:
        given = env_file.parse(files.read_text(file) or "", ref.named(file))
        values |= {name: Secret(value) for name, value in given.items()}
    return values


def resolve(home: Paths, ref: AgentRef, secrets: Iterable[SecretRef]) -> dict[SecretRef, Secret]:
    """Return the values that count now; one that is not set, or has ended, is empty.

    Raises:
        CompanionError: .env or the file of the grants is damaged.
    """
    wanted = tuple(secrets)
    variables = environment(ref) if any(isinstance(s, EnvVar) for s in wanted) else {}
    tokens = any(isinstance(s, OAuthToken) for s in wanted)
    held, now = grant_store.read(home, ref.project.id) if tokens else {}, time.time()

    def value(secret: SecretRef) -> Secret:
        match secret:
            case EnvVar(name):
                return variables.get(name, NOTHING)
            case OAuthToken():
                return Secret(grants.token(held.get(grants.key_of(secret)), now))

    return {secret: value(secret) for secret in wanted}


def client_secret(ref: AgentRef, provider: Provider) -> str:
    """Return the value of a provider's client_secret, "" if agent.yaml names none or it is not set.

    Raises:
        ConfigError: .env is malformed.
    """
    named = provider.client_secret
    return environment(ref).get(named.name, NOTHING).reveal() if named else ""


def seals(values: Mapping[SecretRef, Secret], salt: str) -> dict[SecretRef, str]:
    """Return keyed digests of secrets: equal values show as equal, and nothing else shows."""
    return {secret: _seal(value, salt) for secret, value in values.items()}


def _seal(value: Secret, salt: str) -> str:
    return hmac.new(salt.encode(), value.encoded(), hashlib.sha256).hexdigest()[:16]
