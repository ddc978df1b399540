"""JetBrains IDEs: agents that the AI chat starts for local projects, run over SSH.

Sources: jetbrains.com/help/ai-assistant/acp.html and install-acp-agents.html. The IDE starts the
command on the desktop and speaks ACP with it: in the chat, the agent may request files and commands
of the desktop. The IDEs have no reliable command to open a folder over SSH.
"""

import shlex

from editors.base import Desktop, Editor, Remote
from editors.jsonc_tree import Json
from editors.owned import Entry


def _settings(desktop: Desktop) -> str:
    return f"{desktop.home}/.jetbrains/acp.json"


def _entries(remote: Remote) -> tuple[Entry, ...]:
    """Return the agent server; a shell in the sandbox parses the command, so words are quoted.

    It is given none of the desktop's MCP servers, the IDE's own among them: each is a way out of
    the sandbox. `default_mcp_settings` concerns all agents, so that is the user's.

    Without `--` after the host, ssh would take a command that begins with a dash for its own
    option: `-oProxyCommand=…` would run on the desktop.
    """
    if not remote.acp_command:
        return ()
    command = map(shlex.quote, remote.acp_command)
    server: dict[str, Json] = {
        "command": remote.ssh,
        "args": ["-T", remote.alias, "--", *command],
        "env": {},
    }
    server |= {"use_idea_mcp": False, "use_custom_mcp": False}
    return (Entry(("agent_servers", remote.alias), server),)


EDITOR = Editor(
    id="jetbrains",
    name="JetBrains IDEs",
    settings=_settings,
    entries=_entries,
    only_if_named=True,
)
