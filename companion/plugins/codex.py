"""The Codex CLI and its ACP adapter, pinned, from npm."""

from companion.contribution import RuntimeProgram
from companion.plugins.base import RuntimePlugin

_CLI = "@openai/codex@0.136.0"
_ADAPTER = "@zed-industries/codex-acp@0.15.0"

PLUGIN = RuntimePlugin(
    name="codex",
    summary="OpenAI Codex CLI with the codex-acp adapter",
    program=RuntimeProgram(
        base_image="docker.io/library/node:24-slim",
        install=(
            f"npm install -g --no-fund --no-audit {_CLI} {_ADAPTER} && npm cache clean --force",
        ),
        command=("sleep", "infinity"),
        acp_command=("codex-acp",),
        user="agent",
    ),
)
