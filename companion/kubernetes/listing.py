"""Listing: asks a cluster for what is read of many Pods, and for no more.

A Pod of ours has 30 kB as JSON, and a namespace may have thousands. So kubectl prints a line for
each object, and only that stays in the memory of a watcher. The names of images and of what is
mounted are the only columns that may hold anything: in somebody else's Pod, tabs and line breaks.
So they come last, and what does not begin an object's line is the rest of such a name.
"""

import json
from collections.abc import Iterator
from typing import Any

from companion.errors import EngineError

Object = dict[str, Any]
_WORDS = (".kind", ".metadata.uid", ".metadata.name", ".metadata.deletionTimestamp",
          ".spec.clusterIP", ".status.phase")  # fmt: skip
_VALUES = (".metadata.labels", ".metadata.annotations", ".status.containerStatuses")
_IMAGES = '{range .spec.containers[*]}{.name}{"="}{.image}{" "}{end}'
_MOUNTED = "{.spec.volumes[*].secret.secretName} {.spec.volumes[*].configMap.name}"
_FIXED = tuple(f"{{{path}}}" for path in (*_WORDS, *_VALUES))
_FREE = (_IMAGES, _MOUNTED)
_EACH, _THEN, _END = "--output=jsonpath={range .items[*]}", '{"\\t"}', '{"\\n"}{end}'
SHAPE = f"{_EACH}{_THEN.join((*_FIXED, '', *_FREE))}{_END}"
"""The option by which `kubectl get` prints objects of a sandbox for objects()."""
OF_STARTING = f"{_EACH}{_THEN.join((*_FIXED, '{.status}', *_FREE))}{_END}"
"""The same with all that a cluster tells of Pods that start."""


def objects(text: str) -> Iterator[Object]:
    """Yield the objects of a list that was printed in a shape: parts of them, at their places.

    `spec.mounted` is ours: the names of all Secrets and ConfigMaps that a Pod mounts.

    Raises:
        EngineError: an object's own columns are not what kubectl prints.
    """
    for line in text.split("\n"):
        columns = line.split("\t", len(_FIXED) + 1)
        if len(columns) > len(_FIXED) + 1:
            try:
                yield _object(columns)
            except json.JSONDecodeError as error:
                what = f"kubectl printed the {columns[0]} {columns[2]} in no form that we know"
                raise EngineError(what, "look at it by `kubectl get`, or remove it") from error


def _object(columns: list[str]) -> Object:
    kind, uid, name, deleted, address, phase, *rest = columns
    labels, annotations, statuses, whole, names = rest
    images, _, mounted = names.partition("\t")
    status = json.loads(whole or "{}")
    status |= {"phase": phase, "containerStatuses": json.loads(statuses or "[]")}
    containers = (word.partition("=") for word in images.split())
    return {
        "kind": kind,
        "metadata": {
            "uid": uid,
            "name": name,
            "labels": json.loads(labels or "{}"),
            "annotations": json.loads(annotations or "{}"),
            **({"deletionTimestamp": deleted} if deleted else {}),
        },
        "spec": {
            "clusterIP": address,
            "containers": [{"name": name, "image": image} for name, _, image in containers],
            "mounted": mounted.split(),
        },
        "status": status,
    }
