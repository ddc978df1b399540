"""The containers driver: one agent's sandbox on Docker or Podman, by their command lines."""

import json
import re
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from companion.engine import build_output, failures
from companion.engine.dialect import (
    DIALECTS,
    LABEL,
    Dialect,
    build_argv,
    connect_argv,
    container_name,
    create_argv,
    each,
    exec_argv,
    join_argv,
    network_argv,
    network_name,
    parse_container,
    parse_network,
)
from companion.engine.model import AgentLogin, Container, EngineChoice, Observed
from companion.errors import Code, EngineError, ImageGoneError, NameTakenError
from companion.spec.containers import Image, Network, Service
from companion.system import process

T = TypeVar("T")
GATEWAY_IMAGE = "localhost/companion/gateway:"
_FAST, _SLOW = 20.0, 120.0
_REMOVE_TRIES, _REMOVE_PAUSE = 4, 0.5
_LIST_TRIES = 3


@dataclass(frozen=True, slots=True)
class Engine:
    """One agent on an engine; implements `driver.Driver`.

    Without an agent it stands for all containers and networks of the project; without either, for
    the engine as a whole, and for all that we made there.
    """

    choice: EngineChoice
    project: str = ""
    agent: str = ""
    files: str = ""
    """The directory that holds the agent's `Files`; needed to create and to compare containers."""

    @property
    def dialect(self) -> Dialect:
        """The differences of this engine."""
        return replace(DIALECTS[self.choice.name], rootless=self.choice.rootless)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead the engine's client to the recorded endpoint."""
        return dict(self.choice.environment)

    @property
    def _mine(self) -> tuple[str, ...]:
        """The filter that lists what belongs to the agent, or to all of the project."""
        if not self.project:
            return ("--filter", f"label={LABEL}.project")
        owners = (("project", self.project), ("agent", self.agent))
        labels = (f"label={LABEL}.{key}={name}" for key, name in owners if name)
        return tuple(each("--filter", labels))

    @property
    def _image(self) -> str:
        """What the tags of the agent's images begin with."""
        return f"localhost/companion/{self.project}-{self.agent}:"

    def argv(self, *arguments: str) -> tuple[str, ...]:
        """Return the command line for `arguments`."""
        return (self.choice.binary, *arguments)

    def call(self, *arguments: str, timeout: float = _SLOW, stdin: str | None = None) -> str:
        """Run the engine and return its output.

        Raises:
            EngineError: it failed or did not answer in time (seconds).
        """
        argv = self.argv(*arguments)
        done = process.run(argv, env=self.environment, timeout=timeout, stdin=stdin)
        if done.code:
            raise failures.of_call(self.choice.name, arguments, done)
        return done.stdout

    def observe(self, images: Collection[str] = ()) -> Observed:
        """Return what the engine holds of the agent, and which of some images, by their tags.

        Raises:
            EngineError: it does not answer; then nothing may be concluded.
        """
        with ThreadPoolExecutor() as asked:  # the engine's client starts slowly: ask all at once
            containers, networks = asked.submit(self.containers), asked.submit(self.networks)
            held = asked.submit(self.held, images)
            return Observed(containers.result(), networks.result(), held.result())

    def require_network(self, name: str) -> None:
        """Check that a network that is not ours exists.

        Raises:
            EngineError: it does not.
        """
        try:
            self.call("network", "inspect", name)
        except EngineError as error:
            engine = self.choice.name
            hint = f"run `{engine} network create {name}`, or correct the name"
            what = f"{engine} has no network '{name}'"
            raise EngineError(what, hint, error.log, code=Code.NETWORK_MISSING) from None

    def create_network(self, network: Network) -> None:
        """Create a network of the agent."""
        self.call(*network_argv(self.dialect, self.project, self.agent, network))

    def remove_network(self, name: str) -> None:
        """Remove a network of the agent, by its name without the project's prefix."""
        self.call(*self.dialect.remove_network, network_name(self.project, name))

    def build(
        self,
        image: Image,
        context: Path,
        on_line: Callable[[str], None],
        is_wanted: Callable[[], bool],
    ) -> int:
        """Build an image from a directory and return the build's exit code.

        `on_line` gets each line of the build's output; once `is_wanted` says no, the build ends.
        """
        return process.build(
            self.argv(*build_argv(image, str(context))),
            on_line,
            is_wanted,
            env=self.environment | build_output.PLAIN,
            builds_here=self.dialect.builds_here,
        )

    def start(self, service: Service) -> None:
        """Create a service's container on all its networks and start it."""
        name = container_name(self.project, service.name)
        create = create_argv(self.dialect, self.project, self.agent, service, self.files)
        try:
            self.call(*create)
        except NameTakenError:  # half a container, of a podman that was killed while it made it
            self.remove(name)
            self.call(*create)
        for extra in service.attachments[1:]:
            self.call(*connect_argv(self.dialect, self.project, service, extra))
        for network in service.joins:
            self.call(*join_argv(self.project, service, network))
        self.call("start", name)

    def run(self, service: str, *command: str, user: str = "") -> str:
        """Run a command in a service's container and return its output."""
        name = container_name(self.project, service)
        return self.call("exec", *(("--user", user) if user else ()), name, *command)

    def run_as_agent(
        self, login: AgentLogin, *command: str, stdin: str, timeout: float = _SLOW
    ) -> str:
        """Run a command as the agent's user and return its output; `timeout` in seconds."""
        inside = self.agent_arguments(login, "--interactive")
        return self.call(*inside, *command, stdin=stdin, timeout=timeout)

    def describe(self, services: Iterable[str]) -> str:
        """Return all that the engine shows of services' containers: a JSON list in their order."""
        return self.call("inspect", *(container_name(self.project, name) for name in services))

    def agent_arguments(self, login: AgentLogin, *options: str) -> tuple[str, ...]:
        """Return the client's arguments that run the command after them as the agent's user."""
        name = container_name(self.project, self.agent)
        return exec_argv(name, login.user, *options, begun_by_root=login.begun_by_root)

    def remove(self, name: str) -> None:
        """Remove a container, running or not.

        podman that was killed while it mounted the container's files needs more than one try.

        Raises:
            EngineError: it is still there after all tries.
        """
        for _ in range(_REMOVE_TRIES - 1):
            try:
                self.call(*self.dialect.remove, name)
            except EngineError:
                time.sleep(_REMOVE_PAUSE)
            else:
                return
        self.call(*self.dialect.remove, name)

    def answers(self) -> bool:
        """Tell whether the engine is there and talks to us."""
        argv = self.argv(*self.dialect.probe)
        return process.run(argv, env=self.environment, timeout=_FAST).code == 0

    def containers(self) -> tuple[Container, ...]:
        """Return the agent's containers, running or not."""
        return self._looked(self._containers)

    def _looked(self, look: Callable[[], T]) -> T:
        """Look; retry when an object vanishes between list and inspect."""
        for _ in range(_LIST_TRIES - 1):
            try:
                return look()
            except EngineError:
                if not self.answers():
                    raise
        return look()

    def _containers(self) -> tuple[Container, ...]:
        # A container that somebody runs of our image has the image's labels, but no service.
        ours = (*self._mine, "--filter", f"label={LABEL}.service")
        ids = self.call("ps", "--all", "--quiet", "--no-trunc", *ours, timeout=_FAST).split()
        if not ids:
            return ()
        found = json.loads(self.call("inspect", *ids, timeout=_FAST))
        return tuple(parse_container(data, self.files) for data in found)

    def last_lines(self, container: str, count: int) -> tuple[str, ...]:
        """Return the last lines that a container said; control characters are made visible."""
        argv = self.argv("logs", "--tail", str(count), container)
        done = process.run(argv, env=self.environment, timeout=_FAST, merged=True)
        lines = done.stdout.splitlines()[-count:]
        return tuple("".join(c if c.isprintable() else "�" for c in line) for line in lines)

    def networks(self) -> dict[str, str]:
        """Return the agent's networks (without the project's prefix) and their subnets."""
        return self._looked(self._networks)

    def _networks(self) -> dict[str, str]:
        names = self.call("network", "ls", "--quiet", *self._mine, timeout=_FAST).split()
        if not names:
            return {}
        found = json.loads(self.call("network", "inspect", *names, timeout=_FAST))
        return dict(parse_network(self.project, data) for data in found)

    def holds_any(self) -> bool:
        """Tell whether there are containers or networks of the agent."""
        return bool(self.containers() or self.networks())

    def held(self, tags: Collection[str]) -> frozenset[str]:
        """Return which of these images are there; podman lists all of many in a second and more."""
        return self._looked(lambda: self._held(tags)) if tags else frozenset()

    def _held(self, tags: Collection[str]) -> frozenset[str]:
        asked = ("image", "inspect", "--format", "{{range .RepoTags}}{{println .}}{{end}}", *tags)
        done = process.run(self.argv(*asked), env=self.environment, timeout=_FAST)
        if done.code:  # it tells of those that are there all the same
            failure = failures.of_call(self.choice.name, asked, done)
            if not isinstance(failure, ImageGoneError):
                raise failure
        return frozenset(done.stdout.split()) & frozenset(tags)

    def images(self) -> frozenset[str]:
        """Return the tags of all images that companion built, for any project."""
        shape = ("--filter", f"label={LABEL}.image=1", "--format", "{{.Repository}}:{{.Tag}}")
        return self._looked(lambda: frozenset(self.call("images", *shape, timeout=_FAST).split()))

    def agent_images(self) -> frozenset[str]:
        """Return the tags of the images that were built for the agent.

        By name: podman lists an image that has any of several labels, so those of others, too.
        """
        return frozenset(tag for tag in self.images() if tag.startswith(self._image))

    def unused_images(self, keep: str) -> frozenset[str]:
        """Return what builds that failed left behind, and gateways that no container is made of.

        `keep` is the tag of the gateway's image that the next sandbox will use.
        """
        return self._looked(lambda: self._unused_images(keep))

    def _unused_images(self, keep: str) -> frozenset[str]:
        ours = ("--filter", f"label={LABEL}.image=1", "--filter", "dangling=true")
        torn = self.call("images", "--quiet", *ours, timeout=_FAST).split()
        used = self.call("ps", "--all", "--format", "{{.Image}}", timeout=_FAST).split()
        old = (tag for tag in self.images() if tag.startswith(GATEWAY_IMAGE))
        return frozenset((*torn, *(tag for tag in old if tag not in {keep, *used})))

    def discard_image(self, tag: str) -> None:
        """Remove an image if nothing uses it; one in use stays."""
        process.run(self.argv("rmi", tag), env=self.environment, timeout=_SLOW)

    def remove_volumes(self) -> int:
        """Remove the agent's volumes and return how many there were."""
        names = self.call("volume", "ls", "--quiet", timeout=_FAST).split()
        mine = [name for name in names if name.startswith(f"{self.project}_{self.agent}_")]
        for name in mine:
            self.call("volume", "rm", name)
        return len(mine)

    def subnets(self) -> list[str]:
        """Return the subnets of all networks of the engine, whoever made them."""
        return self._looked(self._subnets)

    def _subnets(self) -> list[str]:
        names = self.call("network", "ls", "--quiet", timeout=_FAST).split()
        if not names:
            return []
        asked = ("network", "inspect", *names)
        done = process.run(self.argv(*asked), env=self.environment, timeout=_FAST)
        if done.code and not failures.only_vanished(done):  # others come and go as they like
            raise failures.of_call(self.choice.name, asked, done)
        return re.findall(r'"[Ss]ubnet": *"([0-9./]+)"', done.stdout)
