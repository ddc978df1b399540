"""Claude Code: a runtime with its ACP adapter, and a feature that adds the CLI and a login."""

import json
from dataclasses import replace

from pydantic import model_validator

from companion.config.request_rules import Ruled
from companion.config.values import Version
from companion.plugins import hooks, instructions, npm
from companion.plugins.base import Context, FeaturePlugin, Reference
from companion.plugins.contribution import (
    Command,
    Contribution,
    EnvVar,
    Header,
    HomeFile,
    Upstream,
    Variable,
)
from companion.plugins.login import Credential, ModelLogin
from companion.traffic.attention import Word

_CLI = npm.Cli("claude", "@anthropic-ai/claude-code", "2.1.332")
_DUMMY = "dummy"
_QUIET = ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
# Without these the first start in a terminal asks for an account and contacts the login hosts.
_SET_UP: dict[str, object] = {"hasCompletedOnboarding": True}
_KEY_APPROVED: dict[str, object] = {"customApiKeyResponses": {"approved": [_DUMMY]}}

_TOLD = hooks.written("/etc/claude-code/CLAUDE.md", instructions.TEXT)

_HOST, _MODELS = "api.anthropic.com", "/v1/models?limit=1"
_API = ("anthropic-version", "2023-06-01")
_LOGINS = (
    ModelLogin(
        mode="api-key",
        title="an API key of the Claude Console",
        source="https://platform.claude.com/settings/keys creates one; usage is billed to it",
        options={"plugin": "claude-code", "api_key": "${ANTHROPIC_API_KEY}"},
        credential=Credential(
            variable="ANTHROPIC_API_KEY",
            host=_HOST,
            header="x-api-key",
            prefix="",
            path=_MODELS,
            also=(_API,),
            begins="sk-ant-api",
        ),
    ),
    ModelLogin(
        mode="subscription",
        title="a token of your Claude subscription",
        source="`claude setup-token` on this desktop prints one, which is valid for a year",
        options={"plugin": "claude-code", "oauth_token": "${CLAUDE_CODE_OAUTH_TOKEN}"},
        credential=Credential(
            variable="CLAUDE_CODE_OAUTH_TOKEN",
            host=_HOST,
            header="Authorization",
            prefix="Bearer ",
            path=_MODELS,
            also=(_API, ("anthropic-beta", "oauth-2025-04-20")),
            begins="sk-ant-oat",
        ),
    ),
)

# Nothing is called when the user answers a question of permission: the next word is that of the
# tool's end.
_EVENTS = {
    Word.BUSY: (
        "UserPromptSubmit",
        "PreToolUse",
        "PostToolUse",
        "PostToolUseFailure",
        "PermissionDenied",
        "ElicitationResult",
    ),
    Word.WAITING: ("PermissionRequest", "Elicitation"),
    Word.DONE: ("Stop", "StopFailure"),
    Word.ENDED: ("SessionEnd",),
}
_NOTICES = {
    Word.WAITING: "permission_prompt|elicitation_dialog|agent_needs_input",
    Word.DONE: "idle_prompt",
}
"""Kinds of the event Notification: they come late, but also where nothing else is called."""


def _hook(word: Word, **more: str) -> dict[str, object]:
    run = {"type": "command", "command": hooks.command(word), "timeout": hooks.SECONDS}
    return {**more, "hooks": [run]}


def _hooks() -> str:
    """Return the command that writes the hooks into a file of its own among managed settings."""
    events = {event: [_hook(word)] for word, events in _EVENTS.items() for event in events}
    notices = [_hook(word, matcher=kinds) for word, kinds in _NOTICES.items()]
    text = json.dumps({"hooks": {**events, "Notification": notices}})
    return hooks.written("/etc/claude-code/managed-settings.d/50-companion.json", text)


_PROGRAM = npm.runtime(
    name="claude-code",
    summary="Claude Code with the claude-agent-acp adapter",
    cli=_CLI,
    acp=npm.Acp(("claude-agent-acp",), "@agentclientprotocol/claude-agent-acp@0.101.0"),
    commands=(_hooks(), _TOLD),
)
RUNTIME = replace(
    _PROGRAM,
    logins=_LOGINS,
    elsewhere=(
        "ANTHROPIC_BASE_URL",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_USE_FOUNDRY",
    ),
)


class Options(Ruled):
    """Options of the claude-code plugin."""

    api_key: Reference | None = None
    oauth_token: Reference | None = None
    """A subscription's token, from `claude setup-token`."""
    version: Version | None = None

    @model_validator(mode="after")
    def _one_login(self) -> "Options":
        if (self.api_key is None) == (self.oauth_token is None):
            raise ValueError("needs exactly one of api_key and oauth_token")
        return self


def contribute(options: Options, context: Context) -> Contribution:
    """Install the CLI unless the image has it; the gateway sends the secret in place of a dummy.

    The variable decides how the CLI logs in: with a key it sends x-api-key, with a token
    Authorization and what else belongs to a subscription.
    """
    if options.oauth_token:
        variable, set_up = "CLAUDE_CODE_OAUTH_TOKEN", _SET_UP
        header = Header("Authorization", "Bearer ", EnvVar(options.oauth_token), "")
    else:
        variable, set_up = "ANTHROPIC_API_KEY", _SET_UP | _KEY_APPROVED
        header = Header("x-api-key", "", EnvVar(options.api_key or ""), "")
    return Contribution(
        home=(HomeFile(".claude.json", json.dumps(set_up), context.origin),),
        commands=(*npm.added(_CLI, options.version), Command(_hooks()), Command(_TOLD)),
        variables=tuple(Variable(*p, context.origin) for p in ((variable, _DUMMY), _QUIET)),
        upstreams=(Upstream("https", _HOST, 443, (header,), context.origin, rules=options.rules),),
    )


PLUGIN = FeaturePlugin(
    name="claude-code",
    summary="Claude Code CLI, its key or token injected by the gateway",
    options=Options,
    contribute=contribute,
)
