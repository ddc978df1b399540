"""Listing: asks a cluster for what is read of many Pods, and for no more.

A Pod of ours has 30 kB as JSON, and a namespace may have thousands. So kubectl prints a line for
each object, and only that stays in the memory of a watcher.
"""

import json
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
_WORDS = (".kind", ".metadata.uid", ".metadata.name", ".metadata.deletionTimestamp",
          ".spec.clusterIP", ".status.phase")  # fmt: skip
_VALUES = (".metadata.labels", ".metadata.annotations", ".status.containerStatuses")
_IMAGES = '{range .spec.containers[*]}{.name}{"="}{.image}{" "}{end}'
_MOUNTED = "{.spec.volumes[*].secret.secretName} {.spec.volumes[*].configMap.name}"
_FIELDS = (*(f"{{{path}}}" for path in (*_WORDS, *_VALUES)), _IMAGES, _MOUNTED)
_EACH, _THEN, _END = "--output=jsonpath={range .items[*]}", '{"\\t"}', '{"\\n"}{end}'
SHAPE = f"{_EACH}{_THEN.join(_FIELDS)}{_END}"
"""The option by which `kubectl get` prints objects of a sandbox for objects()."""
OF_STARTING = f"{_EACH}{_THEN.join((*_FIELDS, '{.status}'))}{_END}"
"""The same with all that a cluster tells of Pods that start."""


def objects(text: str) -> Iterator[Object]:
    """Yield the objects of a list that was printed in a shape: parts of them, at their places.

    `spec.mounted` is ours: the names of all Secrets and ConfigMaps that a Pod mounts.
    """
    for line in filter(None, text.split("\n")):
        kind, uid, name, deleted, address, phase, *rest = line.split("\t")
        labels, annotations, statuses, images, mounted, *whole = rest
        status = json.loads(whole[0] or "{}") if whole else {}
        status |= {"phase": phase, "containerStatuses": json.loads(statuses or "[]")}
        containers = (word.partition("=") for word in images.split())
        yield {
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
