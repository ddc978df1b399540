"""How does a user authorise us at an MCP server? Asked in their browser, once."""

import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from companion.errors import CompanionError
from companion.oauth import answers, discovery, protocol
from companion.oauth.answers import Client, Resource, Server, Tokens
from companion.oauth.callback import Callback, hear_pastes, listening
from companion.oauth.grants import Grant
from companion.oauth.protocol import Question
from companion.oauth.web import Answer, Web
from companion.plugins.contribution import Provider
from companion.system import process, programs

_OK, _CREATED = 200, 201


@dataclass(frozen=True, slots=True)
class Way:
    """How the user is asked; `tell` gets a sentence for each step."""

    tell: Callable[[str], None]
    print_only: bool = False
    """Open no browser."""
    port: int = 0
    """Where the browser comes back to; 0: any port."""


def authorise(provider: Provider, secret: str, web: Web, way: Way) -> Grant:
    """Have the user authorise us, and return what they granted.

    Args:
        provider: the MCP server.
        secret: the value of its client_secret, "" without one.
        web: asks servers.
        way: asks the user.

    Raises:
        CompanionError: the user or a server said no, or what they said makes no sense.
    """
    what = _resource(provider, web)
    where = _server(what, web)
    with listening(way.port) as callback:
        known = _client(provider, secret, where, callback.redirect, web)
        question = Question(secrets.token_urlsafe(24), secrets.token_urlsafe(48), callback.redirect)
        callback.is_answer = lambda url: protocol.is_answer(url, question)
        _ask(way, protocol.authorisation_url(where, what, known.client_id, question), callback)
        code = protocol.code(callback.wait(), where)
    way.tell(f"asking {where.issuer} for the token")
    form = protocol.exchange(code, question, what)
    given = _tokens(form, known, where, web)
    now = time.time()
    return Grant(
        provider=provider.name,
        url=provider.url,
        resource=what.resource,
        issuer=where.issuer,
        token_endpoint=where.token_endpoint,
        client_id=known.client_id,
        client_secret="" if secret else known.client_secret or "",
        method=protocol.method(known, where),
        access_token=given.access_token,
        refresh_token=given.refresh_token or "",
        since=now,
        until=now + given.life,
    )


def _resource(provider: Provider, web: Web) -> Resource:
    """Return what the MCP server says of itself; an older one says nothing."""
    for place in discovery.resource_places(provider.url, web.challenge(provider.url)):
        if _is_found(answer := web.get(place)):
            return discovery.resource(answer.text, provider.url)
    return discovery.resource_without_metadata(provider.url)


def _server(what: Resource, web: Web) -> Server:
    for place in discovery.server_places(what.issuer):
        if _is_found(answer := web.get(place)):
            return discovery.server(answer.text, what.issuer)
    raise CompanionError(f"{what.issuer} does not say how it authorises", "is mcp_url right?")


def _is_found(answer: Answer) -> bool:
    return answer.status == _OK and answer.is_json


def _client(provider: Provider, secret: str, where: Server, redirect: str, web: Web) -> Client:
    """Return who we are: as agent.yaml says, else as the server says when we register."""
    if provider.client_id:
        return Client(client_id=provider.client_id, client_secret=secret or None)
    if where.registration_endpoint is None:
        what = f"{where.issuer} lets no client register itself"
        raise CompanionError(what, f"register one there, and give {provider.name} its client_id")
    answer = web.post_json(where.registration_endpoint, protocol.registration(redirect))
    if answer.status not in {_OK, _CREATED}:
        raise _refused(where, answer, "does not register us", ())
    return protocol.client(answer.text)


def _ask(way: Way, url: str, callback: Callback) -> None:
    way.tell(f"authorise Companion in your browser:\n{url}")
    if sys.stdin.isatty():
        way.tell(f"(or paste here where it is sent to: {callback.redirect}?…)")
        hear_pastes(callback, way.tell)
    if not way.print_only:
        try:
            process.launch(programs.opener(url))
        except CompanionError as error:
            way.tell(f"open it yourself: {error}")


def _tokens(form: dict[str, str], known: Client, where: Server, web: Web) -> Tokens:
    secret = known.client_secret or ""
    signed, headers = protocol.signed(form, known.client_id, secret, protocol.method(known, where))
    answer = web.post_form(where.token_endpoint, signed, headers)
    if answer.status != _OK:
        hidden = (form["code"], form["code_verifier"], secret)
        raise _refused(where, answer, "gives no token", hidden)
    return protocol.tokens(answer.text)


def _refused(where: Server, answer: Answer, what: str, hidden: tuple[str, ...]) -> CompanionError:
    _, said = answers.refusal(answer.text, hidden)
    why = said or f"status {answer.status}"
    return CompanionError(f"{where.issuer} {what}: {why}", "try again")
