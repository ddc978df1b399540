"""The containers driver: one agent's sandbox on Docker or Podman, by their command lines."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from companion.engine import podman_settings
from companion.engine.dialect import (
    DIALECTS,
    LABEL,
    Dialect,
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
from companion.engine.model import AgentLogin, Container, EngineChoice, Observed, shown
from companion.errors import Code, CompanionError, EngineError, ImageGoneError, NameTakenError
from companion.system import process
from companion.system.plain import plain

if TYPE_CHECKING:  # slow to load, and most commands only list containers
    from companion.engine.fence import Client
    from companion.spec.build_network import BuildNetwork
    from companion.spec.containers import Image, Network, Service

T = TypeVar("T")
GATEWAY_IMAGE = "localhost/companion/gateway:"
_FAST, _SLOW = 20.0, 120.0
_REMOTE = 8.0
"""Seconds instead of `_FAST` over a network: an unreachable endpoint is named within 10 s."""
SELECTORS = {
    "docker": ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY",
               "DOCKER_CERT_PATH"),
    "podman": ("CONTAINER_HOST", "CONTAINER_CONNECTION", "CONTAINER_SSHKEY"),
}  # fmt: skip
"""Variables by which each engine's own client selects an endpoint."""
_REMOVE_TRIES, _REMOVE_PAUSE = 4, 0.5
_LIST_TRIES = 3


@dataclass(frozen=True, slots=True)
class Engine:
    """One agent on an engine; implements `driver.Driver`.

    Without an agent, it covers all containers and networks of the project; without a project,
    everything that we created on the engine.
    """

    choice: EngineChoice
    project: str = ""
    agent: str = ""
    files: str = ""
    """The directory that holds the agent's `Files`; required to create and compare containers."""

    @property
    def dialect(self) -> Dialect:
        """The command-line differences of this engine."""
        return replace(DIALECTS[self.choice.name], rootless=self.choice.rootless)

    @property
    def environment(self) -> dict[str, str | None]:
        """The client's variables: the recorded endpoint, and nothing that changes our commands.

        What the desktop's variables select today is no matter of a sandbox that exists.
        """
        ignored = dict.fromkeys(chain(self.dialect.ignores, *SELECTORS.values()))
        return {**ignored, **podman_settings.override(self.choice), **dict(self.choice.environment)}

    @property
    def _patience(self) -> float:
        """Seconds for an answer to a short question."""
        return _REMOTE if self.choice.is_remote else _FAST

    @property
    def _where(self) -> str:
        """The endpoint to name where an engine over a network does not answer."""
        return shown(self.choice.endpoint) if self.choice.is_remote else ""

    @property
    def _own_filter(self) -> tuple[str, ...]:
        """The options that list only objects of the agent, or of the project."""
        if not self.project:
            return ("--filter", f"label={LABEL}.project")
        owners = (("project", self.project), ("agent", self.agent))
        labels = (f"label={LABEL}.{key}={name}" for key, name in owners if name)
        return tuple(each("--filter", labels))

    @property
    def _image(self) -> str:
        """The prefix of the tags of the agent's images."""
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
            raise self._failure(arguments, done)
        return done.stdout

    def _failure(self, arguments: Sequence[str], done: process.Completed) -> EngineError:
        from companion.engine import failures  # noqa: PLC0415 - start-up time is a budget

        return failures.of_call(self.choice.name, arguments, done, self._where)

    def observe(self, images: Collection[str] = ()) -> Observed:
        """Return the agent's containers and networks, and which of `images` (tags) exist.

        Raises:
            EngineError: the engine does not answer, so the state is unknown.
        """
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - start-up time is a budget

        with ThreadPoolExecutor() as asked:  # in parallel, as the engine's client starts slowly
            containers, networks = asked.submit(self.containers), asked.submit(self.networks)
            held = asked.submit(self.held, images)
            return Observed(containers.result(), networks.result(), held.result())

    def require_network(self, name: str) -> None:
        """Check that a network that is not ours exists.

        Raises:
            EngineError: it does not exist.
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
        network: BuildNetwork,
        on_line: Callable[[str], None],
        is_wanted: Callable[[], bool],
    ) -> int:
        """Build an image from a directory and return the build's exit code.

        `on_line` receives each line of the output; the build ends once `is_wanted` returns False.
        """
        podman_settings.require_nothing_added(self.choice, self.call)
        from companion.engine import build_output, fence  # noqa: PLC0415 - start-up time is a budget
        from companion.engine.builds import build_argv  # noqa: PLC0415
        from companion.system import builds  # noqa: PLC0415

        with fence.fenced(self._client, self.project, self.agent, network) as joining:
            choice = dict(self.dialect.build_environment) if joining else {}
            return builds.build(
                self.argv(*build_argv(self.dialect, image, str(context), network, joining)),
                on_line,
                is_wanted,
                env=self.environment | build_output.PLAIN | choice,
                builds_here=self.dialect.builds_here,
            )

    def sweep_builds(self, but: str = "") -> None:
        """Remove what builds of the agent that were killed left behind.

        Containers whose name starts with `but` are those of a build under way.
        """
        ours = (*self._own_filter, "--filter", f"label={LABEL}.build")
        with suppress(CompanionError, KeyboardInterrupt):  # what is left does not run
            names = self.call("ps", "--all", "--format", "{{.Names}}", *ours).split()
            for name in names:
                if not but or not name.startswith(but):
                    self.remove(name)

    @property
    def _client(self) -> Client:
        from companion.engine.fence import Client  # noqa: PLC0415 - start-up time is a budget

        return Client(self.dialect, self.argv, self.environment, self.call, self.sweep_builds)

    def start(self, service: Service) -> None:
        """Create a service's container on all its networks and start it."""
        podman_settings.require_nothing_added(self.choice, self.call)
        name = container_name(self.project, service.name)
        create = create_argv(self.dialect, self.project, self.agent, service, self.files)
        try:
            self.call(*create)
        except NameTakenError:  # podman was killed while it created the container
            self.remove(name)
            self.call(*create)
        for extra in service.attachments[1:]:
            self.call(*connect_argv(self.dialect, self.project, service, extra))
        for network in service.joins:
            self.call(*join_argv(self.project, service, network))
        self.call("start", name)

    def reconnect(self, service: str) -> None:
        """Restore the network rules of a service's running container, if the engine can do that."""
        if self.dialect.reload_network:
            name = container_name(self.project, service)
            self.call(*self.dialect.reload_network, name)

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
        """Return the output of `inspect` for services' containers, a JSON list in their order."""
        return self.call("inspect", *(container_name(self.project, name) for name in services))

    def agent_arguments(self, login: AgentLogin, *options: str) -> tuple[str, ...]:
        """Return the client's arguments that run a command, to be appended, as the agent's user."""
        name = container_name(self.project, self.agent)
        return exec_argv(name, login.user, *options, started_as_root=login.started_as_root)

    def remove(self, name: str) -> None:
        """Remove a container, running or not.

        Podman needs several attempts if it was killed while it mounted the container's files.

        Raises:
            EngineError: the container still exists after all attempts.
        """
        for _ in range(_REMOVE_TRIES - 1):
            try:
                self.call(*self.dialect.remove, name)
            except EngineError:
                time.sleep(_REMOVE_PAUSE)
            else:
                return
        self.call(*self.dialect.remove, name)

    def require_answer(self) -> None:
        """Check that the engine responds.

        Raises:
            EngineError: it does not run, or refuses our user; the message repeats its client.
        """
        argv = self.argv(*self.dialect.probe)
        done = process.run(argv, env=self.environment, timeout=self._patience)
        if done.code:
            from companion.engine import failures  # noqa: PLC0415 - start-up time is a budget

            raise failures.of_probe(self.choice.name, done, self._where)

    def require_user_ids(self) -> None:
        """Check that user IDs in containers are the desktop's.

        Raises:
            EngineError: the engine maps them to others.
        """
        from companion.engine import user_ids  # noqa: PLC0415 - start-up time is a budget

        asked = self.dialect.security_options
        if asked and (error := user_ids.refusal(self.call(*asked, timeout=self._patience))):
            raise error

    def answers(self) -> bool:
        """Tell whether the engine is installed and responds."""
        try:
            self.require_answer()
        except EngineError:
            return False
        return True

    def containers(self, services: Iterable[str] = ()) -> tuple[Container, ...]:
        """Return the agent's containers, running or not.

        If `services` are known to be all of them, one call instead of two tells their state; the
        engine is asked for a list only if one of them is missing.
        """
        names = tuple(container_name(self.project, service) for service in services)
        return (names and self._inspected(names)) or self._retried(self._containers)

    def _inspected(self, names: Collection[str]) -> tuple[Container, ...]:
        """Return the containers with these names, none unless all of them exist and are ours."""
        try:
            found = json.loads(
                self.call("inspect", "--type", "container", *names, timeout=self._patience)
            )
        except EngineError as error:
            if self._is_cut_off(error):
                raise
            return ()
        containers = tuple(parse_container(data, self.files) for data in found)
        ours = all(c.project == self.project and c.service for c in containers)
        return containers if ours and len(containers) == len(names) else ()

    def _retried(self, query: Callable[[], T]) -> T:
        """Call `query` again if an object vanishes between list and inspect."""
        for _ in range(_LIST_TRIES - 1):
            try:
                return query()
            except EngineError as error:
                if self._is_cut_off(error) or not self.answers():
                    raise
        return query()

    def _is_cut_off(self, error: EngineError) -> bool:
        """Tell whether to ask again would only wait for the network once more."""
        return self.choice.is_remote and error.problems[0].code is Code.ENGINE_SILENT

    def _containers(self) -> tuple[Container, ...]:
        # A container that the user runs from our image inherits its labels, but has no service.
        ours = (*self._own_filter, "--filter", f"label={LABEL}.service")
        ids = self.call(
            "ps", "--all", "--quiet", "--no-trunc", *ours, timeout=self._patience
        ).split()
        if not ids:
            return ()
        found = json.loads(self.call("inspect", *ids, timeout=self._patience))
        return tuple(parse_container(data, self.files) for data in found)

    def last_lines(self, container: str, count: int) -> tuple[str, ...]:
        """Return a container's last lines of output as plain text."""
        argv = self.argv("logs", "--tail", str(count), container)
        done = process.run(argv, env=self.environment, timeout=self._patience, merged=True)
        lines = done.stdout.splitlines()[-count:]
        return tuple(map(plain, lines))

    def networks(self) -> dict[str, str]:
        """Return the subnets of the agent's networks, by name without the project's prefix."""
        return self._retried(self._networks)

    def _networks(self) -> dict[str, str]:
        names = self.call(
            "network", "ls", "--quiet", *self._own_filter, timeout=self._patience
        ).split()
        if not names:
            return {}
        found = json.loads(self.call("network", "inspect", *names, timeout=self._patience))
        return dict(parse_network(self.project, data) for data in found)

    def holds_any(self) -> bool:
        """Tell whether the agent has containers or networks."""
        return bool(self.containers() or self.networks())

    def held(self, tags: Collection[str]) -> frozenset[str]:
        """Return which of these images exist; podman takes seconds to list all of many images."""
        return self._retried(lambda: self._held(tags)) if tags else frozenset()

    def _held(self, tags: Collection[str]) -> frozenset[str]:
        asked = ("image", "inspect", "--format", "{{range .RepoTags}}{{println .}}{{end}}", *tags)
        done = process.run(self.argv(*asked), env=self.environment, timeout=self._patience)
        if done.code:  # the output still lists the images that exist
            failure = self._failure(asked, done)
            if not isinstance(failure, ImageGoneError):
                raise failure
        return frozenset(done.stdout.split()) & frozenset(tags)

    def images(self) -> frozenset[str]:
        """Return the tags of all images that Companion built, for any project."""
        shape = ("--filter", f"label={LABEL}.image=1", "--format", "{{.Repository}}:{{.Tag}}")
        asked = ("images", *shape)
        return self._retried(lambda: frozenset(self.call(*asked, timeout=self._patience).split()))

    def agent_images(self) -> frozenset[str]:
        """Return the tags of the images that were built for the agent.

        Selected by name: given several labels, podman lists images that have any of them.
        """
        return frozenset(tag for tag in self.images() if tag.startswith(self._image))

    def unused_images(self, keep: str) -> frozenset[str]:
        """Return images that failed builds left behind, and gateway images without containers.

        `keep` is the tag of the gateway image that the next sandbox will use.
        """
        return self._retried(lambda: self._unused_images(keep))

    def _unused_images(self, keep: str) -> frozenset[str]:
        ours = ("--filter", f"label={LABEL}.image=1", "--filter", "dangling=true")
        torn = self.call("images", "--quiet", *ours, timeout=self._patience).split()
        used = self.call("ps", "--all", "--format", "{{.Image}}", timeout=self._patience).split()
        old = (tag for tag in self.images() if tag.startswith(GATEWAY_IMAGE))
        return frozenset((*torn, *(tag for tag in old if tag not in {keep, *used})))

    def discard_image(self, tag: str) -> None:
        """Remove an image unless it is in use."""
        process.run(self.argv("rmi", tag), env=self.environment, timeout=_SLOW)

    def remove_volumes(self) -> int:
        """Remove the agent's volumes and return their number."""
        names = self.call("volume", "ls", "--quiet", timeout=self._patience).split()
        own = [name for name in names if name.startswith(f"{self.project}_{self.agent}_")]
        for name in own:
            self.call("volume", "rm", name)
        return len(own)

    def subnets(self) -> list[str]:
        """Return the subnets of all networks of the engine, including those of others."""
        return self._retried(self._subnets)

    def _subnets(self) -> list[str]:
        names = self.call("network", "ls", "--quiet", timeout=self._patience).split()
        if not names:
            return []
        asked = ("network", "inspect", *names)
        done = process.run(self.argv(*asked), env=self.environment, timeout=self._patience)
        if done.code:
            from companion.engine import failures  # noqa: PLC0415 - start-up time is a budget

            if not failures.only_vanished(done):  # networks of others come and go
                raise self._failure(asked, done)
        return re.findall(r'"[Ss]ubnet": *"([0-9./]+)"', done.stdout)
