"""How does a token get a successor before it ends, without the user?"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from companion.errors import CompanionError
from companion.oauth import answers, grant_store, grants, protocol
from companion.oauth.grants import Grant
from companion.plugins.contribution import Provider
from companion.system.paths import Paths

_OK = 200
_FINAL = frozenset({"invalid_grant", "unauthorized_client"})
"""A client that is not known may be a slip in .env."""
_PATIENCE = 60.0
"""Who stops to wait may lose the only refresh token that counts."""


def renew(
    home: Paths,
    project_id: str,
    providers: Iterable[Provider],
    client_secret: Callable[[Provider], str],
    trusted: bytes,
    tell: Callable[[str], None],
) -> tuple[str, ...]:
    """Renew the tokens that end soon, and return whose; why one could not be is remembered.

    Whoever else wants to renew one meanwhile waits, and finds it renewed. `client_secret` returns
    what .env says of a provider's client, "" if nothing.
    """
    keys = {grants.key_of(provider): provider for provider in providers}
    if not _due(home, project_id, keys):
        return ()
    renewed = []
    with grant_store.held(home, project_id):
        for key, grant in _due(home, project_id, keys).items():
            tell(f"renewing the token for {grant.provider}")
            secret = client_secret(keys[key]) or grant.client_secret
            after = _renewed(grant, secret, trusted)
            grant_store.keep(home, project_id, key, after, new=False)
            if after.failure:
                tell(f"the token for {grant.provider} could not be renewed: {after.failure}")
            else:
                renewed.append(grant.provider)
    return tuple(renewed)


def _due(home: Paths, project_id: str, keys: Iterable[str]) -> dict[str, Grant]:
    held, now = grant_store.read(home, project_id), time.time()
    return {key: held[key] for key in keys if grants.is_due(held.get(key), now)}


def _renewed(grant: Grant, secret: str, trusted: bytes) -> Grant:
    from companion.oauth.web import Web  # noqa: PLC0415 - most runs ask nobody

    form = protocol.renewal(grant.refresh_token, grant.resource)
    signed, headers = protocol.signed(form, grant.client_id, secret, grant.method)
    try:
        answer = Web(trusted, _PATIENCE).post_form(grant.token_endpoint, signed, headers)
        if answer.status == _OK:
            return grants.renewed(grant, protocol.tokens(answer.text), time.time())
    except CompanionError as error:
        return replace(grant, tried=time.time(), failure=error.problems[0].what)
    code, said = answers.refusal(answer.text, (grant.refresh_token, secret))
    failure = said or f"{grant.issuer} answers with status {answer.status}"
    return replace(grant, tried=time.time(), failure=failure, refused=code in _FINAL)
