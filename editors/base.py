"""What is an editor to us? Where its settings lie, what goes in, and how it opens a folder."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from editors.owned import Entry

Platform = Literal["linux", "darwin", "win32"]


@dataclass(frozen=True, slots=True)
class Desktop:
    """Where a user's programs keep their settings; absolute paths with forward slashes."""

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
    """OpenSSH's client on the desktop: its path, for programs with another PATH than ours."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How an editor is told to open a folder of a sandbox."""

    commands: tuple[str, ...]
    """Names or absolute paths of its command line, in order of preference."""
    arguments: Callable[[Remote, str], tuple[str, ...]]
    """The command line's arguments that open a folder of a sandbox."""
    url: Callable[[Remote, str], str]
    """The same as a URL that the desktop opens."""


@dataclass(frozen=True, slots=True)
class Editor:
    """One editor product."""

    id: str
    name: str
    settings: Callable[[Desktop], str]
    """The user's settings file."""
    entries: Callable[[Remote], tuple[Entry, ...]]
    """What must stand in the settings for one sandbox."""
    opening: Opening | None = None
    """None: there is no telling it."""
    only_if_named: bool = False
    """What it is told lets an agent ask for more than its sandbox: the user must want it."""
