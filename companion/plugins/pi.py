"""Pi: a runtime with its ACP adapter, and a feature that adds the CLI and its providers' keys."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pydantic import model_validator

from companion.config.models import Model
from companion.config.strict_yaml import Plain
from companion.plugins import npm
from companion.plugins.base import Context, FeaturePlugin, Reference, Version
from companion.plugins.contribution import Contribution, EnvVar, Header, Upstream, Variable
from companion.plugins.login import Credential, Login

_PACKAGE, _PINNED = "@earendil-works/pi-coding-agent", "0.75.5"
_QUIET = (("PI_SKIP_VERSION_CHECK", "1"), ("PI_TELEMETRY", "0"))

Provider = Literal["anthropic", "openai", "google"]
# Host, header, the header's prefix, and the variable from which pi reads the key.
_PROVIDERS: Mapping[Provider, tuple[str, str, str, str]] = {
    "anthropic": ("api.anthropic.com", "x-api-key", "", "ANTHROPIC_API_KEY"),
    "openai": ("api.openai.com", "Authorization", "Bearer ", "OPENAI_API_KEY"),
    "google": ("generativelanguage.googleapis.com", "x-goog-api-key", "", "GEMINI_API_KEY"),
}

_SOURCES: Mapping[Provider, tuple[str, str, str, tuple[tuple[str, str], ...]]] = {
    "anthropic": (
        "an API key of the Claude Console",
        "https://platform.claude.com/settings/keys",
        "/v1/models?limit=1",
        (("anthropic-version", "2023-06-01"),),
    ),
    "openai": (
        "an API key of the OpenAI platform",
        "https://platform.openai.com/api-keys",
        "/v1/models",
        (),
    ),
    "google": (
        "an API key of Google AI Studio",
        "https://aistudio.google.com/apikey",
        "/v1beta/models?pageSize=1",
        (),
    ),
}


def _login(provider: Provider) -> Login:
    host, header, prefix, variable = _PROVIDERS[provider]
    title, page, path, also = _SOURCES[provider]
    keys: dict[str, Plain] = {provider: f"${{{variable}}}"}
    return Login(
        mode=provider,
        title=title,
        source=f"{page} creates one; usage is billed to it",
        options={"plugin": "pi", "providers": (provider,), "provider_keys": keys},
        credential=Credential(variable, host, header, prefix, path, also),
    )


_PROGRAM = npm.runtime(
    name="pi",
    summary="Pi coding agent with the pi-acp adapter",
    packages=(f"{_PACKAGE}@{_PINNED}", "pi-acp@0.0.24"),
    adapter="pi-acp",
)
RUNTIME = replace(_PROGRAM, logins=tuple(map(_login, _PROVIDERS)))


class Options(Model):
    """Options of the pi plugin."""

    providers: tuple[Provider, ...] = ("anthropic",)
    provider_keys: Mapping[Provider, Reference]
    version: Version | None = None

    @model_validator(mode="after")
    def _all_have_keys(self) -> "Options":
        if missing := [p for p in self.providers if p not in self.provider_keys]:
            raise ValueError(f"has no key in provider_keys for {', '.join(missing)}")
        return self


def contribute(options: Options, context: Context) -> Contribution:
    """Install the CLI unless the image has it; the gateway sends each provider's key."""
    variables, upstreams = [Variable(*pair, context.origin) for pair in _QUIET], []
    for provider in options.providers:
        host, header, prefix, variable = _PROVIDERS[provider]
        key = Header(header, prefix, EnvVar(options.provider_keys[provider]), "")
        upstreams.append(Upstream("https", host, 443, (key,), context.origin))
        variables.append(Variable(variable, "dummy", context.origin))
    return Contribution(
        commands=npm.added("pi", _PACKAGE, _PINNED, options.version),
        variables=tuple(variables),
        upstreams=tuple(upstreams),
    )


PLUGIN = FeaturePlugin(
    name="pi",
    summary="Pi coding agent, its providers' keys injected by the gateway",
    options=Options,
    contribute=contribute,
)
