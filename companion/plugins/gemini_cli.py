"""Gemini CLI: a runtime, which speaks ACP itself, and a feature that adds the CLI and a key."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace

from companion.config.request_rules import Ruled
from companion.config.strict_yaml import Plain
from companion.config.values import Version
from companion.plugins import hooks, instructions, model_keys, npm
from companion.plugins.base import Context, FeaturePlugin, Reference
from companion.plugins.contribution import Command, Contribution, HomeFile, Variable
from companion.traffic.attention import Word

_CLI = npm.Cli("gemini", "@google/gemini-cli", "0.61.0")
_VARIABLE = "GEMINI_API_KEY"
_VARIABLES = (
    (_VARIABLE, "dummy"),
    # The container is the sandbox: without a trusted directory it runs no command unattended.
    ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
)
_TOLD = "COMPANION.md"
# Of a permission that is granted, it tells when the tool ends.
_EVENTS = {
    Word.BUSY: ("BeforeAgent", "BeforeTool", "AfterTool"),
    Word.WAITING: ("Notification",),
    Word.DONE: ("AfterAgent",),
    Word.ENDED: ("SessionEnd",),
}


def _hook(word: Word) -> dict[str, object]:
    run = {"type": "command", "command": hooks.command(word), "timeout": hooks.SECONDS * 1000}
    return {"hooks": [run]}


# System-wide defaults, which the home's own settings override.
_DEFAULTS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    # It reads each of them in the home's .gemini, so the user's own GEMINI.md stays.
    "context": {"fileName": ["GEMINI.md", _TOLD]},
    "hooks": {event: [_hook(word)] for word, events in _EVENTS.items() for event in events},
    "hooksConfig": {"notifications": False},  # that a hook runs is no news to the user
}
_SET_UP = (
    "mkdir -p /etc/gemini-cli"
    f" && printf %s {shlex.quote(json.dumps(_DEFAULTS))} >/etc/gemini-cli/system-defaults.json"
)

_PROGRAM = npm.runtime(
    name="gemini-cli",
    summary="Gemini CLI, which speaks ACP itself",
    cli=_CLI,
    acp=npm.Acp(("gemini", "--acp")),
    commands=(_SET_UP,),
)
_KEY: Mapping[str, Plain] = {"plugin": "gemini-cli", "api_key": f"${{{_VARIABLE}}}"}
RUNTIME = replace(_PROGRAM, logins=model_keys.logins({"google": _VARIABLE}, lambda _: _KEY))


class Options(Ruled):
    """Options of the gemini-cli plugin."""

    api_key: Reference
    version: Version | None = None


def contribute(options: Options, context: Context) -> Contribution:
    """Install the CLI unless the image has it; the gateway sends the key in place of a dummy."""
    told = HomeFile(f".gemini/{_TOLD}", f"{instructions.TEXT}\n", context.origin)
    return Contribution(
        home=(told,),
        commands=(*npm.added(_CLI, options.version), Command(_SET_UP)),
        variables=tuple(Variable(*pair, context.origin) for pair in _VARIABLES),
        upstreams=model_keys.upstreams({"google": options.api_key}, options.rules, context.origin),
    )


PLUGIN = FeaturePlugin(
    name="gemini-cli",
    summary="Gemini CLI, its key injected by the gateway",
    options=Options,
    contribute=contribute,
)
