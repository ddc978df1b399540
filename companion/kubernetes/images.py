"""Images of a cluster: built by an engine of the desktop, and pushed to the user's registry."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from companion.engine import detection, machine
from companion.engine.client import Engine
from companion.engine.model import EngineChoice
from companion.engine.registry import Registry
from companion.engine.shared_lists import SharedLists
from companion.errors import CompanionError, EngineError
from companion.kubernetes.cluster import reference
from companion.spec.build_network import BuildNetwork
from companion.spec.containers import Image

_PULL = 1800.0
"""Seconds for an image to come."""
_BUILDERS = SharedLists(seconds=30.0)
"""Which engine runs on this desktop: to ask that takes podman half a second."""


@dataclass(frozen=True, slots=True)
class Images:
    """The images of one agent in a registry; `engine` is the desktop's."""

    registry: str
    engine: Engine

    @staticmethod
    def of(registry: str, project: str, agent: str) -> "Images":
        """Return those of an agent, by an engine that runs on this desktop.

        Raises:
            CompanionError: none is running.
        """
        return Images(registry, Engine(_BUILDERS.get("", _builder), project, agent))

    def held(self, tags: Collection[str]) -> frozenset[str]:
        """Return which of these images the registry has.

        Raises:
            EngineError: the registry does not answer, or wants a login.
        """
        names = {reference(self.registry, tag): tag for tag in tags}
        return frozenset(names[one] for one in Registry(self.engine.choice).held(tuple(names)))

    def build(
        self,
        image: Image,
        context: Path,
        network: BuildNetwork,
        on_line: Callable[[str], None],
        is_wanted: Callable[[], bool],
    ) -> int:
        """Build an image and push it; return the build's exit code.

        Raises:
            EngineError: the registry refused, or does not answer.
        """
        engine = self.engine
        if network.router and not engine.held((network.router,)):
            self._fetch(network.router)
        if not engine.held((image.tag,)):
            network = refusing(engine, network)
            code = engine.build(image, context, network, on_line, is_wanted)
            if code:
                return code
        name = reference(self.registry, image.tag)
        on_line(f"pushing {name}")
        Registry(engine.choice).push(image.tag, name, on_line, is_wanted)
        return 0

    def _fetch(self, tag: str) -> None:
        """Get an image that an earlier build pushed, and that is gone from the desktop."""
        name = reference(self.registry, tag)
        self.engine.call("pull", name, timeout=_PULL)
        try:
            self.engine.call("tag", name, tag)
            self.engine.call("rmi", name)
        except EngineError:
            if not self.engine.held((tag,)):  # else, another agent's build did the same meanwhile
                raise


def _builder() -> EngineChoice:
    try:
        return detection.pinned(detection.running())
    except CompanionError as error:
        why = "images for a cluster are built by an engine of this desktop"
        error.problems = tuple(p._replace(what=f"{why}: {p.what}") for p in error.problems)
        raise


def refusing(engine: Engine, network: BuildNetwork) -> BuildNetwork:
    """Return a build's network without those of the engine's machine, if that is another one.

    Raises:
        EngineError: the engine refused.
    """
    if engine.choice.is_here or not network.router:
        return network
    own = machine.networks(engine, network.router)
    return replace(network, refused=(*network.refused, *own))
