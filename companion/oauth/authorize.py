"""Authorize Companion at an MCP server: the user consents once, in their browser."""

import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from companion.errors import CompanionError
from companion.oauth import answers, discovery, protocol
from companion.oauth.answers import AuthorizationServer, Client, Resource, Tokens
from companion.oauth.callback import Callback, accept_pasted, listen
from companion.oauth.client_secret import ClientSecret
from companion.oauth.grants import Grant
from companion.oauth.protocol import AuthorizationRequest
from companion.oauth.web import Response, Web
from companion.plugins.contribution import Provider
from companion.system import process, programs

_OK, _CREATED = 200, 201


@dataclass(frozen=True, slots=True)
class Prompt:
    """How to ask the user for consent; `tell` receives a message for each step."""

    tell: Callable[[str], None]
    print_only: bool = False
    """Print the URL instead of opening a browser."""
    port: int = 0
    """The local port of the redirect URI; 0: any free port."""


def authorize(provider: Provider, secret: ClientSecret, web: Web, prompt: Prompt) -> Grant:
    """Ask the user to authorize Companion, and return the grant.

    Args:
        provider: the MCP server.
        secret: its client_secret.
        web: sends the HTTPS requests.
        prompt: asks the user.

    Raises:
        CompanionError: the user or a server refused, or a response is invalid.
    """
    what = _resource(provider, web)
    where = _server(what, web)
    secret.require(where.token_endpoint)
    with listen(prompt.port) as callback:
        client = _client(provider, secret.value, where, callback.redirect, web)
        pending = AuthorizationRequest(
            secrets.token_urlsafe(24), secrets.token_urlsafe(48), callback.redirect
        )
        callback.is_response = lambda url: protocol.is_response(url, pending)
        ask(prompt, protocol.authorization_url(where, what, client.client_id, pending), callback)
        code = protocol.code(callback.wait(), where)
    prompt.tell(f"requesting a token from {where.issuer}")
    form = protocol.exchange(code, pending, what)
    tokens = request_tokens(form, client, where, web)
    now = time.time()
    return Grant(
        provider=provider.name,
        url=provider.url,
        resource=what.resource,
        issuer=where.issuer,
        token_endpoint=where.token_endpoint,
        client_id=client.client_id,
        client_secret="" if secret.value else client.client_secret or "",
        method=protocol.method(client, where),
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token or "",
        since=now,
        until=now + tokens.lifetime,
    )


def _resource(provider: Provider, web: Web) -> Resource:
    """Return the metadata of the MCP server; older servers publish none."""
    for url in discovery.resource_metadata_urls(provider.url, web.challenge(provider.url)):
        if _is_metadata(response := web.get(url)):
            return discovery.resource(response.text, provider.url)
    return discovery.resource_without_metadata(provider.url)


def _server(what: Resource, web: Web) -> AuthorizationServer:
    for url in discovery.server_metadata_urls(what.issuer):
        if _is_metadata(response := web.get(url)):
            return discovery.server(response.text, what.issuer)
    raise CompanionError(f"{what.issuer} publishes no OAuth metadata", "check mcp_url")


def _is_metadata(response: Response) -> bool:
    return response.status == _OK and response.is_json


def _client(
    provider: Provider, secret: str, where: AuthorizationServer, redirect: str, web: Web
) -> Client:
    """Return the client that agent.yaml names, or register a new one."""
    if provider.client_id:
        return Client(client_id=provider.client_id, client_secret=secret or None)
    if where.registration_endpoint is None:
        what = f"{where.issuer} does not support dynamic client registration"
        hint = f"register a client there and set client_id for {provider.name}"
        raise CompanionError(what, hint)
    response = web.post_json(where.registration_endpoint, protocol.registration(redirect))
    if response.status not in {_OK, _CREATED}:
        raise _refused(where, response, "refused to register Companion", ())
    return protocol.client(response.text)


def ask(prompt: Prompt, url: str, callback: Callback) -> None:
    """Send the user's browser to a server, or let them open the address and paste the response."""
    prompt.tell(f"authorize Companion in your browser, within ten minutes:\n{url}")
    if sys.stdin.isatty():
        prompt.tell(f"(or paste the address it is redirected to: {callback.redirect}?…)")
        accept_pasted(callback, prompt.tell)
    if not prompt.print_only:
        try:
            process.launch(programs.opener(url))
        except CompanionError as error:
            prompt.tell(f"open the address yourself: {error}")


def request_tokens(
    form: dict[str, str], client: Client, where: AuthorizationServer, web: Web
) -> Tokens:
    """Exchange an authorization code for tokens.

    Raises:
        CompanionError: the server issued none.
    """
    secret = client.client_secret or ""
    authenticated, headers = protocol.authenticated(
        form, client.client_id, secret, protocol.method(client, where)
    )
    response = web.post_form(where.token_endpoint, authenticated, headers)
    if response.status != _OK:
        hidden = (form["code"], form["code_verifier"], secret)
        raise _refused(where, response, "issued no token", hidden)
    return protocol.tokens(response.text)


def _refused(
    where: AuthorizationServer, response: Response, what: str, hidden: tuple[str, ...]
) -> CompanionError:
    _, description = answers.oauth_error(response.text, hidden)
    reason = description or f"status {response.status}"
    return CompanionError(f"{where.issuer} {what}: {reason}", "try again")
