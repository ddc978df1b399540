"""The Codex CLI and its ACP adapter, pinned, from npm."""

from companion.plugins import npm

PLUGIN = npm.runtime(
    name="codex",
    summary="OpenAI Codex CLI with the codex-acp adapter",
    packages=("@openai/codex@0.136.0", "@zed-industries/codex-acp@0.15.0"),
    adapter="codex-acp",
)
