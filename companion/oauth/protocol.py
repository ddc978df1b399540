"""OAuth messages: requests to an authorization server, and the meaning of its responses. Pure.

Source: OAuth 2.1, RFC 7591 (client registration), 7636 (PKCE), 8252 (native apps), 8707 (resource
indicators), 9207 (issuer identification).
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, quote_plus, urlencode, urlsplit, urlunsplit

from companion.errors import CompanionError
from companion.oauth.answers import (
    AuthorizationServer,
    Client,
    Resource,
    Tokens,
    describe_error,
    parse,
)

CLIENT_NAME = "Companion"
_SECRET_METHODS = ("client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One authorization in progress: its secrets, and the redirect URI of the response."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect: str


def registration(redirect: str) -> str:
    """Return the JSON of a dynamic client registration request."""
    wanted = {
        "client_name": CLIENT_NAME,
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    return json.dumps(wanted)


def client(text: str) -> Client:
    """Parse the response to a registration."""
    return parse(Client, text, "the response to the registration")


def method(known: Client, where: AuthorizationServer) -> str:
    """Return the client authentication method at the token endpoint, "none" without a secret."""
    if not known.client_secret:
        return "none"
    if known.method in _SECRET_METHODS:
        return known.method
    offered = where.token_endpoint_auth_methods_supported
    return next((m for m in _SECRET_METHODS if m in offered), _SECRET_METHODS[0])


def authorization_url(
    where: AuthorizationServer,
    what: Resource,
    client_id: str,
    pending: AuthorizationRequest,
    more: Mapping[str, str] | None = None,
) -> str:
    """Return the URL to open in the user's browser, with the server's own parameters in `more`."""
    challenge = hashlib.sha256(pending.verifier.encode()).digest()
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": pending.redirect,
        "state": pending.state,
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "resource": what.resource,
    }
    scopes = list(what.scopes_supported or ())
    if scopes and "offline_access" in (where.scopes_supported or ()):
        scopes.append("offline_access")
    if scopes:
        parameters["scope"] = " ".join(dict.fromkeys(scopes))
    parameters |= more or {}
    parts = urlsplit(where.authorization_endpoint)
    query = "&".join(filter(None, (parts.query, urlencode(parameters, quote_via=quote))))
    return urlunsplit(parts._replace(query=query))


def is_response(url: str, pending: AuthorizationRequest) -> bool:
    """Tell whether a redirected URL is the response to this request and no other."""
    try:
        parts, expected = urlsplit(url), urlsplit(pending.redirect)
    except ValueError:
        return False
    return parts.path == expected.path and _only(url, "state") == pending.state


def issued_client(url: str) -> str:
    """Return the client ID that a response assigns, "" if it assigns none."""
    return _only(url, "client_id")


def code(url: str, where: AuthorizationServer) -> str:
    """Return the authorization code from a response.

    Raises:
        CompanionError: the user or the server refused, or another server responded.
    """
    issuer = _only(url, "iss")
    required = where.authorization_response_iss_parameter_supported
    if (issuer or required) and issuer != where.issuer:
        what = f"the response is not from {where.issuer}"
        raise CompanionError(what, "the code was not used; this may be a mix-up attack")
    if refused := _only(url, "error"):
        reason = describe_error(refused, _only(url, "error_description"))
        raise CompanionError(f"{where.issuer} did not authorize Companion: {reason}", "try again")
    if not (found := _only(url, "code")):
        raise CompanionError(f"{where.issuer} responded without an authorization code", "try again")
    return found


def exchange(given: str, pending: AuthorizationRequest, what: Resource) -> dict[str, str]:
    """Return the form that exchanges a code for tokens, without client authentication."""
    return {
        "grant_type": "authorization_code",
        "code": given,
        "redirect_uri": pending.redirect,
        "code_verifier": pending.verifier,
        "resource": what.resource,
    }


def renewal(refresh_token: str, resource_: str) -> dict[str, str]:
    """Return the form that exchanges a refresh token for new tokens, not yet authenticated."""
    return {"grant_type": "refresh_token", "refresh_token": refresh_token, "resource": resource_}


def authenticated(
    form: Mapping[str, str], client_id: str, secret: str, how: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Return a form and headers that authenticate the client at a token endpoint by `how`."""
    if how == "client_secret_basic":
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
        return dict(form), {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    own = {"client_id": client_id} | ({"client_secret": secret} if secret else {})
    return {**form, **own}, {}


def tokens(text: str) -> Tokens:
    """Parse the response of a token endpoint.

    Raises:
        CompanionError: it is invalid, or the token is not a bearer token.
    """
    found = parse(Tokens, text, "the response of the token endpoint")
    if found.token_type.lower() != "bearer":
        raise CompanionError(
            "the token is not of type Bearer", "report it to the server's operator"
        )
    return found


def _only(url: str, name: str) -> str:
    """Return a query parameter that occurs exactly once in a URL, "" otherwise."""
    found = parse_qs(urlsplit(url).query).get(name, [])
    return found[0] if len(found) == 1 else ""
