"""The driver: the interface of engines and clusters for services, networks and images.

`client.Engine` implements it for Docker and Podman, `kubernetes/driver.ClusterDriver` for
a namespace of a cluster; `driver()` chooses one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Protocol

from companion.engine.client import Engine
from companion.engine.model import (
    AgentLogin,
    Choice,
    ClusterChoice,
    Command,
    Container,
    EngineChoice,
    Observed,
)

if TYPE_CHECKING:  # slow to load, and most commands only list containers
    from pathlib import Path

    from companion.engine.shared_lists import SharedLists
    from companion.errors import EngineError
    from companion.spec.build_network import BuildNetwork
    from companion.spec.containers import Directory, File, Image, Network, Service, Target
    from companion.system.process import Completed


class Driver(Protocol):
    """One agent's sandbox on one engine. Failures raise EngineError."""

    @property
    def choice(self) -> Choice:
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

    def require_answer(self) -> None:
        """Check that the engine responds; the error has its client's own reason."""

    def answers(self) -> bool:
        """Tell whether the engine is installed and responds."""

    def observe(self, images: Collection[str] = (), services: Iterable[str] = ()) -> Observed:
        """Return the agent's containers and networks, and which of `images` (tags) exist.

        `services` are those that it probably runs, which may be faster to look at.
        """

    def containers(self, services: Iterable[str] = ()) -> tuple[Container, ...]:
        """Return the agent's containers, running or not; faster if they are these services'."""

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

    @property
    def builder(self) -> EngineChoice:
        """The engine that builds the images."""

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

    def await_carried(self, contents: Mapping[Directory, tuple[File, ...]]) -> None:
        """Wait a while until the agent's container has what carry() brought.

        The agent may prevent that, so nothing else may depend on it.
        """

    def seed(
        self, image: str, volume: str, owner: int, send: Callable[[IO[bytes], str], None]
    ) -> bool:
        """Create and fill a volume, whose archive `send` writes; return False if it is there."""

    def held_files(self) -> tuple[str, ...]:
        """Return the volumes of the agent that hold such files."""

    def owners_of_files(self) -> frozenset[tuple[str, str]]:
        """Return whose files the engine holds, as (project, agent), if it is elsewhere."""

    def remove_files(self) -> None:
        """Remove the files that were brought there."""

    def start(self, service: Service, target: Target) -> None:
        """Create and start a service's container, which is part of `target`."""

    def waiter(
        self, target: Target, progress: Callable[[str], None], is_wanted: Callable[[], bool]
    ) -> Callable[[], None]:
        """Return what waits until all of `target` runs, where an engine does not do so itself.

        It is asked for before anything is started, and stops early once `is_wanted` returns False.
        """

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

    def inside(self, login: AgentLogin, *, terminal: bool = False, workdir: str = "") -> Command:
        """Return the command that runs another one, to be appended, as the agent's user.

        Its streams are that one's; with `terminal`, in a terminal.
        """

    def ssh_server(self, login: AgentLogin) -> Command:
        """Return the command whose input and output are an SSH server of the agent's user."""

    def describe(self, services: Iterable[str]) -> str:
        """Return the output of `inspect` for services, a JSON list in their order."""

    def failure(self, arguments: Sequence[str], done: Completed) -> EngineError:
        """Return the error for a failed call of the engine's client."""

    def log(
        self, container: str, *, since: int = 0, last: int = 0, follows: bool = False
    ) -> Command:
        """Return the command that prints a container's output, each line with its time.

        From `since` (seconds since 1970) on, at most the `last` lines; 0: all. With `follows`, it
        goes on with what comes.
        """

    def events(self) -> Command:
        """Return the command that prints a line with LABEL whenever a container changes."""

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


def driver(
    choice: Choice,
    project: str = "",
    agent: str = "",
    files: str = "",
    lists: SharedLists | None = None,
) -> Driver:
    """Return the driver of one agent on an engine or cluster.

    Without project and agent, it covers everything that we created there. What a cluster lists is
    shared by all drivers of a project that have the same `lists`.
    """
    if isinstance(choice, ClusterChoice):
        from companion.kubernetes.driver import ClusterDriver  # noqa: PLC0415 - few have a cluster

        return ClusterDriver(choice, project, agent, lists=lists)
    return Engine(choice, project, agent, files)
