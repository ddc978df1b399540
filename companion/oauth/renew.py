"""Renew access tokens before they expire, without the user."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from companion.errors import CompanionError
from companion.oauth import answers, grant_store, grants, protocol
from companion.oauth.client_secret import ClientSecret
from companion.oauth.grants import Grant
from companion.plugins.contribution import Provider
from companion.system.paths import Paths

_OK = 200
_FINAL_ERRORS = frozenset({
    "invalid_grant", "unauthorized_client",
    # What OpenAI answers besides: see "Errors and recovery" of Sign in with ChatGPT.
    "invalid_refresh_token", "token_expired", "refresh_token_expired",
    "refresh_token_invalidated", "refresh_token_reused",
})  # fmt: skip
"""Errors that no retry can cure."""
_UNKNOWN_CLIENT = "invalid_client"
"""Final for a client without a secret; otherwise it may be a typo in .env."""
_TIMEOUT = 60.0
"""Seconds; giving up early may lose the only valid refresh token."""


def renew(
    home: Paths,
    project_id: str,
    providers: Iterable[Provider],
    client_secret: Callable[[Provider], ClientSecret],
    trusted: bytes,
    tell: Callable[[str], None],
) -> tuple[str, ...]:
    """Renew the tokens that are due, and return the names of their providers.

    A failure is stored with the grant. Concurrent callers wait and find the tokens renewed.

    Args:
        home: the user's directories.
        project_id: the project that uses the grants.
        providers: the servers in use.
        client_secret: returns a provider's client secret.
        trusted: additional CA certificates, in PEM.
        tell: receives a message for each step.
    """
    keys = {grants.key_of(provider): provider for provider in providers}
    if not _due(home, project_id, keys):
        return ()
    renewed = []
    for owner in dict.fromkeys(grant_store.owner_of(project_id, key) for key in keys):
        mine = [key for key in keys if grant_store.owner_of(project_id, key) == owner]
        with grant_store.held(home, owner, partial(tell, "another process renews tokens: waiting")):
            for key, grant in _due(home, project_id, mine).items():
                tell(f"renewing the token for {grant.provider}")
                result = _renewed(grant, client_secret(keys[key]), trusted)
                grant_store.keep(home, owner, key, result, new=False)
                if result.failure:
                    tell(f"the token for {grant.provider} could not be renewed: {result.failure}")
                else:
                    renewed.append(grant.provider)
    return tuple(renewed)


def _due(home: Paths, project_id: str, keys: Iterable[str]) -> dict[str, Grant]:
    usable, now = grant_store.usable(home, project_id, keys), time.time()
    return {key: grant for key, grant in usable.items() if grants.is_due(grant, now)}


def _renewed(grant: Grant, own: ClientSecret, trusted: bytes) -> Grant:
    from companion.oauth.web import Web  # noqa: PLC0415 - most runs renew nothing

    secret = own.value or grant.client_secret
    form = protocol.renewal(grant.refresh_token, grant.resource)
    authenticated, headers = protocol.authenticated(form, grant.client_id, secret, grant.method)
    try:
        own.require(grant.token_endpoint)
        response = Web(trusted, _TIMEOUT).post_form(grant.token_endpoint, authenticated, headers)
        if response.status == _OK:
            return grants.renewed(grant, protocol.tokens(response.text), time.time())
    except CompanionError as error:
        return replace(grant, tried=time.time(), failure=error.problems[0].what)
    code, description = answers.oauth_error(response.text, (grant.refresh_token, secret))
    failure = description or f"{grant.issuer} responded with status {response.status}"
    is_final = code in _FINAL_ERRORS or (code == _UNKNOWN_CLIENT and grant.method == "none")
    return replace(grant, tried=time.time(), failure=failure, refused=is_final)
