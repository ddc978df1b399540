"""Validate the responses of OAuth servers, and the URLs that Companion may contact. Pure."""

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
    """Tell whether a URL may be contacted: https, with a host, no user info and no fragment."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    is_plain = bool(_TOKEN.match(url)) and not set('"<>\\^`{|}') & set(url)
    return (
        is_plain and parts.scheme == "https" and bool(parts.hostname) and not _has_hidden_parts(url)
    )


def _has_hidden_parts(url: str) -> bool:
    parts = urlsplit(url)
    return "@" in parts.netloc or "#" in url


def _endpoint(url: str) -> str:
    if not is_safe(url):
        raise ValueError("is not an https URL")
    return url


def _sendable(token: str) -> str:
    if not _TOKEN.match(token):
        raise ValueError("cannot be sent in a header")
    return token


Endpoint = Annotated[str, AfterValidator(_endpoint)]
Sendable = Annotated[str, AfterValidator(_sendable)]


class OAuthMessage(BaseModel):
    """A JSON document that a server sent; unknown members are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Resource(OAuthMessage):
    """Metadata of an MCP server, a protected resource (RFC 9728)."""

    resource: Endpoint
    authorization_servers: Annotated[tuple[Endpoint, ...], Field(min_length=1)]
    scopes_supported: tuple[str, ...] | None = None

    @property
    def issuer(self) -> str:
        """The authorization server to use: the first one listed."""
        return self.authorization_servers[0]


class AuthorizationServer(OAuthMessage):
    """Metadata of an authorization server (RFC 8414)."""

    issuer: Endpoint
    authorization_endpoint: Endpoint
    token_endpoint: Endpoint
    registration_endpoint: Endpoint | None = None
    code_challenge_methods_supported: tuple[str, ...] | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    scopes_supported: tuple[str, ...] | None = None
    authorization_response_iss_parameter_supported: bool = False


class Client(OAuthMessage):
    """Our registration at an authorization server (RFC 7591).

    `method` is how the client authenticates at the token endpoint.
    """

    client_id: Sendable
    client_secret: str | None = Field(default=None, repr=False)
    method: str = Field(default="", alias="token_endpoint_auth_method")


class Tokens(OAuthMessage):
    """A token response (RFC 6749, section 5.1); `expires_in` is in seconds."""

    access_token: Sendable = Field(repr=False)
    token_type: str
    expires_in: float | None = None
    refresh_token: str | None = Field(default=None, repr=False)
    scope: str = ""
    """What was granted, separated by spaces; "" if the server does not say."""
    id_token: str = Field(default="", repr=False)

    @property
    def lifetime(self) -> float:
        """Seconds for which the access token is valid; an hour, the usual value, if unstated."""
        given = self.expires_in or 0.0
        return given if 0 < given < _FOREVER else AN_HOUR


class _ErrorDetail(OAuthMessage):
    """An error as OpenAI's servers write it."""

    code: Annotated[str, Field(pattern=_ERROR.pattern)]
    message: str | None = None


class _ErrorMessage(OAuthMessage):
    error: Annotated[str, Field(pattern=_ERROR.pattern)] | _ErrorDetail
    error_description: str | None = None


A = TypeVar("A", bound=OAuthMessage)


def parse(model: type[A], text: str, what: str) -> A:
    """Parse a JSON document into `model`.

    Raises:
        CompanionError: it is invalid; the message names members only, as values may be secret.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        members = {str(loc[0]) for detail in error.errors() if (loc := detail["loc"])}
        names = ", ".join(sorted(members))
        about = f": {names}" if names else ""
        raise CompanionError(
            f"{what} is not valid OAuth{about}", "report it to the server's operator"
        ) from None


def oauth_error(text: str, hidden: Iterable[str]) -> tuple[str, str]:
    """Return the code and the description of an OAuth error; both "" if it is none."""
    try:
        found = _ErrorMessage.model_validate_json(text)
    except ValidationError:
        return "", ""
    if isinstance(found.error, _ErrorDetail):
        code, description = found.error.code, found.error.message
    else:
        code, description = found.error, found.error_description
    return code, describe_error(code, description or "", hidden)


def describe_error(error: str, description: str, hidden: Iterable[str] = ()) -> str:
    """Format an error code with its description, unless the latter repeats one of `hidden`."""
    code = error if _ERROR.fullmatch(error) else "an unnamed error"
    if not description or any(secret in description for secret in hidden if secret):
        return code
    plain = "".join(char if char.isprintable() else " " for char in description)
    return f"{code} ({' '.join(plain.split())[:200]})"
