"""opencode: a runtime, which speaks ACP itself, and a feature that adds its providers' keys."""

import json
from collections.abc import Mapping
from dataclasses import replace

from pydantic import Field

from companion.config.request_rules import Ruled
from companion.config.strict_yaml import Plain
from companion.config.values import Version
from companion.plugins import hooks, instructions, model_keys, npm
from companion.plugins.base import Context, FeaturePlugin, Reference
from companion.plugins.contribution import Command, Contribution, HomeFile, Variable
from companion.plugins.model_keys import Provider

_CLI = npm.Cli("opencode", "opencode-ai", "1.18.33")
_QUIET = (("OPENCODE_DISABLE_AUTOUPDATE", "1"), ("OPENCODE_DISABLE_MODELS_FETCH", "1"))
# Its own provider is not asked: without a key it would choose one of that provider's free models.
_SET_UP = {"autoupdate": False, "share": "disabled", "disabled_providers": ["opencode"]}

# With the schema named, it has no reason to write to this file.
_MANAGED = {"$schema": "https://opencode.ai/config.json", "instructions": [instructions.FILE]}
_TOLD = hooks.written("/etc/opencode/opencode.json", json.dumps(_MANAGED))

# The variable from which it reads each key.
_VARIABLES: Mapping[Provider, str] = {
    "anthropic": "ANTHROPIC_API_KEY",
    "openai": "OPENAI_API_KEY",
    "google": "GOOGLE_GENERATIVE_AI_API_KEY",
}


def _options(provider: Provider) -> Mapping[str, Plain]:
    keys: dict[str, Plain] = {provider: f"${{{_VARIABLES[provider]}}}"}
    return {"plugin": "opencode", "provider_keys": keys}


_PROGRAM = npm.runtime(
    name="opencode",
    summary="opencode, which speaks ACP itself",
    cli=_CLI,
    acp=npm.Acp(("opencode", "acp")),
    commands=(_TOLD,),
)
RUNTIME = replace(_PROGRAM, logins=model_keys.logins(_VARIABLES, _options))


class Options(Ruled):
    """Options of the opencode plugin."""

    provider_keys: Mapping[Provider, Reference] = Field(min_length=1)
    version: Version | None = None


def contribute(options: Options, context: Context) -> Contribution:
    """Install the CLI unless the image has it; the gateway sends each provider's key."""
    dummies = [(_VARIABLES[provider], "dummy") for provider in options.provider_keys]
    return Contribution(
        home=(HomeFile(".config/opencode/opencode.json", json.dumps(_SET_UP), context.origin),),
        commands=(*npm.added(_CLI, options.version), Command(_TOLD)),
        variables=tuple(Variable(*pair, context.origin) for pair in (*_QUIET, *dummies)),
        upstreams=model_keys.upstreams(options.provider_keys, options.rules, context.origin),
    )


PLUGIN = FeaturePlugin(
    name="opencode",
    summary="opencode CLI, its providers' keys injected by the gateway",
    options=Options,
    contribute=contribute,
)
