"""The plugins. To add one, write its module, import it here and list it."""

from companion.plugins import (
    claude_code,
    codex,
    custom_runtime,
    external_services,
    git,
    github_pat,
    mcp_oauth,
    pi,
    ssh,
    telegram,
)
from companion.plugins.base import FeaturePlugin, RefusedPlugin, RuntimePlugin

RUNTIMES: tuple[RuntimePlugin, ...] = (claude_code.RUNTIME, codex.RUNTIME, pi.RUNTIME)
FEATURES: tuple[FeaturePlugin, ...] = (
    claude_code.PLUGIN,
    codex.PLUGIN,
    custom_runtime.PLUGIN,
    external_services.PLUGIN,
    git.PLUGIN,
    github_pat.PLUGIN,
    mcp_oauth.PLUGIN,
    pi.PLUGIN,
    ssh.PLUGIN,
)
REFUSED: tuple[RefusedPlugin, ...] = (telegram.PLUGIN,)
