"""What do the agents from npm have in common?"""

from companion.plugins.base import RuntimePlugin
from companion.plugins.contribution import RuntimeProgram

_NODE = "docker.io/library/node:24-slim"
_ENSURE = (
    "command -v npm >/dev/null || { apt-get update"
    " && apt-get install -y --no-install-recommends nodejs npm && rm -rf /var/lib/apt/lists/*; }"
)


def install(*packages: str) -> str:
    """Return the command that installs packages for everybody."""
    names = " ".join(packages)
    return f"npm install -g --no-fund --no-audit {names} && npm cache clean --force"


def added(program: str, package: str, pinned: str, version: str | None) -> tuple[str, ...]:
    """Return the commands that add a program to any image; what is there stays, unless asked."""
    unless = f"command -v {program} >/dev/null || " if version is None else ""
    return (_ENSURE, f"{unless}{{ {install(f'{package}@{version or pinned}')}; }}")


def runtime(
    *,
    name: str,
    summary: str,
    packages: tuple[str, ...],
    adapter: str,
    commands: tuple[str, ...] = (),
    debian: tuple[str, ...] = (),
) -> RuntimePlugin:
    """Return a runtime that is a CLI and its ACP adapter; people and editors start them.

    Args:
        name: what `runtime` in agent.yaml says.
        summary: one line for `companion plugins`.
        packages: what npm installs.
        adapter: the command that speaks ACP.
        commands: what else is to be done once they are installed.
        debian: packages of Debian's that they need.
    """
    program = RuntimeProgram(
        base_image=_NODE,
        install=(install(*packages), *commands),
        command=("sleep", "infinity"),
        acp_command=(adapter,),
        user="agent",
        packages=debian,
    )
    return RuntimePlugin(name, summary, program)
