"""Storage: the images and volumes of ours on an engine, and the disk space that they take."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from companion.engine.client import Engine
from companion.engine.dialect import LABEL
from companion.engine.layers import LayerSizes, StoredImage, parsed
from companion.errors import EngineError
from companion.system import process

_SECONDS = 120.0
_BLOCK = 1024
"""Bytes of the blocks in which `du -k` counts."""
_STEPS = "{{.Size}} {{.CreatedBy}}"


@dataclass(frozen=True, slots=True)
class StoredVolume:
    """One volume on the engine; older ones of ours have no labels."""

    name: str
    project: str = ""
    agent: str = ""
    mountpoint: str = ""
    """The directory that holds it on the engine's machine."""


def images(engine: Engine) -> tuple[StoredImage, ...]:
    """Return the images that Companion built, for any project of any user.

    Raises:
        EngineError: the engine does not answer.
    """
    return engine.retried(lambda: _images(engine))


def _images(engine: Engine) -> tuple[StoredImage, ...]:
    ours = ("--filter", f"label={LABEL}.image=1")
    ids = sorted({*engine.call("images", "--quiet", "--no-trunc", *ours).split()})
    found = json.loads(engine.call("image", "inspect", *ids)) if ids else ()
    return tuple(map(_image, found))


def _image(data: Mapping[str, Any]) -> StoredImage:
    labels: Mapping[str, str] = (data.get("Config") or {}).get("Labels") or {}
    return StoredImage(
        id=data["Id"],
        tag=next(iter(data.get("RepoTags") or ()), ""),
        project=labels.get(f"{LABEL}.project", ""),
        agent=labels.get(f"{LABEL}.agent", ""),
        layers=tuple((data.get("RootFS") or {}).get("Layers") or ()),
        size=int(data.get("Size") or 0),
        created=str(data.get("Created", "")),
    )


def layer_sizes(engine: Engine, found: Iterable[StoredImage]) -> LayerSizes:
    """Return the sizes of the layers that images share."""
    held = tuple(found)
    sizes = LayerSizes({image.layers: image.size for image in held})
    while image := next(sizes.unknown(held), None):
        asked = ("history", "--no-trunc", "--format", _STEPS, image.id)
        try:
            history = engine.call(*asked)
        except EngineError:  # it was removed since
            history = ""
        sizes.learn(image, history)
    return sizes


def images_in_use(engine: Engine) -> frozenset[str]:
    """Return the images of all containers, also of others and stopped ones: tags or IDs."""
    return frozenset(engine.call("ps", "--all", "--no-trunc", "--format", "{{.Image}}").split())


def volumes(engine: Engine) -> tuple[StoredVolume, ...]:
    """Return all volumes of the engine, also those of others.

    Raises:
        EngineError: the engine does not answer.
    """
    return engine.retried(lambda: _volumes(engine))


def _volumes(engine: Engine) -> tuple[StoredVolume, ...]:
    names = engine.call("volume", "ls", "--quiet").split()
    found = json.loads(engine.call("volume", "inspect", *names)) if names else ()
    return tuple(map(_volume, found))


def _volume(data: Mapping[str, Any]) -> StoredVolume:
    labels: Mapping[str, str] = data.get("Labels") or {}
    owner = (labels.get(f"{LABEL}.project", ""), labels.get(f"{LABEL}.agent", ""))
    return StoredVolume(data["Name"], *owner, str(data.get("Mountpoint", "")))


def volume_sizes(engine: Engine, found: Iterable[StoredVolume]) -> Mapping[str, int]:
    """Return the bytes in volumes by name, without those of which nothing can be told.

    Docker counts by itself. Podman on this machine has them in directories, which its user can
    read in the user namespace of its containers.
    """
    names = {volume.name: volume for volume in found}
    if not names:
        return {}
    if engine.dialect.volume_sizes:
        argv = engine.argv(*engine.dialect.volume_sizes)
        done = process.run(argv, env=engine.environment, timeout=_SECONDS)
        pairs = (line.split(maxsplit=1) for line in done.stdout.splitlines() if " " in line)
        return {name: parsed(size) for name, size in pairs if name in names}
    places = {one.mountpoint: one.name for one in names.values() if one.mountpoint}
    if engine.choice.is_remote or not places:
        return {}
    inside = engine.argv("unshare") if engine.choice.rootless else ()
    counted = ("du", "-skx", "--")
    done = process.run((*inside, *counted, *places), env=engine.environment, timeout=_SECONDS)
    lines = (line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
    return {places[path]: int(size) * _BLOCK for size, path in lines if path in places}


def discard(engine: Engine, kind: Literal["image", "volume"], name: str) -> bool:
    """Remove an image or a volume, and tell whether it is gone; one in use is not."""
    argv = engine.argv(kind, "rm", name)
    return not process.run(argv, env=engine.environment, timeout=_SECONDS).code
