"""Log in to ChatGPT: let the sandboxes use the user's plan, by OpenAI's flow for open-source tools.

Source: https://developers.openai.com/siwc/token-sharing-open-source, read in November 2026. The
desktop registers as a client of its own and gets tokens of its own: those of a Codex that is
installed there are neither read nor used up.
"""

import secrets
import time

from companion.errors import CompanionError
from companion.oauth import answers, grant_store, grants, id_token, protocol
from companion.oauth.answers import AuthorizationServer, Client, Resource, Tokens
from companion.oauth.authorize import Prompt, ask, request_tokens
from companion.oauth.callback import listen
from companion.oauth.grants import Grant
from companion.oauth.id_token import Identity
from companion.oauth.protocol import CLIENT_NAME, AuthorizationRequest
from companion.oauth.web import Web
from companion.plugins.contribution import Provider
from companion.system.paths import Paths

MANAGE_URL = "https://chatgpt.com/settings/usage"
_ISSUER = "https://auth.openai.com"
_SERVER = AuthorizationServer(
    issuer=_ISSUER,
    authorization_endpoint=f"{_ISSUER}/api/accounts/authorize",
    token_endpoint=f"{_ISSUER}/api/accounts/oauth/token",
)
_KEYS_URL = f"{_ISSUER}/.well-known/jwks.json"
_REGISTRATION = "dynamic_agent_client"
"""The client ID of a first login; the response assigns the one to use from then on."""
_PLAN = "chatgpt.tokens.use.direct"
_SCOPES = ("openid", "profile", "email", "offline_access", "resource.invoke", _PLAN)
_PATH = "/auth/callback"
_OK = 200
_DENIED = frozenset({401, 403})


def log_in(
    home: Paths, provider: Provider, web: Web, prompt: Prompt, *, anew: bool = False
) -> Grant:
    """Let the user log in to ChatGPT in their browser; store and return the grant.

    Args:
        home: the user's directories.
        provider: the account, as a plugin contributed it.
        web: sends the HTTPS requests.
        prompt: asks the user.
        anew: register as a new client, for another account or workspace.

    Raises:
        CompanionError: the user or OpenAI refused, or a response is invalid; nothing was stored.
    """
    key, host_id = grants.key_of(provider), grant_store.host_id(home)
    former = None if anew else grant_store.read(home, grant_store.ACCOUNTS).get(key)
    what = Resource(
        resource=provider.url, authorization_servers=(_ISSUER,), scopes_supported=_SCOPES
    )
    with listen(prompt.port, _PATH) as callback:
        pending = AuthorizationRequest(
            secrets.token_urlsafe(24), secrets.token_urlsafe(48), callback.redirect
        )
        nonce = secrets.token_urlsafe(24)
        more = {"nonce": nonce, "ext_agent_host_id": host_id}
        if former is None:
            more["agent_name_hint"] = CLIENT_NAME
        else:
            prompt.tell(
                f"logging in again as {former.email or 'the same account'}; use --new for another"
                " one, or if you removed Companion in ChatGPT's settings"
            )
        asked = former.client_id if former else _REGISTRATION
        callback.is_response = lambda url: protocol.is_response(url, pending)
        ask(prompt, protocol.authorization_url(_SERVER, what, asked, pending, more), callback)
        response = callback.wait()
    code = protocol.code(response, _SERVER)
    client = Client(client_id=_client_id(response, former))
    prompt.tell(f"requesting a token from {_ISSUER}")
    tokens = request_tokens(protocol.exchange(code, pending, what), client, _SERVER, web)
    who = id_token.verified(
        tokens.id_token, _keys(web), _ISSUER, client.client_id, nonce, time.time()
    )
    _require_usable(tokens, who, former)
    require_plan(provider, tokens.access_token, web)
    grant = _grant(provider, client, tokens, who)
    with grant_store.held(home, grant_store.ACCOUNTS):
        grant_store.keep(home, grant_store.ACCOUNTS, key, grant)
    return grant


def require_plan(provider: Provider, token: str, web: Web) -> None:
    """Check that a token permits the use of a plan: list its models, which costs nothing.

    Raises:
        CompanionError: it does not.
    """
    response = web.get(f"{provider.url}/models", {"Authorization": f"Bearer {token}"})
    if response.status in _DENIED:
        _, reason = answers.oauth_error(response.text, (token,))
        what = f"OpenAI does not let this login use a plan: {reason or response.status}"
        raise CompanionError(what, f"it needs ChatGPT Plus or Pro; see {MANAGE_URL}")


def _client_id(response: str, former: Grant | None) -> str:
    """Return the client ID that a first login assigns; a later one must keep it.

    Raises:
        CompanionError: there is none, or another one.
    """
    issued = protocol.issued_client(response) or (former.client_id if former else "")
    if not issued or issued == _REGISTRATION or (former and issued != former.client_id):
        raise CompanionError(f"{_ISSUER} did not complete the registration", "log in again")
    return issued


def _keys(web: Web) -> str:
    response = web.get(_KEYS_URL)
    if response.status != _OK:
        what = f"{_ISSUER} did not return its signing keys: status {response.status}"
        raise CompanionError(what, "log in again later")
    return response.text


def _require_usable(tokens: Tokens, who: Identity, former: Grant | None) -> None:
    """Check that a login is for the account it was before, and permits what we need.

    Raises:
        CompanionError: it does not.
    """
    if former and former.subject != who.sub:
        what = f"this is another account than {former.email or 'before'}"
        raise CompanionError(what, "to change accounts, log in with --new")
    granted = tokens.scope.split()
    if _PLAN not in granted or not tokens.refresh_token:
        what = "the login does not permit the use of your ChatGPT plan"
        hint = "log in again and allow it; it needs ChatGPT Plus or Pro"
        raise CompanionError(what, hint)


def _grant(provider: Provider, client: Client, tokens: Tokens, who: Identity) -> Grant:
    now = time.time()
    return Grant(
        provider=provider.name,
        url=provider.url,
        resource=provider.url,
        issuer=_ISSUER,
        token_endpoint=_SERVER.token_endpoint,
        client_id=client.client_id,
        client_secret="",
        method="none",
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token or "",
        since=now,
        until=now + tokens.lifetime,
        subject=who.sub,
        email=who.email,
    )
