"""MCP clients: the servers of agent.yaml as each agent's own configuration names them.

The gateway adds the tokens, so a name and a URL are all that an agent needs. Codex and Gemini CLI
read system-wide files, which the image has. Claude Code and opencode read files in the home, to
which the entrypoint adds what is missing.
"""

import json
import shlex
from collections.abc import Iterator, Mapping

from companion.sandbox.model import Sandbox
from companion.spec.containers import File

DIRECTORY = "mcp"
_CODEX = "/etc/codex/config.toml"
_GEMINI = "/etc/gemini-cli/system-defaults.json"


def files(sandbox: Sandbox) -> Iterator[File]:
    """Yield what the entrypoint adds to files in the home; their names are known to it."""
    if servers := _servers(sandbox):
        claude = {name: {"type": "http", "url": url} for name, url in servers.items()}
        opencode = {
            name: {"type": "remote", "url": url, "enabled": True, "oauth": False}
            for name, url in servers.items()
        }
        yield File(f"{DIRECTORY}/claude.json", json.dumps(claude).encode())
        yield File(f"{DIRECTORY}/opencode.json", json.dumps(opencode).encode())


def commands(sandbox: Sandbox) -> Iterator[str]:
    """Yield the commands that complete system-wide files, where their agents are installed."""
    if servers := _servers(sandbox):
        tables = "".join(
            f"\n[mcp_servers.{json.dumps(name)}]\nurl = {json.dumps(url)}\n"
            for name, url in servers.items()
        )
        yield f"[ ! -e {_CODEX} ] || printf %s {shlex.quote(tables)} >>{_CODEX}"
        gemini = json.dumps({name: {"httpUrl": url} for name, url in servers.items()})
        added = f"jq --argjson add {shlex.quote(gemini)} '.mcpServers = $add' {_GEMINI}"
        yield f"[ ! -e {_GEMINI} ] || {{ {added} >/tmp/new && cat /tmp/new >{_GEMINI}; }}"


def _servers(sandbox: Sandbox) -> Mapping[str, str]:
    """Return name → URL."""
    return {p.name: p.url for p in sandbox.contribution.providers if not p.is_account}
