"""Vendors of models that take an API key: where it goes, who issues it, and how it is tested."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from companion.config.origin import Origin
from companion.config.request_rules import Rules
from companion.config.strict_yaml import Plain
from companion.plugins.contribution import EnvVar, Header, Upstream
from companion.plugins.login import Credential, ModelLogin

Provider: TypeAlias = Literal["anthropic", "openai", "google"]


@dataclass(frozen=True, slots=True)
class _Vendor:
    host: str
    header: str
    prefix: str
    title: str
    page: str
    path: str
    """A harmless request: a list of models."""
    also: tuple[tuple[str, str], ...] = ()


_VENDORS: Mapping[Provider, _Vendor] = {
    "anthropic": _Vendor(
        *("api.anthropic.com", "x-api-key", ""),
        "an API key of the Claude Console",
        "https://platform.claude.com/settings/keys",
        "/v1/models?limit=1",
        (("anthropic-version", "2023-06-01"),),
    ),
    "openai": _Vendor(
        *("api.openai.com", "Authorization", "Bearer "),
        "an API key of the OpenAI platform",
        "https://platform.openai.com/api-keys",
        "/v1/models",
    ),
    "google": _Vendor(
        *("generativelanguage.googleapis.com", "x-goog-api-key", ""),
        "an API key of Google AI Studio",
        "https://aistudio.google.com/apikey",
        "/v1beta/models?pageSize=1",
    ),
}


def upstreams(keys: Mapping[Provider, str], rules: Rules, origin: Origin) -> tuple[Upstream, ...]:
    """Return the vendors' services, each with the key that a variable holds."""
    vendors = ((_VENDORS[provider], EnvVar(key)) for provider, key in keys.items())
    injected = ((v.host, Header(v.header, v.prefix, key, "")) for v, key in vendors)
    return tuple(
        Upstream("https", host, 443, (header,), origin, rules=rules) for host, header in injected
    )


def logins(
    variables: Mapping[Provider, str], options: Callable[[Provider], Mapping[str, Plain]]
) -> tuple[ModelLogin, ...]:
    """Return the ways to log in to the vendors.

    Args:
        variables: provider → the usual variable for its key.
        options: returns the feature's keys in agent.yaml for a provider.
    """
    return tuple(_login(p, name, options(p)) for p, name in variables.items())


def _login(provider: Provider, variable: str, options: Mapping[str, Plain]) -> ModelLogin:
    v = _VENDORS[provider]
    return ModelLogin(
        mode=provider,
        title=v.title,
        source=f"{v.page} creates one; usage is billed to it",
        options=options,
        credential=Credential(variable, v.host, v.header, v.prefix, v.path, v.also),
    )
