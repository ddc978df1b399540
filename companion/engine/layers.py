"""Layers: the disk space of images that share layers, from what an engine says of each image."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Prefix = tuple[str, ...]
"""The first layers of an image: equal ones are stored once."""
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"([0-9.]+) ?([kMGT]?B)?(?= |\Z)")
_EMPTY = re.compile(
    r"/bin/sh -c #\(nop\)|(ARG|CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|"
    r"SHELL|STOPSIGNAL|USER|VOLUME)\b"
)
"""Steps that make no layer, if it would have no content."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image of ours as the engine holds it."""

    id: str
    tag: str
    """Empty for what a failed build left behind."""
    project: str
    """Empty for what belongs to no single project, such as the gateway's image."""
    agent: str
    layers: Prefix
    size: int
    """Bytes of all its layers."""
    created: str
    """A sortable text."""

    @property
    def short(self) -> str:
        """The beginning of its ID, as engines show it."""
        return self.id.removeprefix("sha256:")[:12]


@dataclass(slots=True)
class LayerSizes:
    """What is known of the sizes of layers that several images share."""

    known: dict[Prefix, int] = field(default_factory=dict)

    def unknown(self, images: Iterable[StoredImage]) -> Iterator[StoredImage]:
        """Yield images whose history tells the size of layers that they share with others."""
        for before, image in pairwise(_ordered(images)):
            if (shared := _shared(before.layers, image.layers)) and shared not in self.known:
                yield image

    def learn(self, image: StoredImage, history: str) -> None:
        """Add what the history of an image tells: a line for each step, the newest first."""
        unknown = (0,) * len(image.layers)  # so they count twice: better too much than too little
        sizes, total = list(sizes_of(history, len(image.layers)) or unknown), 0
        if any(sizes):  # engines round what they print, and most where a layer is large
            sizes[sizes.index(max(sizes))] += image.size - sum(sizes)
        for count, size in enumerate(sizes, 1):
            total += size
            self.known.setdefault(image.layers[:count], total)

    def occupied(self, images: Iterable[StoredImage]) -> int:
        """Return the bytes of all layers of images, each counted once."""
        ordered = _ordered(images)
        shared = (_shared(a.layers, b.layers) for a, b in pairwise(ordered))
        twice = sum(self.known.get(prefix, 0) for prefix in shared)
        return max(0, sum(image.size for image in ordered) - twice)


def sizes_of(history: str, layers: int) -> Sequence[int]:
    """Return the size of each layer, the first one first; nothing if that cannot be told.

    Args:
        history: lines of size and step, the newest first. A step may have made no layer.
        layers: how many layers the image has.
    """
    steps = [(parsed(line), _SIZE.sub("", line, count=1).strip())
             for line in reversed(history.splitlines()) if line.strip()]  # fmt: skip
    made = [size for size, _ in steps if size]
    if len(made) == layers:
        return made
    made = [size for size, step in steps if size or not _EMPTY.match(step)]
    return made if len(made) == layers else ()


def parsed(text: str) -> int:
    """Return the bytes of a size such as `7.17 kB` or `1.2GB`, with which a text begins."""
    match = _SIZE.match(text.strip())
    return int(float(match[1]) * _UNITS[match[2] or "B"]) if match else 0


def _ordered(images: Iterable[StoredImage]) -> list[StoredImage]:
    """Return each image once, those that share most beside each other."""
    return sorted({image.id: image for image in images}.values(), key=lambda image: image.layers)


def _shared(one: Prefix, other: Prefix) -> Prefix:
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return one[:count]
