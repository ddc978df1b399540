"""The driver: the engine interface for services, networks and images.

`client.Engine` implements it for Docker and Podman. Another kind of engine would implement it too,
and `driver()` would choose it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import IO, Protocol

from companion.engine.client import Engine
from companion.engine.model import AgentLogin, Command, Container, EngineChoice, Observed
from companion.spec.build_network import BuildNetwork
from companion.spec.containers import Directory, File, Image, Network, Service


class Driver(Protocol):
    """One agent's sandbox on one engine. Failures raise EngineError."""

    @property
    def choice(self) -> EngineChoice:
        """The engine and its endpoint."""

    @property
    def project(self) -> str:
        """The ID of the agent's project."""

    @property
    def agent(self) -> str:
        """The agent's name."""

    @property
    def files(self) -> str:
        """The directory that holds the agent's `Files`."""

    def require_user_ids(self) -> None:
        """Check that user IDs in containers are the desktop's."""

    def answers(self) -> bool:
        """Tell whether the engine is installed and responds."""

    def observe(self, images: Collection[str] = (), services: Iterable[str] = ()) -> Observed:
        """Return the agent's containers and networks, and which of `images` (tags) exist.

        `services` are those that it probably runs, which may be faster to look at.
        """

    def containers(self) -> tuple[Container, ...]:
        """Return the agent's containers, running or not."""

    def holds_any(self) -> bool:
        """Tell whether the agent has containers, networks or files of ours on the engine."""

    def subnets(self) -> list[str]:
        """Return the subnets of all networks of the engine, as CIDR texts."""

    def require_network(self, name: str) -> None:
        """Check that a network that is not ours exists."""

    def create_network(self, network: Network) -> None:
        """Create a network of the agent."""

    def remove_network(self, name: str) -> None:
        """Remove a network of the agent, by its name as observe() returns it."""

    def held(self, tags: Collection[str]) -> frozenset[str]:
        """Return which of these images (tags) exist."""

    def build(
        self,
        image: Image,
        context: Path,
        network: BuildNetwork,
        on_line: Callable[[str], None],
        is_wanted: Callable[[], bool],
    ) -> int:
        """Build an image and return the exit code; stop early once `is_wanted` returns False."""

    def sweep_builds(self) -> None:
        """Remove what builds of the agent that were killed left behind."""

    def carry(
        self,
        image: str,
        contents: Mapping[Directory, tuple[File, ...]],
        owner: int,
        only: Collection[Directory] | None = None,
    ) -> None:
        """Bring our files to an engine that cannot mount them, by a container of `image` (tag).

        Of `contents`, the directories `only` if the others are there already.
        """

    def seed(
        self, image: str, volume: str, owner: int, send: Callable[[IO[bytes], str], None]
    ) -> bool:
        """Create and fill a volume, whose archive `send` writes; return False if it is there."""

    def held_files(self) -> tuple[str, ...]:
        """Return the volumes of the agent that hold such files."""

    def remove_files(self) -> None:
        """Remove the files that were brought there."""

    def start(self, service: Service) -> None:
        """Create and start a service's container."""

    def reconnect(self, service: str) -> None:
        """Restore the engine's network rules for a running service, if it can do that."""

    def remove(self, name: str) -> None:
        """Remove a container, by its name as observe() returns it."""

    def run(self, service: str, *command: str, user: str = "") -> str:
        """Run a command in a service's container and return its output."""

    def run_as_agent(
        self, login: AgentLogin, *command: str, stdin: str, timeout: float = ...
    ) -> str:
        """Run a command as the agent's user and return its output; `timeout` in seconds."""

    def ssh_server(self, login: AgentLogin) -> Command:
        """Return the command whose input and output are an SSH server of the agent's user."""

    def describe(self, services: Iterable[str]) -> str:
        """Return the output of `inspect` for services, a JSON list in their order."""

    def last_lines(self, container: str, count: int) -> tuple[str, ...]:
        """Return a container's last lines of output; unprintable characters become �."""

    def agent_images(self) -> frozenset[str]:
        """Return the tags of the images that were built for the agent."""

    def discard_image(self, tag: str) -> None:
        """Remove an image unless it is in use."""

    def volumes(self) -> tuple[str, ...]:
        """Return the names of the agent's volumes, without the project's ID."""

    def remove_volumes(self) -> int:
        """Remove the agent's volumes and return their number."""


def driver(choice: EngineChoice, project: str = "", agent: str = "", files: str = "") -> Driver:
    """Return the driver of one agent on an engine.

    Without project and agent, it covers everything that we created on the engine.
    """
    return Engine(choice, project, agent, files)
