"""What do the answers of OAuth's servers mean, and which addresses do we speak to at all? Pure."""

import re
from collections.abc import Iterable
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from companion.errors import CompanionError

AN_HOUR = 3600.0
_FOREVER = 1e9
_ERROR = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")
_TOKEN = re.compile(r"[!-~]+\Z")


def is_safe(url: str) -> bool:
    """Tell whether a URL is one that we speak to: https, with a host and nothing hidden in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = bool(_TOKEN.match(url)) and not set('"<>\\^`{|}') & set(url)
    return plain and parts.scheme == "https" and bool(parts.hostname) and not _hides(url)


def _hides(url: str) -> bool:
    parts = urlsplit(url)
    return "@" in parts.netloc or "#" in url


def _endpoint(url: str) -> str:
    if not is_safe(url):
        raise ValueError("is no https address")
    return url


def _sendable(token: str) -> str:
    if not _TOKEN.match(token):
        raise ValueError("cannot be sent in a header")
    return token


Endpoint = Annotated[str, AfterValidator(_endpoint)]
Sendable = Annotated[str, AfterValidator(_sendable)]


class Answer(BaseModel):
    """What a server answered; what we do not know of it is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Resource(Answer):
    """What an MCP server says of itself (RFC 9728)."""

    resource: Endpoint
    authorization_servers: Annotated[tuple[Endpoint, ...], Field(min_length=1)]
    scopes_supported: tuple[str, ...] | None = None

    @property
    def issuer(self) -> str:
        """The authorization server that we go to: the first that it names."""
        return self.authorization_servers[0]


class Server(Answer):
    """What an authorization server says of itself (RFC 8414)."""

    issuer: Endpoint
    authorization_endpoint: Endpoint
    token_endpoint: Endpoint
    registration_endpoint: Endpoint | None = None
    code_challenge_methods_supported: tuple[str, ...] | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    scopes_supported: tuple[str, ...] | None = None
    authorization_response_iss_parameter_supported: bool = False


class Client(Answer):
    """Who we are at an authorization server (RFC 7591); `method`: how the secret is shown."""

    client_id: Sendable
    client_secret: str | None = Field(default=None, repr=False)
    method: str = Field(default="", alias="token_endpoint_auth_method")


class Tokens(Answer):
    """What a token endpoint gives; seconds."""

    access_token: Sendable = Field(repr=False)
    token_type: str
    expires_in: float | None = None
    refresh_token: str | None = Field(default=None, repr=False)

    @property
    def life(self) -> float:
        """How long the access token counts; servers that do not say mean an hour, mostly."""
        given = self.expires_in or 0.0
        return given if 0 < given < _FOREVER else AN_HOUR


class _Refusal(Answer):
    error: Annotated[str, Field(pattern=_ERROR.pattern)]
    error_description: str | None = None


A = TypeVar("A", bound=Answer)


def parsed(model: type[A], text: str, what: str) -> A:
    """Decode an answer; what is wrong with it is said without a value, which may be a secret."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        wrong = {str(loc[0]) for detail in error.errors() if (loc := detail["loc"])}
        names = ", ".join(sorted(wrong))
        about = f": {names}" if names else ""
        raise CompanionError(f"{what} is not what OAuth says{about}", "tell who runs it") from None


def refusal(text: str, hidden: Iterable[str]) -> tuple[str, str]:
    """Return the error code of an answer, "" if it is none of OAuth's, and a sentence on it."""
    try:
        said = _Refusal.model_validate_json(text)
    except ValidationError:
        return "", ""
    return said.error, sentence(said.error, said.error_description or "", hidden)


def sentence(error: str, more: str, hidden: Iterable[str] = ()) -> str:
    """Return an error and what a server says of it, unless that has one of `hidden` in it."""
    named = error if _ERROR.fullmatch(error) else "an error without a name"
    if not more or any(secret in more for secret in hidden if secret):
        return named
    plain = "".join(char if char.isprintable() else " " for char in more)
    return f"{named} ({' '.join(plain.split())[:200]})"
