"""JetBrains IDEs: the agents that their AI chat starts for local projects, here over SSH.

Source: jetbrains.com/help/ai-assistant/acp.html. The IDE starts the command on the desktop and
speaks ACP with it: in the chat the agent may ask for files and commands of the desktop. No command
of theirs that could be relied on opens a folder over SSH.
"""

import shlex

from editors.base import Desktop, Editor, Remote
from editors.owned import Entry


def _settings(desktop: Desktop) -> str:
    return f"{desktop.home}/.jetbrains/acp.json"


def _entries(remote: Remote) -> tuple[Entry, ...]:
    """A shell in the sandbox reads the command, so its words are quoted for it."""
    if not remote.acp_command:
        return ()
    command = map(shlex.quote, remote.acp_command)
    server = {"command": remote.ssh, "args": ["-T", remote.alias, *command], "env": {}}
    return (Entry(("agent_servers", remote.alias), server),)


EDITOR = Editor(
    id="jetbrains",
    name="JetBrains IDEs",
    settings=_settings,
    entries=_entries,
    only_if_named=True,
)
