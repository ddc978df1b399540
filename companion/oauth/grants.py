"""What did a user grant us at an MCP server, does it count, and when must it be renewed? Pure.

All times are seconds of Unix time: they must mean the same after a suspend and in every process.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from companion.errors import Code, Problem
from companion.oauth.answers import Tokens
from companion.plugins.contribution import OAuthToken, Provider

MARGIN = 300.0
"""Seconds before its end at which a token is renewed; of a short one, a fifth of its life."""
PAUSE = 60.0
"""Seconds after which a server that could not be asked is asked again."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A user's consent at an authorization server, and the tokens that it led to."""

    provider: str
    url: str
    """The MCP server, as agent.yaml names it."""
    resource: str
    """The MCP server, as it names itself."""
    issuer: str
    token_endpoint: str
    client_id: str
    client_secret: str = field(repr=False)
    """The one that registering gave; one of .env stays there."""
    method: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    since: float
    until: float
    tried: float = 0.0
    """When renewing failed last, 0: it did not."""
    failure: str = ""
    refused: bool = False
    """The server renews it no more: only the user can."""

    @property
    def renewable(self) -> bool:
        """Tell whether it can be renewed without the user."""
        return bool(self.refresh_token) and not self.refused

    @property
    def due(self) -> float:
        """When something is to be done: the token to be renewed, or taken from the gateway."""
        if not self.renewable:
            return self.until
        begin = self.until - min(MARGIN, (self.until - self.since) / 5)
        return max(begin, self.tried + PAUSE) if self.tried else begin


Grants = Mapping[str, Grant]
"""The grants of one project, by key_of()."""


def key_of(provider: Provider | OAuthToken) -> str:
    """Return what tells one grant of a project from another: the server, and who we are there."""
    return f"{provider.url} {provider.client_id}".strip()


def token(grant: Grant | None, now: float) -> str:
    """Return the access token, "" while there is none that counts."""
    return grant.access_token if grant and now < grant.until else ""


def is_due(grant: Grant | None, now: float) -> bool:
    """Tell whether a grant is to be renewed now; so it is when the clock has been set back."""
    if grant is None or not grant.renewable:
        return False
    return grant.due <= now or now < max(grant.since, grant.tried)


def next_due(held: Grants, keys: Iterable[str]) -> float:
    """Return when the first of these grants is due; infinity: none ever is."""
    return min((held[key].due for key in keys if key in held), default=math.inf)


def renewed(grant: Grant, given: Tokens, now: float) -> Grant:
    """Return a grant with new tokens; a server that rotates none lets us keep the old one."""
    return replace(
        grant,
        access_token=given.access_token,
        refresh_token=given.refresh_token or grant.refresh_token,
        since=now,
        until=now + given.life,
        tried=0.0,
        failure="",
        refused=False,
    )


def problem(provider: Provider, grant: Grant | None, now: float) -> Problem | None:
    """Return why a provider has no token that counts, or soon will have none; and what to do."""
    name, again = provider.name, f"run `companion oauth {provider.name}`"
    if grant is None:
        return Problem(f"{name} is not authorised yet", again, code=Code.NOT_AUTHORIZED)
    if grant.refused:
        what = f"{grant.issuer} does not renew the token for {name} any more"
        return Problem(
            f"{what}: {grant.failure}", f"authorise again: {again}", code=Code.NOT_AUTHORIZED
        )
    if now < grant.until:
        return None
    if not grant.renewable:
        return Problem(
            f"the token for {name} ended at {clock(grant.until)}", again, code=Code.TOKEN_EXPIRED
        )
    if not grant.failure:
        hint = "`companion up`, `watch` or `tray` renews it"
        return Problem(f"the token for {name} ended", hint, code=Code.TOKEN_EXPIRED)
    what = f"the token for {name} ended and could not be renewed: {grant.failure}"
    return Problem(what, "it is tried again every minute", code=Code.TOKEN_EXPIRED)


def clock(moment: float) -> str:
    """Return a moment for people."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
