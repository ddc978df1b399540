"""Building blocks shared by the agents that npm installs."""

from companion.plugins.base import RuntimePlugin
from companion.plugins.contribution import Command, RuntimeProgram

_NODE = "docker.io/library/node:24-slim"
_ENSURE = (
    "command -v npm >/dev/null || { apt-get update"
    " && apt-get install -y --no-install-recommends nodejs npm && rm -rf /var/lib/apt/lists/*; }"
)


def install(*packages: str) -> str:
    """Return the command that installs packages system-wide."""
    names = " ".join(packages)
    return f"npm install -g --no-fund --no-audit {names} && npm cache clean --force"


def added(program: str, package: str, pinned: str, version: str | None) -> tuple[Command, ...]:
    """Return the commands that add a program to any image.

    Without an explicit `version`, an installed program stays and `pinned` is the version to add.
    """
    unless_installed = f"command -v {program} >/dev/null || " if version is None else ""
    wanted = install(f"{package}@{version or pinned}")
    return Command(_ENSURE), Command(f"{unless_installed}{{ {wanted}; }}")


def runtime(
    *,
    name: str,
    summary: str,
    packages: tuple[str, ...],
    adapter: str,
    commands: tuple[str, ...] = (),
) -> RuntimePlugin:
    """Return a runtime of a CLI and its ACP adapter, which people and editors start.

    Args:
        name: the name for `runtime` in agent.yaml.
        summary: one line for `companion plugins`.
        packages: npm packages to install.
        adapter: the command that speaks ACP.
        commands: further commands to run after the installation.
    """
    program = RuntimeProgram(
        base_image=_NODE,
        install=(install(*packages), *commands),
        command=("sleep", "infinity"),
        acp_command=(adapter,),
        user="agent",
    )
    return RuntimePlugin(name, summary, program)
