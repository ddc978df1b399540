"""The plugins. To add one, write its module, import it here and list it."""

from companion.plugins import (
    claude_code,
    codex,
    custom_runtime,
    external_services,
    gemini_cli,
    git,
    github_pat,
    mcp_oauth,
    opencode,
    pi,
    ssh,
    telegram,
)
from companion.plugins.base import FeaturePlugin, RefusedPlugin, RuntimePlugin

RUNTIMES: tuple[RuntimePlugin, ...] = (
    claude_code.RUNTIME,
    codex.RUNTIME,
    gemini_cli.RUNTIME,
    opencode.RUNTIME,
    pi.RUNTIME,
)
FEATURES: tuple[FeaturePlugin, ...] = (
    claude_code.PLUGIN,
    codex.PLUGIN,
    custom_runtime.PLUGIN,
    external_services.PLUGIN,
    gemini_cli.PLUGIN,
    git.PLUGIN,
    github_pat.PLUGIN,
    mcp_oauth.PLUGIN,
    opencode.PLUGIN,
    pi.PLUGIN,
    ssh.PLUGIN,
)
REFUSED: tuple[RefusedPlugin, ...] = (telegram.PLUGIN,)
