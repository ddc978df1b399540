"""Building blocks shared by the agents that npm installs."""

from dataclasses import dataclass

from companion.plugins.base import RuntimePlugin
from companion.plugins.contribution import Command, RuntimeProgram

_NODE = "docker.io/library/node:24-slim"
_ENSURE = (
    "command -v npm >/dev/null || { apt-get update"
    " && apt-get install -y --no-install-recommends nodejs npm && rm -rf /var/lib/apt/lists/*; }"
)


@dataclass(frozen=True, slots=True)
class Cli:
    """An agent's command line program, and the version that this Companion was tested with."""

    program: str
    package: str
    pinned: str

    def at(self, version: str | None) -> str:
        """Return npm's name for a version of it."""
        return f"{self.package}@{version or self.pinned}"


@dataclass(frozen=True, slots=True)
class Acp:
    """The command that speaks ACP for editors, and what it needs besides the CLI."""

    command: tuple[str, ...]
    package: str = ""
    """The npm package of the command, with its version, if the CLI has none itself."""
    variables: tuple[tuple[str, str], ...] = ()


def install(*packages: str) -> str:
    """Return the command that installs packages system-wide."""
    names = " ".join(packages)
    return f"npm install -g --no-fund --no-audit {names} && npm cache clean --force"


def added(cli: Cli, version: str | None) -> tuple[Command, ...]:
    """Return the commands that add a program to any image.

    Without an explicit `version`, an installed program stays.
    """
    unless_installed = f"command -v {cli.program} >/dev/null || " if version is None else ""
    return Command(_ENSURE), Command(f"{unless_installed}{{ {install(cli.at(version))}; }}")


def runtime(
    *,
    name: str,
    summary: str,
    cli: Cli,
    acp: Acp,
    commands: tuple[str, ...] = (),
    home_files: tuple[tuple[str, str], ...] = (),
) -> RuntimePlugin:
    """Return a runtime of a CLI, which people start, and what speaks ACP for editors.

    Args:
        name: the name for `runtime` in agent.yaml.
        summary: one line for `companion plugins`.
        cli: the program.
        acp: what speaks ACP.
        commands: further commands to run after the installation.
        home_files: (path, text) of files in the agent's initial home.
    """

    def program(version: str | None) -> RuntimeProgram:
        packages = (cli.at(version), *filter(None, (acp.package,)))
        return RuntimeProgram(
            base_image=_NODE,
            install=(install(*packages), *commands),
            command=("sleep", "infinity"),
            acp_command=acp.command,
            user="agent",
            variables=acp.variables,
            home_files=home_files,
        )

    return RuntimePlugin(name, summary, cli.package, cli.pinned, program)
