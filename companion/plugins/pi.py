"""Pi: a runtime with its ACP adapter, and a feature that adds the CLI and its providers' keys."""

import json
from collections.abc import Mapping
from dataclasses import replace

from pydantic import model_validator

from companion.config.request_rules import Ruled
from companion.config.strict_yaml import Plain
from companion.config.values import Version
from companion.plugins import instructions, model_keys, npm
from companion.plugins.base import Context, FeaturePlugin, Reference
from companion.plugins.contribution import Contribution, HomeFile, Variable
from companion.plugins.model_keys import Provider
from companion.spec.identity import ATTENTION
from companion.traffic.attention import Word

_CLI = npm.Cli("pi", "@earendil-works/pi-coding-agent", "1.6.0")
_TOLD = (".pi/agent/APPEND_SYSTEM.md", f"{instructions.TEXT}\n")
_QUIET = (("PI_SKIP_VERSION_CHECK", "1"), ("PI_TELEMETRY", "0"))

# The variable from which pi reads each key.
_VARIABLES: Mapping[Provider, str] = {
    "anthropic": "ANTHROPIC_API_KEY",
    "openai": "OPENAI_API_KEY",
    "google": "GEMINI_API_KEY",
}


def _options(provider: Provider) -> Mapping[str, Plain]:
    keys: dict[str, Plain] = {provider: f"${{{_VARIABLES[provider]}}}"}
    return {"plugin": "pi", "providers": (provider,), "provider_keys": keys}


_EVENTS = {
    "agent_start": Word.BUSY,
    "ui_prompt_start": Word.WAITING,
    "ui_prompt_end": Word.BUSY,
    "agent_settled": Word.DONE,
    "session_shutdown": Word.ENDED,
}
_EXTENSION = f"""\
// Tells the desktop in one word whether the agent works, waits for its user or is done.
import {{ spawnSync }} from "node:child_process";

const WORDS = {json.dumps(_EVENTS)};

export default function (pi) {{
  for (const [event, word] of Object.entries(WORDS)) {{
    pi.on(event, () => {{
      spawnSync("{ATTENTION}", [word], {{ stdio: "ignore", timeout: 1000 }});
    }});
  }}
}}
"""
_EXTENDED = (".pi/agent/extensions/companion.js", _EXTENSION)

_PROGRAM = npm.runtime(
    name="pi",
    summary="Pi coding agent with the pi-acp adapter",
    cli=_CLI,
    acp=npm.Acp(("pi-acp",), "pi-acp@0.0.34"),
    home_files=(_EXTENDED,),
)
RUNTIME = replace(_PROGRAM, logins=model_keys.logins(_VARIABLES, _options))


class Options(Ruled):
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
    keys = {provider: options.provider_keys[provider] for provider in options.providers}
    dummies = [(_VARIABLES[provider], "dummy") for provider in keys]
    return Contribution(
        home=tuple(HomeFile(*file, context.origin) for file in (_EXTENDED, _TOLD)),
        commands=npm.added(_CLI, options.version),
        variables=tuple(Variable(*pair, context.origin) for pair in (*_QUIET, *dummies)),
        upstreams=model_keys.upstreams(keys, options.rules, context.origin),
    )


PLUGIN = FeaturePlugin(
    name="pi",
    summary="Pi coding agent, its providers' keys injected by the gateway",
    options=Options,
    contribute=contribute,
)
