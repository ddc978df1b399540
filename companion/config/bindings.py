"""Bindings: the services that a secret of the user's may be sent to. Pure.

A binding is `HOST[:PORT]`, which means HTTPS, or else `http://HOST[:PORT]`, or `docker://HOST[:PORT]`
for a container on a network of the engine. So no config can have a secret sent unencrypted to a
host that it is bound to, or to a container that merely has that host's name.
"""

from urllib.parse import urlsplit

from companion.config.values import hostname

_PORTS = {"https": 443, "http": 80, "docker": 80}
_PROBLEM = "must be a host such as api.example.com, host:8443 or http://host:8000"
_GITHUB = ("api.github.com", "github.com")
WELL_KNOWN = {
    "ANTHROPIC_API_KEY": ("api.anthropic.com",),
    "CLAUDE_CODE_OAUTH_TOKEN": ("api.anthropic.com",),
    "OPENAI_API_KEY": ("api.openai.com",),
    "GEMINI_API_KEY": ("generativelanguage.googleapis.com",),
    "OPENROUTER_API_KEY": ("openrouter.ai",),
    "MISTRAL_API_KEY": ("api.mistral.ai",),
    "GITHUB_TOKEN": _GITHUB,
    "GH_TOKEN": _GITHUB,
    "GITLAB_TOKEN": ("gitlab.com",),
    "BITBUCKET_TOKEN": ("bitbucket.org", "api.bitbucket.org"),
}
"""Name of a secret → what it is for, unless the user says otherwise."""


def binding(text: str) -> str:
    """Return a binding in its one spelling.

    Raises:
        ValueError: the text is none.
    """
    url = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(url)
        port = parts.port
        host = hostname(parts.hostname or "")
    except ValueError:
        raise ValueError(_PROBLEM) from None
    extra = parts.username is not None or parts.query or parts.fragment or parts.path.strip("/")
    if parts.scheme not in _PORTS or extra or port == 0:
        raise ValueError(_PROBLEM)
    return of(parts.scheme, host, port or _PORTS[parts.scheme])


def of(scheme: str, host: str, port: int) -> str:
    """Return the binding that lets a secret be sent to a service."""
    named = host if port == _PORTS[scheme] else f"{host}:{port}"
    return named if scheme == "https" else f"{scheme}://{named}"
