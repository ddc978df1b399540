"""Inventory: what an engine holds of an agent, of a project, or of everything that we created."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from companion.engine.connection import Connection
from companion.engine.dialect import LABEL, container_name, each
from companion.engine.model import Container, EngineChoice, Observed
from companion.engine.reports import parse_container, parse_network
from companion.errors import EngineError, ImageGoneError
from companion.system import process
from companion.system.plain import plain

GATEWAY_IMAGE = "localhost/companion/gateway:"


@dataclass(frozen=True, slots=True)
class Inventory(Connection):
    """What one engine holds of an agent.

    Without an agent, it covers all containers and networks of the project; without a project,
    everything that we created on the engine.
    """

    project: str = ""
    agent: str = ""
    files: str = ""
    """The directory that holds the agent's `Files`; required to create and compare containers."""

    @property
    def builder(self) -> EngineChoice:
        """The engine that builds the agent's images: this one."""
        return self.choice

    @property
    def own_filter(self) -> tuple[str, ...]:
        """The options that list only objects of the agent, or of the project."""
        if not self.project:
            return ("--filter", f"label={LABEL}.project")
        owners = (("project", self.project), ("agent", self.agent))
        labels = (f"label={LABEL}.{key}={name}" for key, name in owners if name)
        return tuple(each("--filter", labels))

    @property
    def _image(self) -> str:
        """The prefix of the tags of the agent's images, or of those that a project's share."""
        return f"localhost/companion/{'-'.join(filter(None, (self.project, self.agent)))}:"

    def observe(self, images: Collection[str] = (), services: Iterable[str] = ()) -> Observed:
        """Return the agent's containers and networks, and which of `images` (tags) exist.

        Over a network, `services` are looked at while they are listed: they are probably all.

        Raises:
            EngineError: the engine does not answer, so the state is unknown.
        """
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - start-up time is a budget

        names = tuple(container_name(self.project, one) for one in services)
        with ThreadPoolExecutor() as asked:  # in parallel, as the engine's client starts slowly
            guess = asked.submit(self._inspected, names if self.choice.is_remote else ())
            networks, held = asked.submit(self.networks), asked.submit(self.held, images)
            containers = self.retried(lambda: self._containers(guess.result))
            return Observed(containers, networks.result(), held.result())

    def describe(self, services: Iterable[str]) -> str:
        """Return the output of `inspect` for services' containers, a JSON list in their order."""
        return self.call("inspect", *(container_name(self.project, name) for name in services))

    def containers(self, services: Iterable[str] = ()) -> tuple[Container, ...]:
        """Return the agent's containers, running or not.

        If `services` are known to be all of them, one call instead of two tells their state; the
        engine is asked for a list only if one of them is missing.
        """
        names = tuple(container_name(self.project, service) for service in services)
        return self._inspected(names) or self.retried(self._containers)

    def _inspected(self, names: Collection[str]) -> tuple[Container, ...]:
        """Return the containers with these names, none unless all of them exist and are ours."""
        if not names:
            return ()
        try:
            found = json.loads(
                self.call("inspect", "--type", "container", *names, timeout=self.patience)
            )
        except EngineError as error:
            if self.is_cut_off(error):
                raise
            return ()
        containers = tuple(parse_container(data, self.files) for data in found)
        ours = all(c.project == self.project and c.service for c in containers)
        return containers if ours and len(containers) == len(names) else ()

    def _containers(
        self, guess: Callable[[], tuple[Container, ...]] = lambda: ()
    ) -> tuple[Container, ...]:
        # A container that the user runs from our image inherits its labels, but has no service.
        ours = (*self.own_filter, "--filter", f"label={LABEL}.service")
        ids = self.call(
            "ps", "--all", "--quiet", "--no-trunc", *ours, timeout=self.patience
        ).split()
        if not ids:
            return ()
        known = guess()
        if {one.id for one in known} == set(ids):
            return known
        found = json.loads(self.call("inspect", *ids, timeout=self.patience))
        return tuple(parse_container(data, self.files) for data in found)

    def last_lines(self, container: str, count: int) -> tuple[str, ...]:
        """Return a container's last lines of output as plain text."""
        argv = self.argv("logs", "--tail", str(count), container)
        done = process.run(argv, env=self.environment, timeout=self.patience, merged=True)
        lines = done.stdout.splitlines()[-count:]
        return tuple(map(plain, lines))

    def networks(self) -> dict[str, str]:
        """Return the subnets of the agent's networks, by name without the project's prefix."""
        return self.retried(self._networks)

    def _networks(self) -> dict[str, str]:
        names = self.call(
            "network", "ls", "--quiet", *self.own_filter, timeout=self.patience
        ).split()
        if not names:
            return {}
        found = json.loads(self.call("network", "inspect", *names, timeout=self.patience))
        return dict(parse_network(self.project, data) for data in found)

    def held(self, tags: Collection[str]) -> frozenset[str]:
        """Return which of these images exist; podman takes seconds to list all of many images."""
        return self.retried(lambda: self._held(tags)) if tags else frozenset()

    def _held(self, tags: Collection[str]) -> frozenset[str]:
        asked = ("image", "inspect", "--format", "{{range .RepoTags}}{{println .}}{{end}}", *tags)
        done = process.run(self.argv(*asked), env=self.environment, timeout=self.patience)
        if done.code:  # the output still lists the images that exist
            failure = self.failure(asked, done)
            if not isinstance(failure, ImageGoneError):
                raise failure
        return frozenset(done.stdout.split()) & frozenset(tags)

    def images(self) -> frozenset[str]:
        """Return the tags of all images that Companion built, for any project."""
        shape = ("--filter", f"label={LABEL}.image=1", "--format", "{{.Repository}}:{{.Tag}}")
        asked = ("images", *shape)
        return self.retried(lambda: frozenset(self.call(*asked, timeout=self.patience).split()))

    def agent_images(self) -> frozenset[str]:
        """Return the tags of the images that were built for the agent.

        Selected by name: given a label, podman opens each image of the machine, which takes ten
        times as long; given several, it lists images that have any of them.
        """
        shape = ("--filter", f"reference={self._image}*", "--format", "{{.Repository}}:{{.Tag}}")
        asked = ("images", "--all", *shape)  # else podman looks for intermediate ones among all
        found = self.retried(lambda: self.call(*asked, timeout=self.patience).split())
        return frozenset(tag for tag in found if tag.startswith(self._image))

    def unused_images(self, keep: str) -> frozenset[str]:
        """Return images that failed builds left behind, and gateway images without containers.

        `keep` is the tag of the gateway image that the next sandbox will use.
        """
        return self.retried(lambda: self._unused_images(keep))

    def _unused_images(self, keep: str) -> frozenset[str]:
        ours = ("--filter", f"label={LABEL}.image=1", "--filter", "dangling=true")
        torn = self.call("images", "--quiet", *ours, timeout=self.patience).split()
        used = self.call("ps", "--all", "--format", "{{.Image}}", timeout=self.patience).split()
        old = (tag for tag in self.images() if tag.startswith(GATEWAY_IMAGE))
        return frozenset((*torn, *(tag for tag in old if tag not in {keep, *used})))

    def subnets(self) -> list[str]:
        """Return the subnets of all networks of the engine, including those of others."""
        return self.retried(self._subnets)

    def _subnets(self) -> list[str]:
        names = self.call("network", "ls", "--quiet", timeout=self.patience).split()
        if not names:
            return []
        asked = ("network", "inspect", *names)
        done = process.run(self.argv(*asked), env=self.environment, timeout=self.patience)
        if done.code:
            from companion.engine import failures  # noqa: PLC0415 - start-up time is a budget

            if not failures.only_vanished(done):  # networks of others come and go
                raise self.failure(asked, done)
        return re.findall(r'"[Ss]ubnet": *"([0-9./]+)"', done.stdout)
