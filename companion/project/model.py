"""A project and the places in it where its agents are configured."""

from dataclasses import dataclass
from pathlib import Path

from companion.system import paths


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
class AgentRef:
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
        directories = dict.fromkeys((self.project.directory, self.directory))
        return tuple(directory / paths.ENV_NAME for directory in directories)

    def build(self, agent: str) -> Path:
        """Return the directory of what is generated for the agent that sits here."""
        return self.project.build / agent

    def named(self, file: Path) -> str:
        """Return a file of the project as messages call it."""
        return file.relative_to(self.project.directory).as_posix()
