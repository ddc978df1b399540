"""VS Code and its forks: Remote-SSH settings, and the two ways to open a folder.

Sources: the settings that Remote-SSH prints in its log, open-remote-ssh's source (sshDestination),
Cursor's behaviour (it uses the hexadecimal form itself; the plain one opens a second window). The
SSH extensions of Windsurf, Devin Desktop and Antigravity are forks of open-remote-ssh that renamed
all of its settings (coder/vscode-coder, remoteSshExtension.ts; openai/codex#30046 for the names of
Devin's program, application and URLs; coder/registry#1079 for Antigravity's).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from editors.base import Desktop, Editor, Opening, Remote
from editors.owned import Entry


@dataclass(frozen=True, slots=True)
class _Product:
    """One of the family; what is not given is as in most of them."""

    name: str
    command: str
    scheme: str
    directory: str = ""
    """Where its settings are; else its name."""
    app: str = ""
    """The name of its application on macOS; else its name."""
    sections: tuple[str, ...] = ("remote.SSH",)
    """Prefixes of its SSH extension's settings, the one that it prefers first."""
    authority: Callable[[str], str] = str


def _editor(product: _Product) -> Editor:
    command, sections, authority = product.command, product.sections, product.authority
    directory, app = product.directory or product.name, product.app or product.name
    bundle = f"/Applications/{app}.app/Contents/Resources/app/bin/{command}"

    def entries(remote: Remote) -> tuple[Entry, ...]:
        """Return the remote's platform; without it, Remote-SSH asks before it connects."""
        return (Entry((f"{sections[0]}.remotePlatform", remote.alias), "linux"),)

    def settings(desktop: Desktop) -> str:
        support = f"{desktop.home}/Library/Application Support"
        base = support if desktop.platform == "darwin" else desktop.config
        return f"{base}/{directory}/User/settings.json"

    def arguments(remote: Remote, path: str) -> tuple[str, ...]:
        folder = f"vscode-remote://ssh-remote+{authority(remote.alias)}{quote(path)}"
        return ("--folder-uri", folder)

    def url(remote: Remote, path: str) -> str:
        host = f"ssh-remote+{authority(remote.alias)}"
        return f"{product.scheme}://vscode-remote/{host}{quote(path)}?windowId=_blank"

    return Editor(
        id=command,
        name=product.name,
        settings=settings,
        entries=entries,
        opening=Opening(commands=(command, bundle), arguments=arguments, url=url),
        ssh_config_keys=tuple(f"{section}.configFile" for section in sections),
    )


def _hexadecimal(alias: str) -> str:
    return json.dumps({"hostName": alias}, separators=(",", ":")).encode().hex()


_PRODUCTS = (
    _Product("VS Code", "code", "vscode", directory="Code", app="Visual Studio Code"),
    _Product("VS Code Insiders", "code-insiders", "vscode-insiders", directory="Code - Insiders",
             app="Visual Studio Code - Insiders"),
    _Product("VSCodium", "codium", "vscodium"),
    _Product("Cursor", "cursor", "cursor", authority=_hexadecimal),
    _Product("Windsurf", "windsurf", "windsurf", sections=("remote.windsurfSSH", "remote.SSH")),
    _Product("Devin Desktop", "devin-desktop", "devin", directory="Devin", app="Devin",
             sections=("remote.devinSSH", "remote.windsurfSSH")),
    _Product("Antigravity IDE", "antigravity-ide", "antigravity-ide",
             sections=("remote.antigravitySSH",)),
)  # fmt: skip
"""Windsurf is called Devin Desktop since June 2026. The program `devin` is no editor but Devin's
command line, and since version 2 the application `Antigravity` is one for agents without an editor.
"""

EDITORS = tuple(map(_editor, _PRODUCTS))
