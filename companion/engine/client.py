"""The containers driver: one agent's sandbox on Docker or Podman, by their command lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from companion.engine import podman_settings
from companion.engine.arguments import (
    connect_argv,
    create_argv,
    exec_argv,
    files_volume,
    join_argv,
    network_argv,
    volume_argv,
)
from companion.engine.connection import SLOW
from companion.engine.dialect import LABEL, container_name, network_name
from companion.engine.inventory import Inventory
from companion.engine.model import AgentLogin, Command
from companion.errors import Code, CompanionError, EngineError, NameTakenError
from companion.spec.identity import LIB
from companion.system import process

if TYPE_CHECKING:  # slow to load, and most commands only list containers
    from companion.engine.fence import Client
    from companion.spec.build_network import BuildNetwork
    from companion.spec.containers import Directory, File, Image, Network, Service, Target

_REMOVE_TRIES, _REMOVE_PAUSE = 4, 0.5


@dataclass(frozen=True, slots=True)
class Engine(Inventory):
    """One agent on an engine; implements `driver.Driver`."""

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
        ours = (*self.own_filter, "--filter", f"label={LABEL}.build")
        with suppress(CompanionError, KeyboardInterrupt):  # what is left does not run
            names = self.call("ps", "--all", "--format", "{{.Names}}", *ours).split()
            for name in names:
                if not but or not name.startswith(but):
                    self.remove(name)

    @property
    def _client(self) -> Client:
        from companion.engine.fence import Client  # noqa: PLC0415 - start-up time is a budget

        return Client(self.dialect, self.argv, self.environment, self.call, self.sweep_builds)

    def start(self, service: Service, _target: Target | None = None) -> None:
        """Create a service's container on all its networks and start it."""
        podman_settings.require_nothing_added(self.choice, self.call)
        name = container_name(self.project, service.name)
        owner = (self.dialect, self.project, self.agent)
        create = create_argv(*owner, service, self.files, self._profiles())
        self._create_volumes(service)
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

    def _create_volumes(self, service: Service) -> None:
        """Create the volumes that a mount would create without our labels."""
        from companion.spec.containers import Volume  # noqa: PLC0415 - start-up time is a budget

        sources = (bind.source for bind in service.binds if not self.dialect.labels_mounts)
        for name in (source.name for source in sources if isinstance(source, Volume)):
            with suppress(NameTakenError):  # it is there
                self.call(*volume_argv(self.project, self.agent, f"{self.project}_{name}"))

    def waiter(
        self, _target: Target, _progress: Callable[[str], None], _is_wanted: Callable[[], bool]
    ) -> Callable[[], None]:
        """Return what waits for nothing: an engine starts containers at once."""
        return lambda: None

    def await_carried(self, _contents: Mapping[Directory, tuple[File, ...]]) -> None:
        """Do nothing: what carry() wrote is there at once."""

    def _profiles(self) -> str:
        """Return the directory of the seccomp profiles, where whoever reads them finds it."""
        from companion.spec.containers import Directory, Files  # noqa: PLC0415

        if self.choice.shares_files or not self.dialect.mountpoint:
            return Files(Directory.SECCOMP).on_host(self.files)
        volume = files_volume(self.project, self.agent, Directory.SECCOMP)
        return self.call(*self.dialect.mountpoint, volume).strip()

    def carry(
        self,
        image: str,
        contents: Mapping[Directory, tuple[File, ...]],
        owner: int,
        only: Collection[Directory] | None = None,
    ) -> None:
        """Bring our files to an engine that cannot mount them, by a container of `image`."""
        if not self.choice.shares_files:
            from companion.engine import carrier  # noqa: PLC0415 - start-up time is a budget

            carrier.carry(self, image, contents, owner, only)

    def seed(
        self, image: str, volume: str, owner: int, send: Callable[[IO[bytes], str], None]
    ) -> bool:
        """Create a volume of the agent and fill it, unless it is there."""
        from companion.engine import seeds  # noqa: PLC0415 - start-up time is a budget

        return seeds.fill(self, image, f"{self.project}_{volume}", owner, send)

    def remove_files(self) -> None:
        """Remove what carry() brought: it holds secrets, and nothing runs that needs it."""
        if not self.choice.shares_files:
            from companion.engine import carrier, seeds  # noqa: PLC0415 - start-up time is a budget

            carrier.remove(self)
            seeds.discard_begun(self)

    def held_files(self) -> tuple[str, ...]:
        """Return the volumes of our files that the engine holds."""
        if self.choice.shares_files:
            return ()
        from companion.engine import carrier  # noqa: PLC0415 - start-up time is a budget

        return carrier.held_volumes(self)

    def owners_of_files(self) -> frozenset[tuple[str, str]]:
        """Return whose files an engine elsewhere holds, as (project, agent)."""
        if self.choice.shares_files:
            return frozenset()
        from companion.engine import carrier  # noqa: PLC0415 - start-up time is a budget

        return carrier.owners(self)

    def holds_any(self) -> bool:
        """Tell whether the agent has containers, networks or files of ours on the engine."""
        return bool(self.containers() or self.networks() or self.held_files())

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
        self, login: AgentLogin, *command: str, stdin: str, timeout: float = SLOW
    ) -> str:
        """Run a command as the agent's user and return its output; `timeout` in seconds."""
        inside = self.agent_arguments(login, "--interactive")
        return self.call(*inside, *command, stdin=stdin, timeout=timeout)

    def agent_arguments(self, login: AgentLogin, *options: str) -> tuple[str, ...]:
        """Return the client's arguments that run a command, to be appended, as the agent's user."""
        name = container_name(self.project, self.agent)
        return exec_argv(name, login.user, *options, started_as_root=login.started_as_root)

    def inside(self, login: AgentLogin, *, terminal: bool = False, workdir: str = "") -> Command:
        """Return the command that runs another one, to be appended, as the agent's user."""
        where = ("--workdir", workdir) if workdir else ()
        options = ("--interactive", *(("--tty",) if terminal else ()), *where)
        return Command(self.argv(*self.agent_arguments(login, *options)), self.environment)

    def log(
        self, container: str, *, since: int = 0, last: int = 0, follows: bool = False
    ) -> Command:
        """Return the command that prints a container's output, each line with its time."""
        begin = ("--since", f"{datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H:%M:%SZ}")
        options = (
            *(begin if since else ()),
            *(("--follow",) if follows else ()),
            *(("--tail", str(last)) if last else ()),
        )
        return Command(self.argv("logs", "--timestamps", *options, container), self.environment)

    def events(self) -> Command:
        """Return the command that prints a line with our label whenever a container changes."""
        return Command(self.argv(*self.dialect.events), self.environment)

    def ssh_server(self, login: AgentLogin) -> Command:
        """Return the command whose input and output are an SSH server of the agent's user."""
        serve = ("/bin/bash", f"{LIB}/entrypoint.sh", "--sshd", "-i")
        argv = self.argv(*self.agent_arguments(login, "--interactive"), *serve)
        return Command(argv, self.environment)

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

    def discard_image(self, tag: str) -> None:
        """Remove an image unless it is in use."""
        process.run(self.argv("rmi", tag), env=self.environment, timeout=SLOW)

    def volumes(self) -> tuple[str, ...]:
        """Return the names of the agent's volumes, without the project's ID."""
        names = self.call("volume", "ls", "--quiet", timeout=self.patience).split()
        own = (name for name in names if name.startswith(f"{self.project}_{self.agent}_"))
        return tuple(name.removeprefix(f"{self.project}_") for name in own)

    def remove_volumes(self) -> int:
        """Remove the agent's volumes and return their number."""
        own = self.volumes()
        for name in own:
            self.call("volume", "rm", f"{self.project}_{name}")
        return len(own)
