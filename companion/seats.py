"""Which agents has a project, and where is each of them configured?

A directory with an agent.yaml is a project of one agent. One with a fleet.yaml has an agent in each
directory that the fleet lists. Everything else (containers, keys, networks, state, the watcher's
work) belongs to one agent: agents of a fleet share a directory and an .env, and nothing more.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from companion import files, paths
from companion.config import load
from companion.config.models import Fleet
from companion.config.yaml_text import Document
from companion.errors import CompanionError
from companion.services import digest


@dataclass(frozen=True, slots=True)
class Project:
    """A directory of the user's; `directory` has its symlinks resolved."""

    directory: Path
    id: str

    @property
    def fleet(self) -> Path:
        """The project's fleet.yaml, if it is a fleet."""
        return self.directory / paths.FLEET_NAME

    @property
    def build(self) -> Path:
        """The directory of generated files."""
        return self.directory / paths.BUILD_NAME


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one agent is configured: in the project's directory, or in a fleet's `folder`."""

    project: Project
    folder: str = ""

    @property
    def key(self) -> str:
        """What tells this seat from all others of the user."""
        return f"{self.project.id}/{self.folder}" if self.folder else self.project.id

    @property
    def name(self) -> str:
        """What people call it: its project's directory, and its own."""
        parts = (self.project.directory.name, self.folder)
        return "/".join(part for part in parts if part)

    @property
    def directory(self) -> Path:
        """The directory of its agent.yaml."""
        return self.project.directory / self.folder

    @property
    def config(self) -> Path:
        """Its agent.yaml."""
        return self.directory / paths.CONFIG_NAME

    @property
    def env_files(self) -> tuple[Path, ...]:
        """Files of secret values; the later ones count more."""
        places = dict.fromkeys((self.project.directory, self.directory))
        return tuple(place / paths.ENV_NAME for place in places)

    def build(self, agent: str) -> Path:
        """Return the directory of what is generated for the agent that sits here."""
        return self.project.build / agent

    def named(self, file: Path) -> str:
        """Return a file of the project as messages call it."""
        return file.relative_to(self.project.directory).as_posix()


def project(directory: Path) -> Project:
    """Return the project in `directory`, whether or not its files are any good.

    Raises:
        CompanionError: there is no such directory.
    """
    real = files.real(directory.expanduser())
    if not files.is_directory(real):
        raise CompanionError(f"there is no directory {directory}", "correct the path")
    slug = re.sub(r"[^a-z0-9]+", "-", real.name.lower()).strip("-")[:24] or "project"
    return Project(real, f"{slug}-{digest(str(real))[:8]}")


def fleet(place: Project) -> tuple[Fleet, Document] | None:
    """Return what the project's fleet.yaml says, if it has one.

    Raises:
        ConfigError: it is wrong.
    """
    text = files.read_text(place.fleet)
    return None if text is None else load.fleet(text, paths.FLEET_NAME)


def seats(place: Project) -> tuple[Seat, ...]:
    """Return the seats of a project, in the order of its fleet.yaml.

    Raises:
        ConfigError: fleet.yaml is wrong.
    """
    found = fleet(place)
    return tuple(Seat(place, folder) for folder in found[0].agents) if found else (Seat(place),)


def config_text(seat: Seat) -> str:
    """Return the text of a seat's agent.yaml.

    Raises:
        CompanionError: there is none, or it is one that a fleet's directory above lists.
    """
    text = files.read_text(seat.config)
    if text is None:
        hint = "run `companion init` there, or name the project's directory with -C"
        raise CompanionError(f"there is no {paths.CONFIG_NAME} in {seat.directory}", hint)
    above = Project(seat.directory.parent, "")
    if not seat.folder and files.status(above.fleet):
        listing = fleet(above)
        if listing and seat.directory.name in listing[0].agents:
            what = f"{seat.directory} belongs to the fleet in {above.directory}"
            raise CompanionError(what, f"use -C {above.directory}")
    return text
