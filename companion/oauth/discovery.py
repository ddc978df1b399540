"""Metadata discovery: which URLs to ask, and whether what they return is about that server. Pure.

Source: the MCP authorization specification of 2025-06-18, RFC 9728 (protected resource metadata)
and RFC 8414 (authorization server metadata).
"""

import re
from urllib.parse import urlsplit, urlunsplit

from companion.errors import CompanionError
from companion.oauth.answers import AuthorizationServer, Resource, is_safe, parse

_RESOURCE, _SERVER = "oauth-protected-resource", "oauth-authorization-server"
_OPENID = "openid-configuration"
_METADATA_PARAMETER = re.compile(r'\bresource_metadata="([^"\s]+)"')


def resource_metadata_urls(url: str, challenge: str) -> tuple[str, ...]:
    """Return the URLs where an MCP server's metadata may be, in the order to try them.

    `challenge` is the server's WWW-Authenticate header.
    """
    parameter = _METADATA_PARAMETER.search(challenge)
    first = (parameter[1],) if parameter and is_safe(parameter[1]) else ()
    at_its_origin = f"{origin(url)}/.well-known/{_RESOURCE}"
    return tuple(dict.fromkeys((*first, _well_known(url, _RESOURCE), at_its_origin)))


def server_metadata_urls(issuer: str) -> tuple[str, ...]:
    """Return the URLs where an authorization server's metadata may be, in MCP's order."""
    parts = urlsplit(issuer)
    appended = urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/.well-known/{_OPENID}"))
    urls = (_well_known(issuer, _SERVER), _well_known(issuer, _OPENID), appended)
    return tuple(dict.fromkeys(urls))


def resource(text: str, url: str) -> Resource:
    """Return the metadata of the MCP server at `url`.

    Raises:
        CompanionError: it is invalid, or belongs to another server.
    """
    found = parse(Resource, text, f"the metadata of {url}")
    requested, named = urlsplit(url), urlsplit(found.resource)
    parent = f"{named.path.rstrip('/')}/"
    if origin(found.resource) != origin(url) or not f"{requested.path}/".startswith(parent):
        what = f"the metadata of {url} belongs to another server, {found.resource}"
        raise CompanionError(what, "if that is the server you mean, set mcp_url to it")
    return found


def resource_without_metadata(url: str) -> Resource:
    """Return the metadata of an older MCP server, which is its own authorization server."""
    return Resource(resource=url, authorization_servers=(origin(url),))


def server(text: str, issuer: str) -> AuthorizationServer:
    """Return the metadata of an authorization server.

    Raises:
        CompanionError: it is invalid, belongs to another server, or lacks PKCE with S256.
    """
    found = parse(AuthorizationServer, text, f"the metadata of {issuer}")
    if found.issuer.rstrip("/") != issuer.rstrip("/"):
        what = f"the metadata of {issuer} belongs to another server, {found.issuer}"
        raise CompanionError(what, "nothing was sent there; report it to the operator")
    if "S256" not in (found.code_challenge_methods_supported or ("S256",)):
        raise CompanionError(
            f"{issuer} does not support PKCE with S256", "report it to the operator"
        )
    return found


def origin(url: str) -> str:
    """Return scheme, host and port of a URL; the default port is left out."""
    parts = urlsplit(url)
    port = "" if parts.port in {None, 443} else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}"


def _well_known(url: str, name: str) -> str:
    """Return a well-known URL: the path of `url` comes last (RFC 8414, 9728)."""
    parts = urlsplit(url)
    path = f"/.well-known/{name}{parts.path.rstrip('/')}"
    return urlunsplit(parts._replace(path=path))
