"""Editor types: where settings are stored, which entries to add, and how to open a folder."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from editors.owned import Entry

Platform = Literal["linux", "darwin", "win32"]


@dataclass(frozen=True, slots=True)
class Desktop:
    """Where a user's programs store settings; absolute paths with forward slashes."""

    platform: Platform
    home: str
    config: str
    """Linux: XDG_CONFIG_HOME or ~/.config; Windows: %APPDATA%; unused on macOS."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A sandbox as an editor sees it: an SSH alias, a folder, and an agent that speaks ACP."""

    alias: str
    agent: str
    workdir: str
    acp_command: tuple[str, ...] = ()
    ssh: str = "ssh"
    """Path of OpenSSH's client on the desktop, for programs whose PATH differs from ours."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How to make an editor open a folder of a sandbox."""

    commands: tuple[str, ...]
    """Names or absolute paths of its command-line tool, in order of preference."""
    arguments: Callable[[Remote, str], tuple[str, ...]]
    """Return the arguments that open a folder of a sandbox."""
    url: Callable[[Remote, str], str]
    """Return the URL that opens a folder of a sandbox."""


@dataclass(frozen=True, slots=True)
class Editor:
    """One editor product."""

    id: str
    name: str
    settings: Callable[[Desktop], str]
    """The user's settings file."""
    entries: Callable[[Remote], tuple[Entry, ...]]
    """Return the settings entries for one sandbox."""
    opening: Opening | None = None
    """None: the editor cannot be made to open a folder."""
    only_if_named: bool = False
    """Its entries let an agent request access beyond its sandbox, so the user must opt in."""
    ssh_config_keys: tuple[str, ...] = ()
    """The top-level settings that name the SSH config it reads instead of ~/.ssh/config; of
    several, the first that is set."""
