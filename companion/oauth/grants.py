"""Grants: what a user consented to at a server, and when its token is due for renewal. Pure.

All times are in Unix seconds: they must mean the same after a suspend and in every process.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from companion.errors import Code, Problem
from companion.oauth.answers import Tokens
from companion.plugins.contribution import OAuthToken, Provider

MARGIN = 300.0
"""Seconds before expiry at which a token is renewed; for short lifetimes, a fifth of it."""
PAUSE = 60.0
"""Seconds between a failed renewal and the next attempt."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A user's consent at an authorization server, and the tokens issued for it."""

    provider: str
    url: str
    """The MCP server, as agent.yaml names it."""
    resource: str
    """The MCP server, as it names itself."""
    issuer: str
    token_endpoint: str
    client_id: str
    client_secret: str = field(repr=False)
    """The one issued at registration; a secret from .env is not stored."""
    method: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    since: float
    until: float
    tried: float = 0.0
    """When renewal last failed; 0: it did not."""
    failure: str = ""
    refused: bool = False
    """The server refused to renew it: the user must authorize again."""
    subject: str = ""
    """Who logged in to an account, as the vendor identifies them."""
    email: str = ""

    @property
    def renewable(self) -> bool:
        """Tell whether it can be renewed without the user."""
        return bool(self.refresh_token) and not self.refused

    @property
    def due(self) -> float:
        """When to renew the token, or else to remove it from the gateway."""
        if not self.renewable:
            return self.until
        begin = self.until - min(MARGIN, (self.until - self.since) / 5)
        return max(begin, self.tried + PAUSE) if self.tried else begin


Grants = Mapping[str, Grant]
"""Grants by key_of()."""
_ACCOUNT = "account "
"""Begins the key of an account; other keys begin with an https URL."""


def key_of(wanted: Provider | OAuthToken) -> str:
    """Return the key of a grant: an account's name, or an MCP server's URL and the client ID."""
    token = wanted.token if isinstance(wanted, Provider) else wanted
    if token.is_account:
        return f"{_ACCOUNT}{token.provider}"
    return f"{token.url} {token.client_id}".strip()


def is_account(key: str) -> bool:
    """Tell whether a grant belongs to the user's account, not to one project."""
    return key.startswith(_ACCOUNT)


def token(grant: Grant | None, now: float) -> str:
    """Return the access token, "" if there is no valid one."""
    return grant.access_token if grant and now < grant.until else ""


def is_valid(grant: Grant, now: float) -> bool:
    """Tell whether a grant has a token, and no server has refused to renew it."""
    return not grant.refused and now < grant.until


def is_due(grant: Grant | None, now: float) -> bool:
    """Tell whether a grant is due for renewal, also because the clock has been set back."""
    if grant is None or not grant.renewable:
        return False
    return grant.due <= now or now < max(grant.since, grant.tried)


def next_due(held: Grants, keys: Iterable[str]) -> float:
    """Return when the first of these grants is due; infinity if none ever is."""
    return min((held[key].due for key in keys if key in held), default=math.inf)


def renewed(grant: Grant, given: Tokens, now: float) -> Grant:
    """Return a grant with new tokens; the old refresh token stays if the server rotates none."""
    return replace(
        grant,
        access_token=given.access_token,
        refresh_token=given.refresh_token or grant.refresh_token,
        since=now,
        until=now + given.lifetime,
        tried=0.0,
        failure="",
        refused=False,
    )


def problem(provider: Provider, grant: Grant | None, now: float, agent: str = "") -> Problem | None:
    """Return why a provider has no valid token, or soon will have none, with the next step.

    Args:
        provider: the server.
        grant: what the user granted there.
        now: in Unix seconds.
        agent: the name of the agent that needs the token.
    """
    name, step = provider.name, f"run `companion oauth {provider.name}`"
    if provider.is_account:
        step = f"run `companion login {agent}`"
    if grant is None:
        return Problem(f"{name} is not authorized yet", step, code=Code.NOT_AUTHORIZED)
    if grant.refused:
        what = f"{grant.issuer} no longer renews the token for {name}"
        return Problem(
            f"{what}: {grant.failure}", f"authorize again: {step}", code=Code.NOT_AUTHORIZED
        )
    if is_valid(grant, now):
        return None
    if not grant.renewable:
        return Problem(
            f"the token for {name} expired at {clock(grant.until)}", step, code=Code.TOKEN_EXPIRED
        )
    if not grant.failure:
        hint = "`companion up`, `watch` or `tray` will renew it"
        return Problem(f"the token for {name} has expired", hint, code=Code.TOKEN_EXPIRED)
    what = f"the token for {name} has expired and could not be renewed: {grant.failure}"
    return Problem(what, "Companion retries every minute", code=Code.TOKEN_EXPIRED)


def clock(moment: float) -> str:
    """Format a Unix time for people, in UTC."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
