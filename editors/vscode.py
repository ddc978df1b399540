"""VS Code and its forks: Remote-SSH settings, and the two ways to open a folder.

Sources: the settings that Remote-SSH prints in its log, open-remote-ssh's source (sshDestination),
Cursor's behaviour (it uses the hexadecimal form itself; the plain one opens a second window).
"""

import json
from collections.abc import Callable
from urllib.parse import quote

from editors.base import Desktop, Editor, Opening, Remote
from editors.owned import Entry


def _product(
    name: str,
    command: str,
    scheme: str,
    *,
    directory: str = "",
    app: str = "",
    authority: Callable[[str], str] = str,
) -> Editor:
    directory = directory or name
    bundle = f"/Applications/{app or name}.app/Contents/Resources/app/bin/{command}"

    def settings(desktop: Desktop) -> str:
        support = f"{desktop.home}/Library/Application Support"
        base = support if desktop.platform == "darwin" else desktop.config
        return f"{base}/{directory}/User/settings.json"

    def arguments(remote: Remote, path: str) -> tuple[str, ...]:
        folder = f"vscode-remote://ssh-remote+{authority(remote.alias)}{quote(path)}"
        return ("--folder-uri", folder)

    def url(remote: Remote, path: str) -> str:
        host = f"ssh-remote+{authority(remote.alias)}"
        return f"{scheme}://vscode-remote/{host}{quote(path)}?windowId=_blank"

    return Editor(
        id=command,
        name=name,
        settings=settings,
        entries=_entries,
        opening=Opening(commands=(command, bundle), arguments=arguments, url=url),
        ssh_config_key="remote.SSH.configFile",
    )


def _entries(remote: Remote) -> tuple[Entry, ...]:
    """Return the remote's platform; without it, Remote-SSH asks before the first connection."""
    return (Entry(("remote.SSH.remotePlatform", remote.alias), "linux"),)


def _hexadecimal(alias: str) -> str:
    return json.dumps({"hostName": alias}, separators=(",", ":")).encode().hex()


EDITORS = (
    _product("VS Code", "code", "vscode", directory="Code", app="Visual Studio Code"),
    _product("VS Code Insiders", "code-insiders", "vscode-insiders", directory="Code - Insiders",
             app="Visual Studio Code - Insiders"),
    _product("VSCodium", "codium", "vscodium"),
    _product("Cursor", "cursor", "cursor", authority=_hexadecimal),
    _product("Windsurf", "windsurf", "windsurf"),
)  # fmt: skip
