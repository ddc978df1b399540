"""Compose front ends: the program for an engine, and the options that name our files.

They show and enter what runs. Changing containers is left to Companion: Compose front ends disagree
on what must be recreated, and do not know the order in which a sandbox is closed.
"""

import re
from collections.abc import Sequence

from companion.engine.model import EngineChoice
from companion.errors import CompanionError
from companion.project.model import Project
from companion.system import packages, process, search
from companion.system.paths import Paths

SHOWS = ("ps", "logs", "exec", "top", "config", "images", "port", "events", "stats", "version")
"""What leaves the containers as they are."""
INTERACTIVE = ("exec", "stats")
"""What needs the terminal itself: a program in the sandbox, and the engine's own moving table."""
INSTEAD = {
    "up": "companion up",
    "create": "companion up",
    "start": "companion up",
    "build": "companion up",
    "run": "companion exec",
    "restart": "companion restart",
    "stop": "companion down",
    "kill": "companion down",
    "down": "companion down",
    "rm": "companion down",
}
NOT_IN_PODMAN_COMPOSE = {"top": "companion top", "events": "companion watch"}
"""Commands of Docker's that podman-compose lacks, and what shows the same."""
_FOLLOWS = re.compile(r"--follow|-[a-z]*f[a-z]*")
_PROBE_SECONDS = 20.0


def never_ends(words: Sequence[str]) -> bool:
    """Tell whether a compose command goes on until it is interrupted."""
    return words[0] == "events" or (words[0] == "logs" and any(map(_FOLLOWS.fullmatch, words)))


def front_end(engine: EngineChoice) -> tuple[str, ...]:
    """Return the command that speaks compose for an engine.

    `podman compose` hands on to docker's program where that is installed, which needs a socket
    that podman does not have by itself: podman-compose comes first.

    Raises:
        CompanionError: there is none.
    """
    name, inner = f"{engine.name}-compose", (engine.binary, "compose")
    own = search.find(name)
    if own and engine.name == "podman":
        return (own,)
    done = process.run((*inner, "version"), env=dict(engine.environment), timeout=_PROBE_SECONDS)
    if done.code == 0:
        return inner
    if own is None:
        raise CompanionError(
            f"nothing here speaks compose for {engine.name}", packages.advice(name)
        )
    return (own,)


def require(front: Sequence[str], verb: str) -> None:
    """Require that a front end has a command.

    Raises:
        CompanionError: it has not.
    """
    if front[-1].endswith("podman-compose") and verb in NOT_IN_PODMAN_COMPOSE:
        what = f"podman-compose has no command '{verb}'"
        raise CompanionError(what, f"run `{NOT_IN_PODMAN_COMPOSE[verb]}` instead")


def arguments(home: Paths, project: Project, agents: tuple[str, ...]) -> tuple[str, ...]:
    """Return the options that name our project and the files of its agents.

    The files are our own copies: those in `.build/` may come from a repository, and a compose file
    can include others from anywhere.

    Raises:
        CompanionError: there are no files yet.
    """
    files = [home.project(project.id).agent(agent).compose for agent in agents]
    there = [str(file) for file in files if file.exists()]
    if not there:
        raise CompanionError(f"{project.directory} has no compose file yet", "run `companion up`")
    return ("--project-name", project.id, *(word for file in there for word in ("--file", file)))
