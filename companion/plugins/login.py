"""Logins: the ways in which an agent program proves to its model's vendor who pays."""

from collections.abc import Mapping
from dataclasses import dataclass

from companion.config.strict_yaml import Plain


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret that the gateway adds to requests to one host, and how to test it."""

    variable: str
    """The variable that agent.yaml names for it, unless it names another one."""
    host: str
    header: str
    prefix: str
    """What precedes the secret in its header."""
    path: str
    """A harmless request to the host, which shows whether the secret is valid: a list of models."""
    also: tuple[tuple[str, str], ...] = ()
    """Further headers of that request."""
    begins: str = ""
    """What each such secret begins with; empty: anything."""

    @property
    def url(self) -> str:
        """The harmless request's URL."""
        return f"https://{self.host}{self.path}"


@dataclass(frozen=True, slots=True)
class ModelLogin:
    """One way to log in."""

    mode: str
    """What `companion login --mode` calls it."""
    title: str
    """What is used, with its article: `an API key of the OpenAI platform`."""
    source: str
    """How the user gets it."""
    options: Mapping[str, Plain]
    """The feature's keys in agent.yaml, `${…}` included."""
    credential: Credential | None = None
    """None: an account, to which the user logs in with the browser."""
