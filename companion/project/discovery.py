"""Projects and their agents, as the directories on disk describe them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from companion.errors import Code, CompanionError, ConfigError, Problem
from companion.project.model import AgentRef, Project
from companion.spec.identity import digest
from companion.system import files, project_paths

if TYPE_CHECKING:
    from companion.config.models import Fleet
    from companion.config.strict_yaml import Document


def project(directory: Path) -> Project:
    """Return the project in `directory`, whether or not its files are valid.

    Raises:
        CompanionError: there is no such directory.
    """
    real = files.real(files.expanded(directory))
    if not files.is_directory(real):
        raise CompanionError(
            f"there is no directory {directory}", "correct the path", code=Code.CONFIG_MISSING
        )
    slug = re.sub(r"[^a-z0-9]+", "-", real.name.lower()).strip("-")[:24] or "project"
    return Project(real, f"{slug}-{digest(str(real))[:8]}")


def require_encodable(*directories: Path) -> None:
    """Check that names of directories can be written into the files that we generate.

    Raises:
        ConfigError: one is not UTF-8.
    """
    for directory in directories:
        try:
            str(directory).encode()
        except UnicodeEncodeError:
            shown = str(directory).encode(errors="replace").decode()
            what = f"the name of the directory is not UTF-8: {shown}"
            raise ConfigError([Problem(what, "rename it", code=Code.FILE_ACCESS)]) from None


def fleet(project: Project) -> "tuple[Fleet, Document] | None":
    """Return the project's decoded fleet.yaml and its document; None without one.

    Raises:
        ConfigError: fleet.yaml is invalid.
    """
    text = files.read_text(project.fleet)
    if text is None:
        return None
    from companion.config import decode  # noqa: PLC0415 - start-up time is a budget

    return decode.fleet(text, project_paths.FLEET_NAME)


def agent_refs(project: Project) -> tuple[AgentRef, ...]:
    """Return the agents that a project configures, in the order of its fleet.yaml.

    Raises:
        ConfigError: fleet.yaml is invalid.
    """
    found = fleet(project)
    return (
        tuple(AgentRef(project, folder) for folder in found[0].agents)
        if found
        else (AgentRef(project),)
    )


def config_text(ref: AgentRef) -> str:
    """Return the text of an agent's agent.yaml.

    Raises:
        CompanionError: there is none, or the agent belongs to a fleet in the parent directory.
    """
    text = files.read_text(ref.config)
    if text is None:
        hint = "run `companion run` in a git repository, or name a project's directory with -C"
        raise CompanionError(
            f"there is no {project_paths.CONFIG_NAME} in {ref.directory}",
            hint,
            code=Code.CONFIG_MISSING,
        )
    above = Project(ref.directory.parent, "")
    if not ref.folder and files.status(above.fleet):
        listing = fleet(above)
        if listing and ref.directory.name in listing[0].agents:
            what = f"{ref.directory} belongs to the fleet in {above.directory}"
            raise CompanionError(what, f"use -C {above.directory}")
    return text
