"""Objects: everything of one sandbox on Kubernetes, for kubectl or for tools that apply Git."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from companion.errors import CompanionError
from companion.kubernetes import network, pods
from companion.kubernetes.cluster import Cluster
from companion.kubernetes.names import Manifest, Names
from companion.spec.containers import Bind, Directory, File, Target, Volume
from companion.spec.identity import Role

LARGEST = 1_000_000
"""Bytes of a ConfigMap or Secret; etcd takes a little more, keys and metadata included."""
_SECRET = "Secret"  # noqa: S105 - a kind
_OWNERS = {Directory.GATEWAY: Role.GATEWAY, Directory.REACH: Role.AGENT}
_SECRET_OWNERS = {one: role for role, held in pods.SECRETS.items() for one in held}


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one agent; only `secrets` hold secrets."""

    public: tuple[Manifest, ...]
    secrets: tuple[Manifest, ...] = field(repr=False)


def render(
    target: Target, names: Names, contents: Mapping[Directory, tuple[File, ...]], cluster: Cluster
) -> Objects:
    """Return a sandbox's objects, the same for the same arguments.

    Args:
        target: its containers and images, as desired for a cluster.
        names: the names of its objects.
        contents: the files of our directories.
        cluster: where it is to be.
    """
    files = tuple(of_files(contents, names, cluster))
    return Objects(
        public=(
            *network.render(target, names, cluster),
            *(one for one in files if one["kind"] != _SECRET),
            *workload(Role.GATEWAY, target, names, cluster),
            *workload(Role.AGENT, target, names, cluster),
        ),
        secrets=tuple(one for one in files if one["kind"] == _SECRET),
    )


def workload(role: Role, target: Target, names: Names, cluster: Cluster) -> Iterator[Manifest]:
    """Yield what makes the Pod of a role, after the claims of its volumes."""
    if role is Role.GATEWAY:
        yield pods.gateway(target, names, cluster)
    else:
        yield from _claims(target, names, cluster)
        yield pods.agent(target, names, cluster)


def of_files(
    contents: Mapping[Directory, tuple[File, ...]], names: Names, cluster: Cluster
) -> Iterator[Manifest]:
    """Yield the ConfigMaps and Secrets of those of our directories that Pods mount.

    Raises:
        CompanionError: a cluster does not store as much.
    """
    for directory, files in sorted(stored(contents, cluster).items()):
        if directory in pods.CONFIG_MAPS:
            made = _config_map(directory, files, names)
        else:
            made = _secret(directory, _SECRET_OWNERS[directory], files, names)
        _require_size(made)
        yield made


def stored(
    contents: Mapping[Directory, tuple[File, ...]], cluster: Cluster
) -> dict[Directory, tuple[File, ...]]:
    """Return the files that Pods mount, as they are stored; only rules hold addresses."""
    return {
        one: tuple(map(cluster.filled, files)) if one in pods.CONFIG_MAPS else files
        for one, files in contents.items()
        if one in pods.CONFIG_MAPS or one in _SECRET_OWNERS
    }


def _require_size(manifest: Manifest) -> None:
    size = sum(map(len, manifest["data"].values()))
    if size > LARGEST:
        what = f"{manifest['metadata']['name']} is too large for Kubernetes: {size} bytes"
        hint = "bring fewer of your own settings" if manifest["kind"] == _SECRET else ""
        raise CompanionError(what, hint)


def _config_map(directory: Directory, files: tuple[File, ...], names: Names) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names.metadata(names.of(directory), _OWNERS[directory]),
        "data": {file.path: file.content.decode() for file in files},
    }


def _secret(directory: Directory, role: Role, files: tuple[File, ...], names: Names) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": _SECRET,
        "metadata": names.metadata(names.of(directory), role),
        "type": "Opaque",
        "data": {f.path: base64.b64encode(f.content).decode() for f in files},
    }


def _claims(target: Target, names: Names, cluster: Cluster) -> Iterator[Manifest]:
    binds: tuple[Bind, ...] = target.service(Role.AGENT).binds
    for volume in {b.source.name: b.source for b in binds if isinstance(b.source, Volume)}.values():
        request = {"requests": {"storage": cluster.storage}}
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": names.metadata(names.claim(volume), Role.AGENT),
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": request},
        }
