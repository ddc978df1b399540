"""Objects: everything of one sandbox on Kubernetes, for kubectl or for tools that apply Git."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from companion.kubernetes import network, pods
from companion.kubernetes.cluster import Cluster
from companion.kubernetes.names import Manifest, Names
from companion.render import dns
from companion.sandbox.model import Sandbox
from companion.spec.containers import Bind, Directory, File, Target, Volume, digest_files
from companion.spec.identity import Role

LARGEST = 1_000_000
"""Bytes of a ConfigMap or Secret; etcd takes a little more, keys and metadata included."""
_OWNERS = {Directory.GATEWAY: Role.GATEWAY, Directory.REACH: Role.AGENT}


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one agent; only `secrets` hold secrets."""

    public: tuple[Manifest, ...]
    secrets: tuple[Manifest, ...] = field(repr=False)


def render(
    target: Target,
    sandbox: Sandbox,
    contents: Mapping[Directory, tuple[File, ...]],
    cluster: Cluster,
) -> Objects:
    """Return a sandbox's objects, the same for the same arguments.

    Args:
        target: its containers and images.
        sandbox: the sandbox, without what limitations() names.
        contents: the files of our directories; those of the gateway have cluster.addressing.
        cluster: where it is to be.
    """
    names = Names(cluster.namespace, sandbox.project, sandbox.agent)
    rules = contents[Directory.GATEWAY]
    return Objects(
        public=(
            *network.render(sandbox, names, cluster),
            *(_config_map(d, _OWNERS[d], contents[d], names) for d in pods.CONFIG_MAPS),
            *_claims(target, names, cluster),
            pods.gateway(target, sandbox, names, cluster, digest_files(dns.read_at_start(rules))),
            pods.agent(target, sandbox, names, cluster),
        ),
        secrets=tuple(_secrets(contents, names)),
    )


def _config_map(
    directory: Directory, role: Role, files: tuple[File, ...], names: Names
) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names.metadata(names.of(directory), role),
        "data": {file.path: file.content.decode() for file in files},
    }


def _secrets(contents: Mapping[Directory, tuple[File, ...]], names: Names) -> Iterator[Manifest]:
    for role, directories in pods.SECRETS.items():
        for directory in directories:
            if directory in contents:
                files = contents[directory]
                yield {
                    "apiVersion": "v1",
                    "kind": "Secret",
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
