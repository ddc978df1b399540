"""Paths: every directory and file of a user that we read or write, outside of projects."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from companion.errors import Code, CompanionError
from companion.system import files
from companion.system.platforms import HERE, Platform
from companion.system.project_paths import ProjectPaths

if TYPE_CHECKING:
    from platformdirs.api import PlatformDirsABC


@dataclass(frozen=True, slots=True)
class Paths:
    """All places of one desktop user."""

    home: Path
    config: Path
    data: Path
    state: Path
    programs: Path
    """Where all programs of the user keep their settings: ~/.config, %APPDATA% and the like."""

    @classmethod
    def of_user(cls, platform: Platform = HERE) -> "Paths":
        """Return the directories of the user who runs this, as the platform names them.

        macOS and Windows have one directory for all that a program keeps. There, data and state
        get directories in it, so that removing them leaves the user's settings.

        Raises:
            CompanionError: the user has no home directory, or others could write into ours.
        """
        home = files.expanded(Path("~"))
        if not home.is_absolute():
            what = f"your user has no home directory: HOME is {os.environ.get('HOME', 'not set')}"
            raise CompanionError(what, "set HOME to a directory of yours", code=Code.FILE_ACCESS)
        base = _directories(platform)
        dirs = base("companion", appauthor=False)
        config, data = Path(dirs.user_config_dir), Path(dirs.user_data_dir)
        state = Path(dirs.user_state_dir)
        found = cls(
            home=home,
            config=config,
            data=data / "data" if data == config else data,
            state=state / "state" if state in {config, data} else state,
            programs=Path(base(appauthor=False, roaming=True).user_config_dir),
        )
        for directory in (found.data, found.state):
            files.require_own(directory)
        return found

    @property
    def settings(self) -> Path:
        """The user's own settings of companion."""
        return self.config / "settings.yaml"

    @property
    def ca_key(self) -> Path:
        """Private key of the sandbox CA; never mounted anywhere."""
        return self.data / "ca" / "ca.key"

    @property
    def ca_certificate(self) -> Path:
        """Certificate of the sandbox CA."""
        return self.data / "ca" / "ca.crt"

    @property
    def owner_id(self) -> Path:
        """The random ID that labels what this desktop makes on clusters."""
        return self.data / "owner_id"

    @property
    def projects(self) -> Path:
        """Parent of all project states."""
        return self.state / "projects"

    @property
    def shared_ssh(self) -> Path:
        """Directory of the `ssh` by which calls of an engine share a connection."""
        return self.state / "shared-ssh"

    @property
    def allocation_lock(self) -> Path:
        """Held while a subnet or a port is chosen."""
        return self.state / "allocation.lock"

    def build_lock(self, engine: str, recipe: str) -> Path:
        """Return what is held while images of one recipe (a hex digest) are built on an engine.

        There are 256 of them at most for each engine: a few recipes share one.
        """
        return self.builds / f"{engine}-{recipe[:2]}.lock"

    @property
    def builds(self) -> Path:
        """Directory of these locks."""
        return self.state / "builds"

    @property
    def unfinished_runs(self) -> Path:
        """Directory of what `companion run` notes, and locks, until a sandbox is made."""
        return self.state / "runs"

    @property
    def watch_lock(self) -> Path:
        """Held by the one watcher of this user."""
        return self.state / "watch.lock"

    @property
    def pauses(self) -> Path:
        """Directory of all files that tell the watcher to leave something alone."""
        return self.state / "pauses"

    @property
    def paused(self) -> Path:
        """Exists while the watcher shall leave all projects alone."""
        return self.pauses / "all"

    @property
    def forwards(self) -> Path:
        """Directory of the ports that are forwarded into sandboxes right now."""
        return self.state / "forwards"

    @property
    def kept_volumes(self) -> Path:
        """Directory of the volumes that remain of removed projects."""
        return self.state / "kept_volumes"

    @property
    def events(self) -> Path:
        """What happened lately, for the tray's menu."""
        return self.state / "events.json"

    @property
    def log(self) -> Path:
        """What companion did."""
        return self.state / "companion.log"

    @property
    def editors(self) -> Path:
        """What we wrote into editors' settings, and which editor was used last."""
        return self.state / "editors.json"

    @property
    def made_directories(self) -> Path:
        """The directories that we made in other programs' places."""
        return self.state / "made_directories.json"

    @property
    def reports(self) -> Path:
        """Reports of our own bugs."""
        return self.state / "reports"

    @property
    def all_grants(self) -> Path:
        """Directory of what users granted us at MCP servers; never mounted anywhere."""
        return self.data / "oauth"

    def grants(self, project_id: str) -> Path:
        """Return the file of the grants of one project."""
        return self.all_grants / f"{project_id}.json"

    @property
    def all_secrets(self) -> Path:
        """Directory of what we know of the user's secrets; never mounted anywhere."""
        return self.data / "secrets"

    @property
    def secret_names(self) -> Path:
        """The names of the user's secrets, what they are bound to, and where their values lie."""
        return self.all_secrets / "names.json"

    @property
    def secret_values(self) -> Path:
        """Values of secrets, unencrypted: only where there is no keychain."""
        return self.all_secrets / "values.json"

    @property
    def all_trust(self) -> Path:
        """Directory of what users agreed to; never mounted anywhere."""
        return self.data / "trust"

    def trust(self, project_id: str) -> Path:
        """Return the file of what was agreed to for one project."""
        return self.all_trust / f"{project_id}.json"

    @property
    def sandboxes(self) -> Path:
        """Parent of the projects that `companion run` makes; the user's to edit."""
        return self.config / "sandboxes"

    @property
    def runs(self) -> Path:
        """Directory of what `companion run` made for directories of the user."""
        return self.data / "runs"

    def run(self, name: str) -> Path:
        """Return the file of one run."""
        return self.runs / f"{name}.json"

    @property
    def ssh(self) -> Path:
        """Our own SSH files: config, known_hosts and client keys."""
        return self.data / "ssh"

    @property
    def ssh_config(self) -> Path:
        """The host entries of all sandboxes; the user's ~/.ssh/config includes it."""
        return self.ssh / "config"

    @property
    def ssh_known_hosts(self) -> Path:
        """The pinned host keys of all sandboxes."""
        return self.ssh / "known_hosts"

    @property
    def user_ssh_config(self) -> Path:
        """The user's own SSH configuration."""
        return self.home / ".ssh" / "config"

    def client_key(self, alias: str) -> Path:
        """Return our own private key for one sandbox."""
        return self.ssh / "keys" / alias

    def project(self, project_id: str) -> ProjectPaths:
        """Return the paths of one project."""
        return ProjectPaths(self.projects / project_id)


def _directories(platform: Platform) -> "type[PlatformDirsABC]":
    """Return what knows the directories of a platform; loading it costs start-up time."""
    if platform == "darwin":
        from platformdirs.macos import MacOS  # noqa: PLC0415

        return MacOS
    if platform == "win32":
        from platformdirs.windows import Windows  # noqa: PLC0415

        return Windows
    from platformdirs.unix import Unix  # noqa: PLC0415

    return Unix
