"""The driver: what reconciling asks of an engine, in terms of services, networks and images.

`client.Engine` implements it for Docker and Podman. Another kind of engine implements it beside
that, and `driver()` is where it is chosen.
"""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Protocol

from companion.engine.client import Engine
from companion.engine.model import AgentLogin, Container, EngineChoice, Observed
from companion.spec.containers import Image, Network, Service


class Driver(Protocol):
    """One agent's sandbox on one engine. Whatever fails raises EngineError."""

    @property
    def choice(self) -> EngineChoice:
        """The engine and its endpoint."""

    @property
    def project(self) -> str:
        """The id of the agent's project."""

    @property
    def agent(self) -> str:
        """The agent's name."""

    @property
    def files(self) -> str:
        """The directory that holds the agent's `Files`."""

    def answers(self) -> bool:
        """Tell whether the engine is there and talks to us."""

    def observe(self, images: Collection[str] = ()) -> Observed:
        """Return what the engine holds of the agent, and which of these images, by tag."""

    def containers(self) -> tuple[Container, ...]:
        """Return the agent's containers, running or not."""

    def holds_any(self) -> bool:
        """Tell whether there are containers or networks of the agent."""

    def subnets(self) -> list[str]:
        """Return the subnets of all networks of the engine, as CIDR texts."""

    def require_network(self, name: str) -> None:
        """Check that a network that is not ours exists."""

    def create_network(self, network: Network) -> None:
        """Create a network of the agent."""

    def remove_network(self, name: str) -> None:
        """Remove a network of the agent, by the name that observe() gives."""

    def held(self, tags: Collection[str]) -> frozenset[str]:
        """Return which of these images the engine has."""

    def build(
        self,
        image: Image,
        context: Path,
        on_line: Callable[[str], None],
        is_wanted: Callable[[], bool],
    ) -> int:
        """Build an image and return the exit code; ends early once it is not wanted any more."""

    def start(self, service: Service) -> None:
        """Create and start what runs a service."""

    def remove(self, name: str) -> None:
        """Remove what runs a service, by the name that observe() gives."""

    def run(self, service: str, *command: str, user: str = "") -> str:
        """Run a command where a service runs and return its output."""

    def run_as_agent(
        self, login: AgentLogin, *command: str, stdin: str, timeout: float = ...
    ) -> str:
        """Run a command as the agent's user and return its output; `timeout` in seconds."""

    def describe(self, services: Iterable[str]) -> str:
        """Return all that the engine shows of services: a JSON list in their order."""

    def last_lines(self, container: str, count: int) -> tuple[str, ...]:
        """Return the last lines of a container's log, control characters made visible."""

    def agent_images(self) -> frozenset[str]:
        """Return the tags of the images that were built for the agent."""

    def discard_image(self, tag: str) -> None:
        """Remove an image if nothing uses it."""

    def remove_volumes(self) -> int:
        """Remove the agent's volumes and return how many there were."""


def driver(choice: EngineChoice, project: str = "", agent: str = "", files: str = "") -> Driver:
    """Return the driver of one agent on an engine.

    Without project and agent it stands for the engine as a whole, and for all that we made there.
    """
    return Engine(choice, project, agent, files)
