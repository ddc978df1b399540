"""The driver of a cluster: one agent's sandbox as the objects of a namespace, by kubectl."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, TYPE_CHECKING

from companion.engine.model import AgentLogin, Command, EngineChoice
from companion.errors import Code, CompanionError, EngineError
from companion.kubernetes import network, objects, pods_seen
from companion.kubernetes.inventory import CLAIMS, ClusterInventory
from companion.kubernetes.kubectl import SLOW
from companion.kubernetes.removal import Removal
from companion.kubernetes.starting import Starting
from companion.spec.identity import LIB, Role, as_agent

if TYPE_CHECKING:  # slow to load, and most commands only list Pods
    from pathlib import Path

    from companion.kubernetes.names import Manifest
    from companion.kubernetes.showing import Showing
    from companion.spec.build_network import BuildNetwork
    from companion.spec.containers import Directory, File, Image, Network, Service, Target

_APPLY = (
    "apply", "--server-side", "--force-conflicts", "--field-manager=companion", "--validate=false",
    "--filename=-",
)  # fmt: skip
"""On the server: the client's own way would store each Secret a second time, as an annotation."""
_CLAIM = "PersistentVolumeClaim"
_AROUND = f"deployments,statefulsets,services,{CLAIMS}"
"""What decides how a Pod is started."""
_OWNERS = {"Deployment", "StatefulSet"}
_ENDED = "command terminated with exit code "
"""What kubectl adds to the output of a command that failed."""


@dataclass(frozen=True, slots=True)
class ClusterDriver(ClusterInventory):
    """One agent on a cluster; implements `driver.Driver`."""

    def require_user_ids(self) -> None:
        """Do nothing: Pods have the user IDs that they are given."""

    def require_network(self, name: str) -> None:
        """Refuse: a cluster has no networks of containers."""
        raise AssertionError(f"{name}: see kubernetes/limitations.py")

    def create_network(self, network: Network) -> None:
        """Refuse, as no target of a cluster has networks."""
        raise AssertionError(f"{network}: a cluster has no networks of ours")

    def remove_network(self, name: str) -> None:
        """Refuse, as no target of a cluster has networks."""
        raise AssertionError(f"{name}: a cluster has no networks of ours")

    def build(
        self,
        image: Image,
        context: Path,
        network: BuildNetwork,
        on_line: Callable[[str], None],
        is_wanted: Callable[[], bool],
    ) -> int:
        """Build an image with an engine of the desktop and push it; return the exit code."""
        return self._images.build(image, context, network, on_line, is_wanted)

    @property
    def builder(self) -> EngineChoice:
        """The engine of the desktop that builds images and pushes them."""
        return self._images.engine.choice

    def sweep_builds(self) -> None:
        """Remove what builds of the agent left on the desktop."""
        with suppress(CompanionError):
            self._images.engine.sweep_builds()

    def agent_images(self) -> frozenset[str]:
        """Return the tags of the images on the desktop that the project's agents share."""
        return replace(self._images.engine, agent="").agent_images()

    def discard_image(self, tag: str) -> None:
        """Remove an image from the desktop; the registry is its user's own."""
        self._images.engine.discard_image(tag)

    def carry(
        self,
        image: str,
        contents: Mapping[Directory, tuple[File, ...]],
        owner: int,
        only: Collection[Directory] | None = None,
    ) -> None:
        """Store our files in the cluster, and wait until a gateway that stays shows its own."""
        del image, owner
        wanted = {d: f for d, f in contents.items() if only is None or d in only}
        place = self._place(self._address())
        stored = objects.stored(wanted, place)
        if stored:
            self._apply(objects.of_files(wanted, self.names, place))
            self._showing.of_gateway(stored)

    def await_carried(self, contents: Mapping[Directory, tuple[File, ...]]) -> None:
        """Wait a while until the agent's container shows the files that carry() stored."""
        self._showing.of_agent(objects.stored(contents, self._place(self._address())))

    @property
    def _showing(self) -> Showing:
        from companion.kubernetes.showing import Showing  # noqa: PLC0415 - loads all plugins

        return Showing(self, self.names, self.containers)

    def _address(self) -> str:
        """Return the address of the gateway's Service, which is made if it is missing."""
        return pods_seen.address(self._list("services"), self.names) or self._first_address()

    def _first_address(self) -> str:
        made = json.dumps(network.first_service(self.names))
        return self.call(*_APPLY, "--output=jsonpath={.spec.clusterIP}", stdin=made).strip()

    def _apply(self, manifests: Iterable[Manifest]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.call(*_APPLY, stdin=json.dumps(listed))

    def seed(
        self, image: str, volume: str, owner: int, send: Callable[[IO[bytes], str], None]
    ) -> bool:
        """Refuse: a place on a cluster copies no directories."""
        raise AssertionError(f"{image}, {volume}, {owner}, {send}: see config/engine_places.py")

    def remove_files(self) -> None:
        """Remove all objects of the agent but the claims of its volumes.

        Raises:
            EngineError: a Pod does not end; its secrets are gone, but its policies are not.
        """
        self._removal.everything()

    @property
    def _removal(self) -> Removal:
        return Removal(self, self._selector)

    def start(self, service: Service, target: Target) -> None:
        """Apply what makes a service's Pod, and what leads there."""
        there = self._list(_AROUND)
        owner = self._owner(service.role).partition("/")[2]
        if any(one["metadata"].get("deletionTimestamp") for one in _named(there, _OWNERS, owner)):
            self._removal.await_end(partial(self._owners_called, owner))
        place = self._place(pods_seen.address(there, self.names) or self._first_address())
        around = network.render(target, self.names, place)
        made = objects.workload(service.role, target, self.names, place)
        # Claims may have grown, and no cluster lets one shrink again.
        kept = (o for o in made if not _named(there, {_CLAIM}, o["metadata"]["name"]))
        self._apply((*around, *kept))

    def _owners_called(self, name: str) -> list[str]:
        listed = self._get("deployments,statefulsets", "--output=name").split()
        return [one for one in listed if one.partition("/")[2] == name]

    def waiter(
        self, target: Target, progress: Callable[[str], None], is_wanted: Callable[[], bool]
    ) -> Callable[[], None]:
        """Return what waits until both Pods have started, or until one of them cannot.

        It raises EngineError with the cluster's own reason. What the cluster tells by now is old.
        """
        roles = tuple(service.role for service in target.services)
        return Starting(self.names, self._pods, self._events, progress, is_wanted).waiter(roles)

    def reconnect(self, service: str) -> None:
        """Do nothing: the cluster's own rules are its own."""

    def remove(self, name: str) -> None:
        """Begin to remove what makes a Pod: a node takes seconds, and start() waits for it."""
        role = Role.AGENT if name == self.names.pod else Role.GATEWAY
        self._removal.begin(self._owner(role))

    def _owner(self, role: Role) -> str:
        """Return what makes the Pod of a role, as kubectl names it."""
        names = self.names
        return (
            f"statefulset/{names.sandbox}" if role is Role.AGENT else f"deployment/{names.of(role)}"
        )

    def _exec(self, pod: str, role: Role | None, *command: str, stdin: bool) -> tuple[str, ...]:
        streams = ("--stdin",) if stdin else ()
        return ("exec", *streams, pod, "--container", str(role), "--", *command)

    def run(self, service: str, *command: str, user: str = "") -> str:
        """Run a command in a service's container, as the user that it has."""
        del user
        found = next((one for one in self.containers() if one.service == service), None)
        if found is None:
            what = f"{service} is not there"
            raise EngineError(what, "run `companion up`", code=Code.NOT_STARTED)
        return self.call(*self._exec(found.name, found.role, *command, stdin=False))

    def run_as_agent(
        self, login: AgentLogin, *command: str, stdin: str, timeout: float = SLOW
    ) -> str:
        """Run a command as the agent's user and return its output; `timeout` in seconds."""
        become = as_agent(login.user) if login.started_as_root else ()
        argv = self._exec(self.names.pod, Role.AGENT, *become, *command, stdin=True)
        return self.call(*argv, stdin=stdin, timeout=timeout)

    def inside(self, login: AgentLogin, *, terminal: bool = False, workdir: str = "") -> Command:
        """Return the command that runs another one, to be appended, as the agent's user."""
        options = ("--stdin", *(("--tty",) if terminal else ()))
        become = as_agent(login.user) if login.started_as_root else ()
        enter = ("/bin/bash", "-c", 'cd "$0" && exec "$@"', workdir) if workdir else ()
        container = ("--container", str(Role.AGENT))
        words = ("exec", *options, self.names.pod, *container, "--", *become, *enter)
        return replace(self.command(*words), unsaid=_ENDED)

    def ssh_server(self, login: AgentLogin) -> Command:
        """Return the command whose input and output are an SSH server of the agent's user."""
        become = as_agent(login.user) if login.started_as_root else ()
        # Without -e, sshd closes its standard error, and with it kubectl the connection.
        serve = (f"{LIB}/entrypoint.sh", "--sshd", "-i", "-e", "-o", "LogLevel=ERROR")
        argv = self._exec(self.names.pod, Role.AGENT, *become, "/bin/bash", *serve, stdin=True)
        return replace(self.command(*argv), unsaid=_ENDED)

    def remove_volumes(self) -> int:
        """Remove the claims of the agent's volumes, and with most clusters what they hold."""
        own = self.volumes()
        if own:
            self._removal.claims()
        return len(own)


def _named(listed: Iterable[Manifest], kinds: Collection[str], name: str) -> list[Manifest]:
    return [o for o in listed if o["kind"] in kinds and o["metadata"]["name"] == name]
