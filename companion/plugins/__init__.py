"""Which plugins are there? To add one: write its file, import it, name it here."""

from companion.plugins import (
    claude_code,
    codex,
    custom_runtime,
    external_services,
    github_pat,
    pi,
    ssh,
)
from companion.plugins.base import FeaturePlugin, RuntimePlugin

RUNTIMES: tuple[RuntimePlugin, ...] = (claude_code.RUNTIME, codex.PLUGIN, pi.RUNTIME)
FEATURES: tuple[FeaturePlugin, ...] = (
    claude_code.PLUGIN,
    custom_runtime.PLUGIN,
    external_services.PLUGIN,
    github_pat.PLUGIN,
    pi.PLUGIN,
    ssh.PLUGIN,
)

NOT_YET: dict[str, str] = {
    "mcp-oauth": "is not supported yet",
    "telegram": "is not supported: a chat channel into the sandbox is a way past its walls",
}
