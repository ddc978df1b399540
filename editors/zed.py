"""Zed: its SSH connections, its agent servers, and how it opens a folder.

Source: Zed's settings_content crate (SshConnection, CustomAgentServerSettings) and open_listener.
Zed starts an agent server where the project is (agent_server_store): in the sandbox for a remote
project, but on the desktop for a local one. The desktop's settings are sent to the sandbox, so both
have the same entry. It names a program that only sandboxes have, never a command of the project's.
"""

import json
from urllib.parse import quote

from editors.base import Desktop, Editor, Opening, Remote
from editors.jsonc import Match
from editors.jsonc_tree import Json
from editors.owned import Entry

SETTINGS_IN_HOME = ".config/zed/settings.json"
"""Where Zed's server in a sandbox reads settings, below the home directory."""
PROGRAM_IN_SANDBOX = "/usr/local/lib/companion/acp"
"""What starts the agent in a sandbox; on a desktop, only root could put a program there."""
_SERVER: Json = {"type": "custom", "command": PROGRAM_IN_SANDBOX, "args": [], "env": {}}


def settings_of_sandbox(agent: str) -> str:
    """Return the settings file for the home of a sandbox whose agent speaks ACP; strict JSON."""
    return json.dumps({"agent_servers": {_name(agent): _SERVER}}, indent=2) + "\n"


def _name(agent: str) -> str:
    return f"{agent} (sandbox)"


def _settings(desktop: Desktop) -> str:
    if desktop.platform == "darwin":
        return f"{desktop.home}/.config/zed/settings.json"
    folder = "Zed" if desktop.platform == "win32" else "zed"
    return f"{desktop.config}/{folder}/settings.json"


def _entries(remote: Remote) -> tuple[Entry, ...]:
    """Return the connection and the agent server.

    Zed uploads its server: the sandbox may not be allowed to download it.
    """
    connection = ("ssh_connections", Match("host", remote.alias), "upload_binary_over_ssh")
    entries = (Entry(connection, value=True),)
    if not remote.acp_command:
        return entries
    return (*entries, Entry(("agent_servers", _name(remote.agent)), _SERVER))


def _arguments(remote: Remote, path: str) -> tuple[str, ...]:
    return (f"ssh://{remote.alias}{quote(path)}",)


def _url(remote: Remote, path: str) -> str:
    return f"zed://ssh/{remote.alias}{quote(path)}"


EDITOR = Editor(
    id="zed",
    name="Zed",
    settings=_settings,
    entries=_entries,
    opening=Opening(
        commands=("zed", "zeditor", "zedit", "/Applications/Zed.app/Contents/MacOS/cli"),
        arguments=_arguments,
        url=_url,
    ),
)
