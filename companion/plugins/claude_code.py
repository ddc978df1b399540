"""Claude Code: a runtime with its ACP adapter, and a feature that adds the CLI and an API key."""

import json

from companion.config.models import Model
from companion.plugins import npm
from companion.plugins.base import Context, FeaturePlugin, Reference, Version
from companion.plugins.contribution import (
    Contribution,
    EnvVar,
    Header,
    HomeFile,
    Upstream,
    Variable,
)

_PACKAGE, _PINNED = "@anthropic-ai/claude-code", "2.1.161"
_DUMMY = "dummy"
_VARIABLES = (("ANTHROPIC_API_KEY", _DUMMY), ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"))
# Without these the first start in a terminal asks for an account and contacts the login hosts.
_SET_UP = {"hasCompletedOnboarding": True, "customApiKeyResponses": {"approved": [_DUMMY]}}

RUNTIME = npm.runtime(
    name="claude-code",
    summary="Claude Code with the claude-agent-acp adapter",
    packages=(f"{_PACKAGE}@{_PINNED}", "@agentclientprotocol/claude-agent-acp@0.40.0"),
    adapter="claude-agent-acp",
)


class Options(Model):
    """Options of the claude-code plugin."""

    api_key: Reference
    version: Version | None = None


def contribute(options: Options, context: Context) -> Contribution:
    """Install the CLI unless the image has it; the gateway sends the key in place of a dummy."""
    header = Header("x-api-key", "", EnvVar(options.api_key), "")
    return Contribution(
        home=(HomeFile(".claude.json", json.dumps(_SET_UP), context.origin),),
        commands=npm.added("claude", _PACKAGE, _PINNED, options.version),
        variables=tuple(Variable(*pair, context.origin) for pair in _VARIABLES),
        upstreams=(Upstream("https", "api.anthropic.com", 443, (header,), context.origin),),
    )


PLUGIN = FeaturePlugin(
    name="claude-code",
    summary="Claude Code CLI, its key injected by the gateway",
    options=Options,
    contribute=contribute,
)
