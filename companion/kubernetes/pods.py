"""Pods of a sandbox: the gateway's Deployment and the agent's StatefulSet.

They are made of the same services as the containers of an engine. No secret is part of a Pod's
specification: the gateway mounts them, and the agent has its own SSH keys and settings only.
"""

from collections.abc import Iterator
from typing import Any

from companion.config.ports import SSHD_PORT
from companion.kubernetes import system_calls
from companion.kubernetes.cluster import Cluster, Fence
from companion.kubernetes.names import Manifest, Names, annotation
from companion.spec.containers import Bind, Directory, Files, Service, Target, Volume
from companion.spec.identity import LIB, Role

CONFIG_MAPS = (Directory.GATEWAY, Directory.REACH)
"""Our directories without a secret."""
SECRETS = {
    Role.GATEWAY: (Directory.SECRETS, Directory.CERTIFICATES),
    Role.AGENT: (Directory.SSHD, Directory.SIGNING, Directory.BROUGHT),
}
"""Our directories with secrets, and the only Pod that mounts each."""
_READABLE = 0o440
"""Mode of secret files: they are root's, and of the group of the Pod's user."""
_ROOT = "0"
_UNITS = {"k": "Ki", "m": "Mi", "g": "Gi"}
_LOW_PORTS = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
# Limits count as requests where none are given: agents mostly wait, and would fill a node.
_REQUESTS = {
    Role.GATEWAY: {"memory": "64Mi", "cpu": "10m"},
    Role.AGENT: {"memory": "128Mi", "cpu": "50m"},
}
# The end of what a container printed before it failed; the agent's own output stays in its log.
_TELLS_WHY = {"terminationMessagePolicy": "FallbackToLogsOnError"}
_SMALL = {"requests": {"memory": "16Mi", "cpu": "10m"}, "limits": {"memory": "64Mi"}}
_NODE = {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}
_SECONDS_TO_END = 1
_HTTP = 80
SPEC, PLACE, SERVICE = map(annotation, ("spec", "place", "service"))
"""Annotations of Pods: the digest of what they were made from, the same of their place, and the
name of the service."""
# An agent's hooks may install programs before its sshd listens.
_SECONDS_TO_START = {Role.GATEWAY: 120, Role.AGENT: 3600}
_SEED = """\
shopt -s dotglob nullglob
for path; do
  [ -w "/seed$path" ] || {
    echo "user $(id -u) cannot write to the volume at $path: its storage ignores fsGroup"
    exit 1
  }
  if [ -d "$path" ] && [ -z "$(ls -A "/seed$path" | grep -vx lost+found)" ]; then
    found=("$path"/*) # not the directory itself: the volume's may be root's
    [ ${#found[@]} = 0 ] || cp -r --preserve=mode,links,timestamps "${found[@]}" "/seed$path/"
  fi
done
"""
Spec = dict[str, Any]


def gateway(target: Target, names: Names, cluster: Cluster) -> Manifest:
    """Return the gateway's Deployment: never two Pods at once."""
    service = target.service(Role.GATEWAY)
    main = _container(service, cluster)
    # The name of the agent's headless Service tells the gateway who may connect.
    main["args"] = [*service.command, names.of(Role.AGENT)]
    main["startupProbe"] = _listens(_HTTP, Role.GATEWAY)
    main |= _TELLS_WHY
    spec = {**_pod(service, target, names, cluster), "containers": [main]}
    return names.manifest(
        "apps/v1", "Deployment", Role.GATEWAY,
        {"replicas": 1, "strategy": {"type": "Recreate"},
         "selector": {"matchLabels": names.labels(Role.GATEWAY)},
         "template": _template(names, service, cluster, spec)},
    )  # fmt: skip


def agent(target: Target, names: Names, cluster: Cluster) -> Manifest:
    """Return the agent's StatefulSet: never two Pods at once, and a name that stays."""
    service = target.service(Role.AGENT)
    main = _container(service, cluster)
    # The init containers have closed the network: there is no gate to wait for.
    main["args"] = ["--no-gate", *service.command]
    if target.login:
        main["startupProbe"] = _listens(SSHD_PORT, Role.AGENT)
    resolver = {"nameservers": [cluster.gateway], "options": [{"name": "ndots", "value": "0"}]}
    spec = {
        **_pod(service, target, names, cluster),
        "dnsPolicy": "None",
        "dnsConfig": resolver,
        "initContainers": [*_init(target, cluster), *_seed(service, cluster)],
        "containers": [main],
    }
    manifest = names.manifest(
        "apps/v1", "StatefulSet", Role.AGENT,
        {"replicas": 1, "serviceName": names.of(Role.AGENT),
         "selector": {"matchLabels": names.labels(Role.AGENT)},
         "template": _template(names, service, cluster, spec)},
    )  # fmt: skip
    manifest["metadata"]["name"] = names.sandbox
    return manifest


def _listens(port: int, role: Role) -> Spec:
    """Return the probe that a container has started, from the kernel's table.

    A probe that connects would fail now and then: the gateway hangs up on everybody but its agent.
    """
    command = ["/bin/grep", "-qE", f":{port:04X} 0+:0000 0A ", "/proc/net/tcp"]
    seconds = _SECONDS_TO_START[role]
    return {"exec": {"command": command}, "periodSeconds": 1, "failureThreshold": seconds}


def _template(names: Names, service: Service, cluster: Cluster, spec: Spec) -> Spec:
    """Return the template of a Pod, which is replaced if its definition or its place is another."""
    annotations = {SPEC: service.spec, PLACE: cluster.seal, SERVICE: service.name}
    labels = names.labels(service.role)
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}


def _pod(service: Service, target: Target, names: Names, cluster: Cluster) -> Spec:
    user = _user(service)
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _SECONDS_TO_END,
        "securityContext": {
            "runAsNonRoot": user != 0,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": _user(target.service(Role.GATEWAY)),
            "seccompProfile": _seccomp(service, cluster),
            "sysctls": [_LOW_PORTS],
        },
        "volumes": list(_volumes(service, names)),
    }


def _seccomp(service: Service, cluster: Cluster) -> Spec:
    if cluster.node_seccomp:
        return {"type": "Localhost", "localhostProfile": system_calls.location(service.seccomp)}
    return {"type": "RuntimeDefault"}


def _container(service: Service, cluster: Cluster) -> Spec:
    limits = {"memory": quantity(service.memory)}
    if service.cpus:
        limits["cpu"] = service.cpus
    container: Spec = {
        "name": str(service.role),
        "image": cluster.reference(service.image),
        "env": [{"name": name, "value": value} for name, value in service.environment],
        "securityContext": _security(service.capabilities, writable=service.writable),
        "resources": {"requests": _REQUESTS[service.role], "limits": limits},
        "volumeMounts": list(_mounts(service)),
    }
    return container | ({"workingDir": service.workdir} if service.workdir else {})


def _init(target: Target, cluster: Cluster) -> Iterator[Spec]:
    """Yield what closes the Pod's network, and what then tries to get out of it."""
    gateway = target.service(Role.GATEWAY)
    image = cluster.reference(gateway.image)
    if cluster.fence is Fence.POD:
        ports = map(str, target.ports)
        yield {
            "name": "net",
            "image": image,
            "args": [f"{LIB}/pod-net.sh", cluster.gateway, *ports],
            "securityContext": _security(("NET_ADMIN",))
            | {"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False},
            "resources": _SMALL,
            **_TELLS_WHY,
            "volumeMounts": [{"name": "scratch-run", "mountPath": "/run"}],
        }
    yield {
        "name": "closed",
        "image": image,
        "args": [f"{LIB}/pod-closed.sh", cluster.gateway, cluster.answer, str(cluster.fence)],
        "env": [_NODE],
        # Not as root, even where the agent's own container begins as root.
        "securityContext": _security(()) | {"runAsUser": _user(gateway), "runAsNonRoot": True},
        "resources": _SMALL,
        **_TELLS_WHY,
    }


def _seed(service: Service, cluster: Cluster) -> Iterator[Spec]:
    """Yield what fills new volumes with the directories of the image, as engines do."""
    kept = [bind for bind in service.binds if isinstance(bind.source, Volume)]
    if kept:
        mounts = {bind.target: f"/seed{bind.target}" for bind in kept}
        yield {
            "name": "seed",
            "image": cluster.reference(service.image),
            "command": ["/bin/bash", "-c", _SEED, "seed", *mounts],
            "securityContext": _security(()),
            "resources": _SMALL,
            **_TELLS_WHY,
            "volumeMounts": [
                {"name": _volume_name(bind, service), "mountPath": mounts[bind.target]}
                for bind in kept
            ],
        }


def _user(service: Service) -> int:
    return int(service.user.partition(":")[0])


def _security(capabilities: tuple[str, ...], *, writable: bool = False) -> Spec:
    added = {"add": list(capabilities)} if capabilities else {}
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": not writable,
        "capabilities": {"drop": ["ALL"], **added},
    }


def _mounts(service: Service) -> Iterator[Spec]:
    for bind in _kept(service):
        held = {"readOnly": True} if bind.read_only else {}
        yield {"name": _volume_name(bind, service), "mountPath": bind.target, **held}
    for path in _scratch(service):
        yield {"name": _scratch_name(path), "mountPath": path}


def _volumes(service: Service, names: Names) -> Iterator[Spec]:
    for bind in _kept(service):
        yield {"name": _volume_name(bind, service), **_source(bind, service.role, names)}
    for path in _scratch(service):
        yield {"name": _scratch_name(path), "emptyDir": {"medium": "Memory"}}


def _kept(service: Service) -> tuple[Bind, ...]:
    """Return the mounts that a Pod has, too; names of hosts are the cluster's own."""
    return tuple(bind for bind in service.binds if _directory(bind) is not Directory.RESOLVER)


def _directory(bind: Bind) -> Directory | None:
    """Return which of our directories a mount shows, if it shows one."""
    return bind.source.directory if isinstance(bind.source, Files) else None


def _source(bind: Bind, role: Role, names: Names) -> Spec:
    match bind.source:
        case Volume():
            return {"persistentVolumeClaim": {"claimName": names.claim(bind.source)}}
        case Files(directory) if directory in CONFIG_MAPS:
            return {"configMap": {"name": names.of(directory)}}
        case Files(directory) if directory in SECRETS[role]:
            return {"secret": {"secretName": names.of(directory), "defaultMode": _READABLE}}
        case Files(Directory.CONTROL):
            return {"emptyDir": {"medium": "Memory"}}
        case _:
            raise AssertionError(f"{bind} has no place in a Pod of the {role}")


def _volume_name(bind: Bind, service: Service) -> str:
    directory = _directory(bind)
    return f"files-{directory}" if directory else f"volume-{service.binds.index(bind)}"


def _scratch(service: Service) -> Iterator[str]:
    return (options.partition(":")[0] for options in service.tmpfs)


def _scratch_name(path: str) -> str:
    return "scratch" + path.replace("/", "-")


def quantity(memory: str) -> str:
    """Return a size of agent.yaml, such as 8g, as Kubernetes writes it."""
    return memory[:-1] + _UNITS[memory[-1]]
