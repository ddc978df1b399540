"""Secret values: read from their sources when needed, and stored nowhere else."""

import hashlib
import hmac
import os
import time
from collections.abc import Iterable, Mapping
from typing import NoReturn

from companion.config import env_file
from companion.errors import ConfigError
from companion.oauth import grant_store, grants
from companion.plugins.contribution import EnvVar, OAuthToken, Provider, SecretRef
from companion.project.model import AgentRef
from companion.reconcile import project_files, user_settings
from companion.reconcile.locate import Locator
from companion.sandbox.path_policy import configuring_problem
from companion.system import files
from companion.system.paths import Paths


class Secret:
    """A value that is never shown by repr() or pickled; falsy if empty."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value."""
        return self._value

    def encoded(self) -> bytes:
        """Return the original bytes from the environment or the file."""
        return self._value.encode(errors="surrogateescape")

    @property
    def is_sendable(self) -> bool:
        """Tell whether a header can hold the value: one line of printable ASCII."""
        return all(" " <= char <= "~" for char in self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is neither copied nor pickled")


NOTHING = Secret("")


def environment(ref: AgentRef, allowed: Iterable[str]) -> dict[str, Secret]:
    """Return the values of the project's .env, overridden by the agent's own.

    Args:
        ref: where the agent is configured.
        allowed: the variables of our environment that the user's settings name; no others are read.

    Raises:
        ConfigError: .env is malformed, or not a plain file of the project.
    """
    values = {n: Secret(os.environ[n]) for n in allowed if n in os.environ}
    for name, facts in project_files.configuring(ref, Locator()).items():
        if facts.holds_secrets and (problem := configuring_problem(name, facts)):
            raise ConfigError([problem])
    for file in ref.env_files:
        given = env_file.parse(files.read_text(file) or "", ref.named(file))
        values |= {name: Secret(value) for name, value in given.items()}
    return values


def resolve(home: Paths, ref: AgentRef, secrets: Iterable[SecretRef]) -> dict[SecretRef, Secret]:
    """Return the current values; one that is not set, or has expired, is empty.

    Raises:
        CompanionError: .env or the file of grants is damaged.
    """
    wanted = tuple(secrets)
    has_variables = any(isinstance(s, EnvVar) for s in wanted)
    variables = environment(ref, _allowed(home)) if has_variables else {}
    keys = [grants.key_of(s) for s in wanted if isinstance(s, OAuthToken)]
    held, now = grant_store.usable(home, ref.project.id, keys), time.time()

    def value(secret: SecretRef) -> Secret:
        match secret:
            case EnvVar(name):
                return variables.get(name, NOTHING)
            case OAuthToken():
                return Secret(grants.token(held.get(grants.key_of(secret)), now))

    return {secret: value(secret) for secret in wanted}


def client_secret(home: Paths, ref: AgentRef, provider: Provider) -> str:
    """Return the value of a provider's client_secret, "" if agent.yaml names none or it is not set.

    Raises:
        ConfigError: .env is malformed.
    """
    named = provider.client_secret
    values = environment(ref, _allowed(home)) if named else {}
    return values.get(named.name, NOTHING).reveal() if named else ""


def _allowed(home: Paths) -> tuple[str, ...]:
    return user_settings.read(home).environment


def seals(values: Mapping[SecretRef, Secret], salt: str) -> dict[SecretRef, str]:
    """Return keyed digests of secrets, which reveal only whether values are equal."""
    return {secret: _seal(value, salt) for secret, value in values.items()}


def _seal(value: Secret, salt: str) -> str:
    return hmac.new(salt.encode(), value.encoded(), hashlib.sha256).hexdigest()[:16]
