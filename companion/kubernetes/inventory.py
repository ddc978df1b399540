"""Inventory: what a namespace, and its registry, hold of an agent or of a project."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from companion.engine.model import Command, Container, Observed
from companion.errors import CompanionError
from companion.kubernetes import held_files, listing, pods_seen
from companion.kubernetes.cluster import Cluster, Fence, reference
from companion.kubernetes.kubectl import FAST, Kubectl
from companion.kubernetes.names import LABEL, OWNER, Names
from companion.kubernetes.removal import MADE
from companion.kubernetes.starting import EVENTS
from companion.spec.identity import Role
from companion.system import process
from companion.system.plain import plain

if TYPE_CHECKING:  # slow to load, and most commands only list Pods
    from companion.engine.shared_lists import SharedLists
    from companion.kubernetes.images import Images

Answer = TypeVar("Answer")
CLAIMS = "persistentvolumeclaims"
_SEEN = "pods,services,networkpolicies"


@dataclass(frozen=True, slots=True)
class ClusterInventory(Kubectl):
    """What a cluster holds of one agent.

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
        run = pods_seen.images(seen)  # a sibling's node may have what the registry lost
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

    @property
    def _images(self) -> Images:
        from companion.kubernetes.images import Images  # noqa: PLC0415 - start-up time is a budget

        return Images.of(self.choice.registry, self.project, self.agent)

    def held(self, tags: Collection[str]) -> frozenset[str]:
        """Return which of these images the registry has."""
        wanted = frozenset(tags)
        return self._shared(wanted, lambda: self._images.held(wanted)) if tags else wanted

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

    def _pods(self, since: float) -> list[dict[str, Any]]:
        return self._list("pods", listing.OF_STARTING, since)

    def _events(self, since: float) -> list[dict[str, Any]]:
        """Return the events of the namespace: they have no labels."""
        words = ("get", "events", EVENTS, "--output=json")
        listed: dict[str, Any] = json.loads(self._shared(words, lambda: self.ask(*words), since))
        return list(listed["items"])

    def volumes(self) -> tuple[str, ...]:
        """Return the names of the agent's volumes, as its definition has them."""
        found = self.ask("get", CLAIMS, self._selector, "--output=name").split()
        names = (one.partition("/")[2] for one in found)
        return tuple(f"{self.agent}_{name.partition('.')[2]}" for name in names)
