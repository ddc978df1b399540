"""Disk: what Companion stores on an engine, for whom, and what of it nothing uses any more.

Images and volumes say by labels and names whose they are. On an engine that several users share,
only those of this user's projects count as unused.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Literal

from companion.engine import detection, storage
from companion.engine.client import Engine
from companion.engine.inventory import GATEWAY_IMAGE
from companion.engine.layers import LayerSizes, StoredImage
from companion.engine.model import EngineChoice
from companion.engine.storage import StoredVolume
from companion.errors import CompanionError
from companion.project import kept_volumes, store
from companion.reconcile import gateway_services, host_facts, user_settings
from companion.system import locks
from companion.system.paths import Paths
from companion.traffic.words import size

Owner = tuple[str, str]
"""The ID of a project, and an agent's name; "" for the images that its agents on a cluster share.
"""


@dataclass(frozen=True, slots=True)
class Known:
    """The agents of this user."""

    places: Mapping[str, str]
    """Project → its directory, of removed projects too."""
    here: frozenset[Owner]
    """Agents that can be started again."""
    gone: frozenset[Owner]
    """Agents that were removed, or are configured no more; their volumes were kept."""

    def name(self, owner: Owner) -> str:
        """Return an agent for people."""
        project, agent = owner
        return f"{agent or 'the agents'} in {self.places.get(project, project)}"

    def can_start(self, owner: Owner) -> bool:
        """Tell whether an agent, or any that shares the image, can be started again."""
        project, agent = owner
        return owner in self.here or (not agent and any(p == project for p, _ in self.here))


@dataclass(frozen=True, slots=True)
class Alone:
    """What on an engine no other user can need; stopped sandboxes of others have no containers."""

    engine: bool
    """All of it: the engine runs as this user."""
    gateway: bool
    """Gateway images and steps of builds: no other user has sandboxes here."""


@dataclass(frozen=True, slots=True)
class Unused:
    """Something that can be removed."""

    kind: Literal["image", "volume"]
    id: str
    """By which the engine removes it."""
    name: str
    why: str
    size: int | None
    """Bytes, of an image with the layers that others share; None: the engine does not tell."""


@dataclass(frozen=True, slots=True)
class SandboxUse:
    """The disk space of one agent; None: the engine does not tell."""

    name: str
    images: int
    """Bytes in layers of its own: they would go with its images."""
    volumes: int | None


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What one engine stores of ours, in bytes."""

    images: int
    """In all images that Companion built there, for any user; layers that they share once."""
    volumes: int | None
    """In volumes of this user's agents."""
    sandboxes: tuple[SandboxUse, ...]
    unused: tuple[Unused, ...]
    frees: int
    """In unused images: as much as their removal frees at most, as their bases may remain."""
    foreign: int
    """How many images belong to projects that this user does not have; they stay."""
    foreign_volumes: int
    """The same of volumes that carry our labels."""


def engines(home: Paths) -> Iterator[EngineChoice | CompanionError]:
    """Yield each engine that is installed or holds sandboxes, or why it cannot be asked."""
    records = (r for w in store.all_projects(home).values() for r in w.agents.values())
    recorded = [choice for record in records for choice in record.engines]
    recorded += [choice for _, kept in kept_volumes.all_of_user(home) for choice in kept.engines]
    found: list[EngineChoice] = []
    engines = (choice for choice in recorded if isinstance(choice, EngineChoice))
    for choice in (*detection.installed(), *engines):
        if any(choice.is_same(other) for other in found):
            continue
        found.append(choice)
        try:
            Engine(choice).require_answer()
        except CompanionError as error:
            yield error
        else:
            yield choice


def of_user(home: Paths) -> Known:
    """Return the agents of this user, removed ones included."""
    places: dict[str, str] = {}
    here: set[Owner] = set()
    gone: set[Owner] = set()
    for project, kept in kept_volumes.all_of_user(home):
        places[project] = kept.directory
        gone |= {(project, agent) for agent in kept.agents}
    for project, written in store.all_projects(home).items():
        places[project] = written.directory
        for agent in written.names:
            record = written.agents.get(agent)
            retired = record is not None and record.wanted == "gone"
            (gone if retired else here).add((project, agent))
    return Known(places, frozenset(here), frozenset(gone - here))


def on(home: Paths, choice: EngineChoice) -> DiskUse:
    """Return what an engine stores.

    Raises:
        CompanionError: the engine does not answer.
    """
    engine, known = Engine(choice), of_user(home)
    host, own = host_facts.host(home, user_settings.read(home)), host_facts.assets()
    current = gateway_services.image_of_gateways(host, own.gateway).tag
    images = storage.images(engine)
    sizes = storage.layer_sizes(engine, images)
    used = {current, *storage.images_in_use(engine)}
    foreign = [i for i in images if i.project and i.project not in known.places]
    alone = Alone(engine=choice.rootless, gateway=choice.rootless or not foreign)
    why = partial(_why, known=known, keep=_newest(images), alone=alone)
    unused = {i.id: reason for i in images if not _in_use(i, used) and (reason := why(i))}
    volumes = storage.volumes(engine)
    owned = dict(_owned(volumes, known))
    amounts = storage.volume_sizes(engine, owned)
    kept = [image for image in images if image.id not in unused]
    mine = {(i.project, i.agent) for i in images} | set(owned.values())
    return DiskUse(
        images=sizes.occupied(images),
        volumes=_sum(owned, amounts),
        sandboxes=tuple(
            _sandbox(owner, known, images, sizes, _sum(_of(owner, owned), amounts))
            for owner in sorted(mine & (known.here | known.gone))
        ),
        unused=(
            *(Unused("image", i.tag or i.id, i.tag or i.short, unused[i.id], i.size)
              for i in images if i.id in unused),
            *(Unused("volume", volume.name, volume.name, f"of {known.name(owner)}, which is gone",
                     amounts.get(volume.name))
              for volume, owner in owned.items() if owner in known.gone),
        ),
        frees=sizes.occupied(images) - sizes.occupied(kept),
        foreign=sum(image in kept for image in foreign),
        foreign_volumes=sum(bool(v.project) and v.project not in known.places for v in volumes),
    )  # fmt: skip


def _why(image: StoredImage, *, known: Known, keep: Collection[str], alone: Alone) -> str:
    """Return why no sandbox needs an image that no container uses; "" if one may.

    Args:
        image: what to judge; what it contains can be built again.
        known: this user's agents.
        keep: IDs of each agent's newest image, which its next start uses.
        alone: what no other user can need.
    """
    if not image.tag:  # of an unknown project, it may be the last step of a build of others
        own = alone.gateway or image.project in known.places
        return "left by a build that failed" if own else ""
    if image.tag.startswith(GATEWAY_IMAGE):
        return "an older gateway" if alone.gateway else ""
    owner = image.project, image.agent
    name = "-".join(filter(None, owner))
    if not image.tag.startswith(f"localhost/companion/{name}:"):
        return ""  # somebody's own image, which has our labels from its base
    if known.can_start(owner):
        what = "an older version of" if image.agent else "not the newest image of"
        return "" if image.id in keep else f"{what} {known.name(owner)}"
    if image.project in known.places:
        return f"of {known.name(owner)}, which is gone"
    return "of a project that is gone" if alone.engine else ""


def _newest(images: Iterable[StoredImage]) -> frozenset[str]:
    newest: dict[Owner, StoredImage] = {}
    for image in sorted(images, key=lambda one: one.created):
        newest[image.project, image.agent] = image
    return frozenset(image.id for image in newest.values())


def _in_use(image: StoredImage, used: Collection[str]) -> bool:
    return image.tag in used or image.id in used or image.id.removeprefix("sha256:") in used


def _owned(volumes: Iterable[StoredVolume], known: Known) -> Iterator[tuple[StoredVolume, Owner]]:
    """Yield this user's volumes; names tell whose those are that have no labels."""
    for volume in volumes:
        parts = volume.name.split("_", 2)
        labeled = volume.project, volume.agent
        owner = labeled if all(labeled) else (parts[0], parts[1]) if parts[2:] else ("", "")
        if owner in known.here or owner in known.gone:
            yield volume, owner


def _of(owner: Owner, owned: Mapping[StoredVolume, Owner]) -> Collection[StoredVolume]:
    return [volume for volume, its in owned.items() if its == owner]


def _sum(volumes: Iterable[StoredVolume], amounts: Mapping[str, int]) -> int | None:
    found = [amounts.get(volume.name) for volume in volumes]
    told = [amount for amount in found if amount is not None]
    return sum(told) if len(told) == len(found) else None


def _sandbox(
    owner: Owner,
    known: Known,
    images: Iterable[StoredImage],
    sizes: LayerSizes,
    volumes: int | None,
) -> SandboxUse:
    everything = tuple(images)
    others = [image for image in everything if (image.project, image.agent) != owner]
    alone = sizes.occupied(everything) - sizes.occupied(others)
    return SandboxUse(known.name(owner), max(0, alone), volumes)


def remove(
    home: Paths, choice: EngineChoice, found: Iterable[Unused], report: Callable[[str], None]
) -> Iterator[Unused]:
    """Remove what is unused; yield what is gone. Engines refuse what a container uses by now.

    An image stays while one is built: that may begin with its layers, or be it, without a name yet.
    """
    engine = Engine(choice)
    for one in found:
        with ExitStack() as stack:
            if one.kind == "image" and not _nothing_is_built(home, choice, stack):
                report(f"keeping image {one.name}: an image is being built")
                continue
            report(f"removing {one.kind} {one.name}")
            if storage.discard(engine, one.kind, one.id):
                yield one


def _nothing_is_built(home: Paths, choice: EngineChoice, stack: ExitStack) -> bool:
    """Hold back the builds of an engine, but for the first one of its kind; False if one runs."""
    turns = home.builds.glob(f"{choice.name}-*.lock")
    return all(stack.enter_context(locks.attempt(turn)) for turn in turns)


def volumes_text(amount: int | None) -> str:
    """Return how a sentence about images goes on, for the bytes in volumes."""
    if amount == 0:
        return ""
    return ", and volumes" if amount is None else f", and {size(amount)} of volumes"
