"""JetBrains IDEs: agents that the AI chat starts for local projects, run over SSH.

Source: jetbrains.com/help/ai-assistant/acp.html. The IDE starts the command on the desktop and
speaks ACP with it: in the chat, the agent may request files and commands of the desktop. The IDEs
have no reliable command to open a folder over SSH.
"""

import shlex

from editors.base import Desktop, Editor, Remote
from editors.owned import Entry


def _settings(desktop: Desktop) -> str:
    return f"{desktop.home}/.jetbrains/acp.json"


def _entries(remote: Remote) -> tuple[Entry, ...]:
    """Return the agent server; a shell in the sandbox parses the command, so words are quoted.

    Without `--` after the host, ssh would take a command that begins with a dash for its own
    option: `-oProxyCommand=…` would run on the desktop.
    """
    if not remote.acp_command:
        return ()
    command = map(shlex.quote, remote.acp_command)
    server = {"command": remote.ssh, "args": ["-T", remote.alias, "--", *command], "env": {}}
    return (Entry(("agent_servers", remote.alias), server),)


EDITOR = Editor(
    id="jetbrains",
    name="JetBrains IDEs",
    settings=_settings,
    entries=_entries,
    only_if_named=True,
)
