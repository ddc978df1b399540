"""Projects, and references to the agents that they configure."""

from dataclasses import dataclass
from pathlib import Path

from companion.system import project_paths


@dataclass(frozen=True, slots=True)
class Project:
    """A directory of the user that configures agents; symlinks in `directory` are resolved."""

    directory: Path
    id: str

    @property
    def fleet(self) -> Path:
        """The project's fleet.yaml, if it is a fleet."""
        return self.directory / project_paths.FLEET_NAME

    @property
    def build(self) -> Path:
        """The directory of generated files."""
        return self.directory / project_paths.BUILD_NAME


@dataclass(frozen=True, slots=True)
class AgentRef:
    """Where an agent is configured: in the project's directory, or in a fleet's `folder`."""

    project: Project
    folder: str = ""

    @property
    def key(self) -> str:
        """The agent's key, unique among all agents of the user."""
        return f"{self.project.id}/{self.folder}" if self.folder else self.project.id

    @property
    def name(self) -> str:
        """The display name: the project's directory and, in a fleet, the agent's."""
        parts = (self.project.directory.name, self.folder)
        return "/".join(part for part in parts if part)

    @property
    def directory(self) -> Path:
        """The directory of the agent's agent.yaml."""
        return self.project.directory / self.folder

    @property
    def config(self) -> Path:
        """The path of the agent's agent.yaml."""
        return self.directory / project_paths.CONFIG_NAME

    @property
    def env_files(self) -> tuple[Path, ...]:
        """Files of secret values; later ones override earlier ones."""
        directories = dict.fromkeys((self.project.directory, self.directory))
        return tuple(directory / project_paths.ENV_NAME for directory in directories)

    def build(self, agent: str) -> Path:
        """Return the directory of the files that are generated for the agent."""
        return self.project.build / agent

    def named(self, file: Path) -> str:
        """Return a file's path relative to the project, as messages show it."""
        return file.relative_to(self.project.directory).as_posix()
