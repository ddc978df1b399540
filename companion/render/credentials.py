"""Credentials in a request: the names by which the gateway recognizes those of the agent.

A request to a service with an injected credential must carry no other one: with a key of its own,
an attacker in the sandbox could send your data to an account of the attacker's at a host that the
sandbox may reach. Bodies are not read.
"""

import re

# Letters and digits of header names; any header is one whose name contains such a word.
_HEADER_WORDS = (
    *("authorization", "apikey", "authkey", "accesskey", "subscriptionkey", "functionskey"),
    *("token", "secret", "password", "credential", "cookie", "jwt"),
    # Which account pays and sees the request, at OpenAI, ChatGPT and Google.
    *("accountid", "organization", "openaiproject", "userproject"),
)
# Parameters are named more freely: `page_token` and `key` are no credentials in most services.
_PARAMETER_WORDS = (
    *("authorization", "apikey", "authkey", "accesskey", "subscriptionkey", "credential"),
    *("accesstoken", "authtoken", "bearertoken", "idtoken", "jobtoken", "privatetoken"),
    *("securitytoken", "sessiontoken", "clientsecret", "password", "jwt"),
)
_PARAMETERS = ("token",)
_GOOGLES_PARAMETERS = ("key",)
GOOGLE = ".googleapis.com"
"""The end of the names of hosts that take an API key as the parameter `key`."""
SUBPROTOCOL = "api.?key|token|bearer|authorization"
"""Parts of a WebSocket subprotocol that carries a credential, as OpenAI's realtime API takes it."""

_BETWEEN = "[^a-z0-9]*"
_BETWEEN_IN_QUERY = "[^a-z0-9=&;]*"
_START, _END = "(^|[&;])", "([=&;[]|$)"


def header(name: str) -> str:
    """Return a regular expression for all names that an upstream may read as this one.

    CGI, WSGI and PHP turn some or all of what is neither letter nor digit into an underscore, and
    others drop it: X.Api.Key and X_Api_Key both arrive as HTTP_X_API_KEY.
    """
    letters = spelled(name)
    return f"^{_BETWEEN}{letters}{_BETWEEN}$" if letters else ""


def any_header() -> str:
    """Return a regular expression for the names of headers that carry a credential."""
    return "|".join(map(spelled, _HEADER_WORDS))


def any_parameter() -> str:
    """Return a regular expression for a decoded query with a credential."""
    words = "|".join(spelled(word, _BETWEEN_IN_QUERY) for word in _PARAMETER_WORDS)
    return f"{_START}[^=&;]*({words})|{_exactly(_PARAMETERS)}"


def googles_parameter() -> str:
    """Return a regular expression for a decoded query with an API key of Google."""
    return _exactly(_GOOGLES_PARAMETERS)


def _exactly(names: tuple[str, ...]) -> str:
    words = "|".join(spelled(name, _BETWEEN_IN_QUERY) for name in names)
    return f"{_START}{_BETWEEN_IN_QUERY}({words}){_BETWEEN_IN_QUERY}{_END}"


def spelled(name: str, between: str = _BETWEEN) -> str:
    """Return a regular expression for all names with these letters and digits."""
    return between.join(re.sub(r"[^a-z0-9]", "", name.lower()))
