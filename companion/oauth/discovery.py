"""Where does an MCP server say who authorises for it, and is what we found there about it? Pure.

Source: MCP's authorization of 2025-06-18, RFC 9728 (the MCP server), RFC 8414 (who authorises).
"""

import re
from urllib.parse import urlsplit, urlunsplit

from companion.errors import CompanionError
from companion.oauth.answers import Resource, Server, is_safe, parsed

_RESOURCE, _SERVER = "oauth-protected-resource", "oauth-authorization-server"
_OPENID = "openid-configuration"
_CHALLENGED = re.compile(r'\bresource_metadata="([^"\s]+)"')


def resource_places(url: str, challenge: str) -> tuple[str, ...]:
    """Return where an MCP server's metadata may be; `challenge` is its WWW-Authenticate header."""
    named = _CHALLENGED.search(challenge)
    first = (named[1],) if named and is_safe(named[1]) else ()
    at_its_origin = f"{origin(url)}/.well-known/{_RESOURCE}"
    return tuple(dict.fromkeys((*first, _well_known(url, _RESOURCE), at_its_origin)))


def server_places(issuer: str) -> tuple[str, ...]:
    """Return where an authorization server's metadata may be, in the order of the MCP document."""
    parts = urlsplit(issuer)
    appended = urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/.well-known/{_OPENID}"))
    places = (_well_known(issuer, _SERVER), _well_known(issuer, _OPENID), appended)
    return tuple(dict.fromkeys(places))


def resource(text: str, url: str) -> Resource:
    """Return the metadata of the MCP server at `url`.

    Raises:
        CompanionError: it makes no sense, or is another server's.
    """
    found = parsed(Resource, text, f"the metadata of {url}")
    mine, said = urlsplit(url), urlsplit(found.resource)
    above = f"{said.path.rstrip('/')}/"
    if origin(found.resource) != origin(url) or not f"{mine.path}/".startswith(above):
        what = f"the metadata of {url} is that of another server, {found.resource}"
        raise CompanionError(what, "correct mcp_url, if that is the one you mean")
    return found


def resource_without_metadata(url: str) -> Resource:
    """Return what an older MCP server means, which is its own authorization server."""
    return Resource(resource=url, authorization_servers=(origin(url),))


def server(text: str, issuer: str) -> Server:
    """Return the metadata of an authorization server.

    Raises:
        CompanionError: it makes no sense, is another server's, or the server is too old.
    """
    found = parsed(Server, text, f"the metadata of {issuer}")
    if found.issuer.rstrip("/") != issuer.rstrip("/"):
        what = f"the metadata of {issuer} is that of another server, {found.issuer}"
        raise CompanionError(what, "nothing was sent there; tell who runs it")
    if "S256" not in (found.code_challenge_methods_supported or ("S256",)):
        raise CompanionError(f"{issuer} knows no PKCE with S256", "tell who runs it")
    return found


def origin(url: str) -> str:
    """Return scheme, host and port of a URL; the port that goes without saying is left out."""
    parts = urlsplit(url)
    port = "" if parts.port in {None, 443} else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}"


def _well_known(url: str, name: str) -> str:
    """Return where metadata of a URL is: its path comes last (RFC 8414, 9728)."""
    parts = urlsplit(url)
    path = f"/.well-known/{name}{parts.path.rstrip('/')}"
    return urlunsplit(parts._replace(path=path))
