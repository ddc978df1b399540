"""The driver of a cluster: one agent's sandbox as the objects of a namespace, by kubectl."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeVar

from companion.engine.model import AgentLogin, Command, Container, EngineChoice, Observed
from companion.errors import Code, CompanionError, EngineError
from companion.kubernetes import held_files, listing, network, objects, pods_seen
from companion.kubernetes.cluster import Cluster, Fence, reference
from companion.kubernetes.kubectl import FAST, SLOW, Kubectl
from companion.kubernetes.names import LABEL, OWNER, Names
from companion.kubernetes.removal import MADE, Removal
from companion.kubernetes.starting import EVENTS, Starting
from companion.spec.identity import LIB, Role, as_agent
from companion.system import process
from companion.system.plain import plain

if TYPE_CHECKING:  # slow to load, and most commands only list Pods
    from pathlib import Path

    from companion.engine.shared_lists import SharedLists
    from companion.kubernetes.images import Images
    from companion.kubernetes.names import Manifest
    from companion.kubernetes.showing import Showing
    from companion.spec.build_network import BuildNetwork
    from companion.spec.containers import Directory, File, Image, Network, Service, Target

Answer = TypeVar("Answer")
_APPLY = (
    "apply", "--server-side", "--force-conflicts", "--field-manager=companion", "--validate=false",
    "--filename=-",
)  # fmt: skip
"""On the server: the client's own way would store each Secret a second time, as an annotation."""
_SEEN = "pods,services,networkpolicies"
_CLAIM, _CLAIMS = "PersistentVolumeClaim", "persistentvolumeclaims"
_AROUND = f"deployments,statefulsets,services,{_CLAIMS}"
"""What decides how a Pod is started."""
_OWNERS = {"Deployment", "StatefulSet"}
_ENDED = "command terminated with exit code "
"""What kubectl adds to the output of a command that failed."""


@dataclass(frozen=True, slots=True)
class ClusterDriver(Kubectl):
    """One agent on a cluster; implements `driver.Driver`.

    Without an agent, it covers all Pods of the project; without a project, all that this desktop
    made in the namespace.
    """

    project: str = ""
    agent: str = ""
    files: str = ""
    lists: SharedLists | None = field(default=None, compare=False)
    """What is listed of the whole project, if several of its agents share that."""

    @property
    def names(self) -> Names:
        """The names of the agent's objects."""
        return Names(self.choice.namespace, self.project, self.agent, self.choice.owner)

    @property
    def _selector(self) -> str:
        whose = ((f"{LABEL}.project", self.project), (f"{LABEL}.agent", self.agent))
        parts = (f"{key}={value}" for key, value in whose if value)
        # Always with the owner: without an ID, that finds nothing instead of what is others'.
        return "--selector=" + ",".join((f"{OWNER}={self.choice.owner}", *parts))

    def require_user_ids(self) -> None:
        """Do nothing: Pods have the user IDs that they are given."""

    def answers(self) -> bool:
        """Tell whether the cluster responds, and lets our user look into the namespace."""
        try:
            self.require_answer()
        except CompanionError:
            return False
        return True

    def observe(self, images: Collection[str] = (), services: Iterable[str] = ()) -> Observed:
        """Return the agent's Pods as containers, and which of `images` the registry has.

        Raises:
            CompanionError: the cluster or the registry does not answer.
        """
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - start-up time is a budget

        del services  # one list has all of them
        with ThreadPoolExecutor(1) as asked:
            files = asked.submit(self.held_files)
            listed = self._listed(_SEEN)
            seen = self._own(listed)
            lost = held_files.without(seen, self.names.sandbox, files.result())
        run = pods_seen.images(listed)
        known = frozenset(tag for tag in images if reference(self.choice.registry, tag) in run)
        held = self.held(frozenset(images) - known)  # no registry is asked for what runs already
        return Observed(self._seen(seen), {}, held | known, lost=lost)

    def containers(self, services: Iterable[str] = ()) -> tuple[Container, ...]:
        """Return the agent's Pods as containers, running or not."""
        del services
        return self._seen(self._list(_SEEN if self.agent else "pods"))

    def _seen(self, listed: list[dict[str, Any]]) -> tuple[Container, ...]:
        seal = self._place(pods_seen.address(listed, self.names)).seal if self.agent else ""
        return tuple(pods_seen.containers(listed, seal))

    def _list(
        self, kinds: str, shape: str = listing.SHAPE, since: float | None = None
    ) -> list[dict[str, Any]]:
        return self._own(self._listed(kinds, shape, since))

    def _own(self, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.lists is None:
            return listed
        return [o for o in listed if o["metadata"]["labels"].get(f"{LABEL}.agent") == self.agent]

    def _listed(
        self, kinds: str, shape: str = listing.SHAPE, since: float | None = None
    ) -> list[dict[str, Any]]:
        return list(listing.objects(self._get(kinds, shape, since)))

    def _get(self, kinds: str, shape: str, since: float | None = None) -> str:
        """Return a list of the agent's objects, or of all of its project's to share."""
        whose = self if self.lists is None else replace(self, agent="")
        words = ("get", kinds, whose._selector, shape)  # noqa: SLF001 - our own
        return self._shared(words, lambda: self.ask(*words), since)

    def _shared(
        self, question: Hashable, ask: Callable[[], Answer], since: float | None = None
    ) -> Answer:
        """Return the answer to a question that concerns no single agent."""
        return self.lists.get((self.choice, question), ask, since) if self.lists else ask()

    def _place(self, gateway: str) -> Cluster:
        choice = self.choice
        fence, on_nodes = Fence(choice.fence), choice.node_seccomp
        return Cluster(choice.namespace, choice.registry, gateway, fence, node_seccomp=on_nodes)

    def holds_any(self) -> bool:
        """Tell whether the agent has objects of ours there, besides its volumes."""
        return bool(self.ask("get", MADE, self._selector, "--output=name").split())

    def subnets(self) -> list[str]:
        """Return nothing: no network of ours is made there."""
        return []

    def require_network(self, name: str) -> None:
        """Refuse: a cluster has no networks of containers."""
        raise AssertionError(f"{name}: see kubernetes/limitations.py")

    def create_network(self, network: Network) -> None:
        """Refuse, as no target of a cluster has networks."""
        raise AssertionError(f"{network}: a cluster has no networks of ours")

    def remove_network(self, name: str) -> None:
        """Refuse, as no target of a cluster has networks."""
        raise AssertionError(f"{name}: a cluster has no networks of ours")

    @property
    def _images(self) -> Images:
        from companion.kubernetes.images import Images  # noqa: PLC0415 - start-up time is a budget

        return Images.of(self.choice.registry, self.project, self.agent)

    def held(self, tags: Collection[str]) -> frozenset[str]:
        """Return which of these images the registry has."""
        wanted = frozenset(tags)
        return self._shared(wanted, lambda: self._images.held(wanted)) if tags else wanted

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

    def held_files(self) -> tuple[str, ...]:
        """Return the names of the objects that hold our files."""
        held = held_files.names(self._get(held_files.KINDS, held_files.NAMES))
        return held_files.of_sandbox(held, self.names.sandbox)

    def owners_of_files(self) -> frozenset[tuple[str, str]]:
        """Return whose files are in the namespace, as (project, agent); no content is read."""
        return frozenset((project, agent) for _, project, agent in self._owners(self._selector))

    def other_owners(self) -> frozenset[tuple[str, str, str]]:
        """Return whose files others have in the namespace, as (owner, project, agent)."""
        return self._owners(f"--selector={OWNER},{OWNER}!={self.choice.owner}")

    def _owners(self, selector: str) -> frozenset[tuple[str, str, str]]:
        options = (held_files.NAMES, held_files.OWNERS)
        return held_files.owners(self.ask("get", held_files.KINDS, selector, *options))

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

    def _pods(self, since: float) -> list[dict[str, Any]]:
        return self._list("pods", listing.OF_STARTING, since)

    def _events(self, since: float) -> list[dict[str, Any]]:
        """Return the events of the namespace: they have no labels."""
        words = ("get", "events", EVENTS, "--output=json")
        listed: dict[str, Any] = json.loads(self._shared(words, lambda: self.ask(*words), since))
        return list(listed["items"])

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

    def describe(self, services: Iterable[str]) -> str:
        """Return the Pods of services, a JSON list in their order."""
        listed = json.loads(self.ask("get", "pods", self._selector, "--output=json"))["items"]
        pods = {one["metadata"]["labels"].get(f"{LABEL}.role"): one for one in listed}
        roles = {role.service_of(self.agent): role for role in (Role.GATEWAY, Role.AGENT)}
        return json.dumps([pods[roles[name]] for name in services])

    def log(
        self, container: str, *, since: int = 0, last: int = 0, follows: bool = False
    ) -> Command:
        """Return the command that prints a Pod's output, each line with its time."""
        begin = f"{datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H:%M:%SZ}"
        options = (
            *((f"--since-time={begin}",) if since else ()),
            *((f"--tail={last}",) if last else ()),
            *(("--follow",) if follows else ()),
        )
        return self.command("logs", "--timestamps", *options, *self._container(container))

    def _container(self, pod: str) -> tuple[str, ...]:
        role = Role.AGENT if pod == self.names.pod else Role.GATEWAY
        return pod, f"--container={role}"

    def last_lines(self, container: str, count: int) -> tuple[str, ...]:
        """Return a Pod's last lines of output as plain text."""
        command = self.command("logs", f"--tail={count}", *self._container(container))
        done = process.run(command.argv, env=command.environment, timeout=FAST, merged=True)
        return () if done.code else tuple(map(plain, done.stdout.splitlines()[-count:]))

    def events(self) -> Command:
        """Return the command that prints a line with our label whenever a Pod changes."""
        shape = f"--output=jsonpath={{.metadata.name}} {LABEL}{{'\\n'}}"
        return self.command("get", "pods", self._selector, "--watch-only", shape)

    def volumes(self) -> tuple[str, ...]:
        """Return the names of the agent's volumes, as its definition has them."""
        found = self.ask("get", _CLAIMS, self._selector, "--output=name").split()
        names = (one.partition("/")[2] for one in found)
        return tuple(f"{self.agent}_{name.partition('.')[2]}" for name in names)

    def remove_volumes(self) -> int:
        """Remove the claims of the agent's volumes, and with most clusters what they hold."""
        own = self.volumes()
        if own:
            self._removal.claims()
        return len(own)


def _named(listed: Iterable[Manifest], kinds: Collection[str], name: str) -> list[Manifest]:
    return [o for o in listed if o["kind"] in kinds and o["metadata"]["name"] == name]
