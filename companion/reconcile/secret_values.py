"""Secret values: read from their sources when needed, and stored nowhere else."""

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from companion.config import env_file
from companion.errors import CompanionError, ConfigError, Problem
from companion.keychain import cache, store
from companion.keychain.desktop import KeychainError, NoKeychainError
from companion.keychain.sources import Source, sources
from companion.oauth import grant_store, grants
from companion.oauth.client_secret import ClientSecret
from companion.plugins.contribution import (
    Contribution,
    EnvVar,
    OAuthToken,
    Provider,
    SecretRef,
)
from companion.plugins.secret_uses import Use, uses
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
NOT_FETCHED = Secret("")
"""Stands for a value that was not read in this process: only its last seal is known."""


@dataclass(frozen=True, slots=True)
class Variables:
    """Where the variables that a config uses have their values, the first place first."""

    project: Mapping[str, Secret]
    """From the project's .env."""
    sources: Mapping[str, Source]
    """The user's own secrets, each bound to hosts."""
    desktop: Mapping[str, Secret]
    """From our environment: those that the user's settings name."""
    uses: tuple[Use, ...]
    """What the config uses variables for."""

    def source(self, name: str) -> Source | None:
        """Return the user's secret that a variable stands for, if it has no value in .env."""
        return None if self.project.get(name) else self.sources.get(name)

    def unbound(self, name: str) -> tuple[Use, ...]:
        """Return the uses that a secret of the user's is not bound to."""
        source = self.source(name)
        if source is None:
            return ()
        mine = (use for use in self.uses if use.name == name)
        return tuple(use for use in mine if use.binding not in source.hosts)

    def value(self, name: str) -> Secret:
        """Return a value; empty if there is none, or if the config sends it where it must not go.

        Nothing is read from the keychain or a command: fetch() does that.
        """
        if source := self.source(name):
            known = None if self.unbound(name) else cache.value(source)
            return NOT_FETCHED if known is None else Secret(known)
        return self.project.get(name) or self.desktop.get(name, NOTHING)

    def is_given(self, name: str) -> bool:
        """Tell whether a variable has a value, or a source that is expected to have one."""
        return bool(self.source(name) or self.value(name))

    @property
    def origins(self) -> Mapping[str, str]:
        """Where the values of the user's own secrets come from: name → `from …`."""
        found = {u.name: self.source(u.name) for u in self.uses if not self.unbound(u.name)}
        return {name: source.words for name, source in found.items() if source}


def variables(home: Paths, ref: AgentRef, contribution: Contribution) -> Variables:
    """Return where the variables of a config have their values.

    Raises:
        ConfigError: .env is malformed, or not a plain file of the project; or the user's settings
            are.
        CompanionError: our file of secrets is damaged.
    """
    settings = user_settings.read(home)
    for name, facts in project_files.configuring(ref, Locator()).items():
        if facts.holds_secrets and (problem := configuring_problem(name, facts)):
            raise ConfigError([problem])
    project: dict[str, Secret] = {}
    for file in ref.env_files:
        given = env_file.parse(files.read_text(file) or "", ref.named(file))
        project |= {name: Secret(value) for name, value in given.items()}
    desktop = {n: Secret(os.environ[n]) for n in settings.environment if n in os.environ}
    owned = sources(store.held(home), settings)
    return Variables(project, owned, desktop, tuple(uses(contribution)))


def fetch(
    home: Paths,
    ref: AgentRef,
    contribution: Contribution,
    tell: Callable[[str], None],
    *,
    asks: bool = True,
) -> tuple[str, ...]:
    """Read the user's secrets that a config uses, where that is due; return the names of new ones.

    Only what is bound to all hosts that the config sends it to is read. The user may be asked to
    unlock the keychain, or by a command; with `asks=False` no command runs.

    Raises:
        ConfigError: says of each one that cannot be read why.
    """
    known = variables(home, ref, contribution)
    renewed: list[str] = []
    problems: list[Problem] = []
    for name in dict.fromkeys(use.name for use in known.uses):
        source = known.source(name)
        if source is None or known.unbound(name) or (source.command and not asks):
            continue
        try:
            if cache.fetch(home, source, tell):
                renewed.append(name)
        except CompanionError as error:
            problems += (p._replace(what=f"{name}: {p.what}") for p in error.problems)
            if isinstance(error, NoKeychainError | KeychainError):
                break  # it would be the same for the next one, and the user is asked once
    if problems:
        raise ConfigError(problems)
    return tuple(renewed)


def next_due(home: Paths, names: Iterable[str]) -> float:
    """Return when the first of these secrets is to be read again, in Unix seconds.

    Raises:
        CompanionError: our file of secrets or the settings are damaged.
    """
    owned = sources(store.held(home), user_settings.read(home))
    return cache.next_due(owned[name] for name in names if name in owned)


def resolve(
    home: Paths, ref: AgentRef, contribution: Contribution, wanted: Iterable[SecretRef]
) -> dict[SecretRef, Secret]:
    """Return the current values; one that is not set, or has expired, is empty.

    Raises:
        CompanionError: .env or the file of grants is damaged.
    """
    wanted = tuple(wanted)
    has_variables = any(isinstance(s, EnvVar) for s in wanted)
    known = variables(home, ref, contribution) if has_variables else None
    keys = [grants.key_of(s) for s in wanted if isinstance(s, OAuthToken)]
    held, now = grant_store.usable(home, ref.project.id, keys), time.time()

    def value(secret: SecretRef) -> Secret:
        match secret:
            case EnvVar(name):
                return known.value(name) if known else NOTHING
            case OAuthToken():
                return Secret(grants.token(held.get(grants.key_of(secret)), now))

    return {secret: value(secret) for secret in wanted}


def client_secret(home: Paths, ref: AgentRef, provider: Provider) -> ClientSecret:
    """Return a provider's client_secret, without a value if agent.yaml names none or it is not set.

    Raises:
        ConfigError: .env is malformed, or a secret of the user's cannot be read.
    """
    if provider.client_secret is None:
        return ClientSecret()
    alone = Contribution(providers=(provider,))
    fetch(home, ref, alone, lambda _: None)
    known, name = variables(home, ref, alone), provider.client_secret.name
    source = known.source(name)
    return ClientSecret(known.value(name).reveal(), name, source.hosts if source else None)


def seals(
    values: Mapping[SecretRef, Secret], salt: str, last: Mapping[str, str] | None = None
) -> dict[SecretRef, str]:
    """Return keyed digests of secrets, which reveal only whether values are equal.

    Args:
        values: the values to seal.
        salt: the key.
        last: the last seals by name; what was not fetched is taken to be as it was.
    """
    return {
        secret: (last or {}).get(secret.name, "") if value is NOT_FETCHED else _seal(value, salt)
        for secret, value in values.items()
    }


def _seal(value: Secret, salt: str) -> str:
    return hmac.new(salt.encode(), value.encoded(), hashlib.sha256).hexdigest()[:16]
