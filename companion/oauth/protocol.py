"""What is asked of an authorization server, and what comes back to the desktop? Pure.

Source: OAuth 2.1, RFC 7591 (registering a client), 7636 (PKCE), 8252 (the way back to the desktop),
8707 (the resource), 9207 (the issuer in the answer).
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, quote_plus, urlencode, urlsplit, urlunsplit

from companion.errors import CompanionError
from companion.oauth.answers import Client, Resource, Server, Tokens, parsed, sentence

CLIENT_NAME = "Companion"
_SECRET_METHODS = ("client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True)
class Question:
    """One authorisation under way: what nobody else may know, and where the answer comes to."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect: str


def registration(redirect: str) -> str:
    """Return what is sent to become known to an authorization server."""
    wanted = {
        "client_name": CLIENT_NAME,
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    return json.dumps(wanted)


def client(text: str) -> Client:
    """Return who an authorization server says we are."""
    return parsed(Client, text, "the answer to the registration")


def method(known: Client, where: Server) -> str:
    """Return how a client shows its secret, "none" if it has none."""
    if not known.client_secret:
        return "none"
    if known.method in _SECRET_METHODS:
        return known.method
    offered = where.token_endpoint_auth_methods_supported
    return next((m for m in _SECRET_METHODS if m in offered), _SECRET_METHODS[0])


def authorisation_url(where: Server, what: Resource, client_id: str, question: Question) -> str:
    """Return the address that the user's browser must go to."""
    challenge = hashlib.sha256(question.verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": question.redirect,
        "state": question.state,
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "resource": what.resource,
    }
    scopes = list(what.scopes_supported or ())
    if scopes and "offline_access" in (where.scopes_supported or ()):
        scopes.append("offline_access")
    if scopes:
        asked["scope"] = " ".join(dict.fromkeys(scopes))
    parts = urlsplit(where.authorization_endpoint)
    query = "&".join(filter(None, (parts.query, urlencode(asked, quote_via=quote))))
    return urlunsplit(parts._replace(query=query))


def is_answer(url: str, question: Question) -> bool:
    """Tell whether a URL that came back answers this question and no other."""
    try:
        parts, back = urlsplit(url), urlsplit(question.redirect)
    except ValueError:
        return False
    return parts.path == back.path and _only(url, "state") == question.state


def code(url: str, where: Server) -> str:
    """Return the code from an answer.

    Raises:
        CompanionError: the user or the server said no, or another server answered.
    """
    issuer = _only(url, "iss")
    required = where.authorization_response_iss_parameter_supported
    if (issuer or required) and issuer != where.issuer:
        what = f"the answer is not from {where.issuer}"
        raise CompanionError(what, "nothing was sent; somebody may have mixed up two servers")
    if refused := _only(url, "error"):
        said = sentence(refused, _only(url, "error_description"))
        raise CompanionError(f"{where.issuer} did not authorise us: {said}", "try again")
    if not (found := _only(url, "code")):
        raise CompanionError(f"{where.issuer} answered without a code", "try again")
    return found


def exchange(given: str, question: Question, what: Resource) -> dict[str, str]:
    """Return the form that turns a code into tokens, but for who we are."""
    return {
        "grant_type": "authorization_code",
        "code": given,
        "redirect_uri": question.redirect,
        "code_verifier": question.verifier,
        "resource": what.resource,
    }


def renewal(refresh_token: str, resource_: str) -> dict[str, str]:
    """Return the form that turns a refresh token into new tokens, but for who we are."""
    return {"grant_type": "refresh_token", "refresh_token": refresh_token, "resource": resource_}


def signed(
    form: Mapping[str, str], client_id: str, secret: str, how: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Return a form and the headers that say who we are at a token endpoint."""
    if how == "client_secret_basic":
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
        return dict(form), {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    own = {"client_id": client_id} | ({"client_secret": secret} if secret else {})
    return {**form, **own}, {}


def tokens(text: str) -> Tokens:
    """Return what a token endpoint gave.

    Raises:
        CompanionError: it makes no sense.
    """
    found = parsed(Tokens, text, "the answer of the token endpoint")
    if found.token_type.lower() != "bearer":
        raise CompanionError("the token is not of the type Bearer", "tell who runs the server")
    return found


def _only(url: str, name: str) -> str:
    """Return a parameter that a URL has exactly once, "" otherwise."""
    found = parse_qs(urlsplit(url).query).get(name, [])
    return found[0] if len(found) == 1 else ""
