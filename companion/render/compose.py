"""The sandbox as a compose file, rendered from the same values that the engine gets."""

from collections.abc import Iterable, Mapping
from typing import Any

from companion.config import strict_yaml
from companion.spec.containers import (
    Bind,
    Directory,
    Files,
    Image,
    Network,
    Service,
    Target,
    Volume,
)
from companion.spec.identity import PROXIES, Role

Compose = dict[str, Any]
_HEADER = "# Written by companion from agent.yaml; changes here are lost.\n"


def render(
    project: str,
    target: Target,
    contexts: Mapping[Role, str],
    files: str,
) -> str:
    """Return docker-compose.yml.

    Args:
        project: the project's id, the prefix of all names.
        target: the sandbox.
        contexts: role → directory of the image's build context.
        files: the directory on the host that holds the agent's `Files`.
    """
    by_tag = {image.tag: image for image in target.images}
    document: Compose = {
        "name": project,
        "services": {
            s.name: _service(project, s, by_tag[s.image], contexts, files) for s in target.services
        },
        "networks": {n.name: _network(n) for n in target.networks} | _joined(target.services),
        "volumes": {volume: {} for volume in _volumes(target.services)},
    }
    return _HEADER + strict_yaml.dump(document)


def _service(
    project: str, service: Service, image: Image, contexts: Mapping[Role, str], files: str
) -> Compose:
    """Return one service without its empty values."""
    profiles = Files(Directory.SECCOMP).on_host(files)
    service_map: Compose = {
        "container_name": f"{project}-{service.name}",
        "image": service.image,
        "build": _build(image, contexts),
        "command": [_escape(word) for word in service.command],
        "user": service.user,
        # docker refuses a hostname for a container in another's namespace, whose name it shares.
        "hostname": "" if service.network_of else service.hostname,
        "init": True,
        "restart": service.restart,
        "network_mode": f"service:{service.network_of}" if service.network_of else "",
        "networks": {a.network: {"ipv4_address": a.address} for a in service.attachments}
        | {name: {} for name in service.joins},
        "ports": [str(p) for p in service.publish],
        "extra_hosts": [f"{name}:{address}" for name, address in service.hosts],
        "environment": _environment(service),
        "volumes": [_bind(b, files) for b in service.binds],
        "tmpfs": list(service.tmpfs),
        "working_dir": service.workdir,
        "read_only": not service.writable,
        "cap_drop": ["ALL"],
        "cap_add": list(service.capabilities),
        "security_opt": [_escape(option) for option in service.security_options(profiles)],
        "sysctls": dict(service.sysctls),
        "mem_limit": service.memory,
        "pids_limit": service.pids,
        "cpus": service.cpus,
        "cpu_shares": service.cpu_shares,
        "logging": {"options": {"max-size": "10m"}},
        "depends_on": _dependencies(service),
    }
    return {key: value for key, value in service_map.items() if value}


def _environment(service: Service) -> dict[str, str]:
    """Return a service's variables, and an empty one for each proxy that Compose would add."""
    own = {name: _escape(value) for name, value in service.environment}
    return {**{name: "" for name in PROXIES if name not in own}, **own}


def _build(image: Image, contexts: Mapping[Role, str]) -> Compose:
    build: Compose = {"context": contexts[image.role]}
    return build | ({"args": dict(image.arguments)} if image.arguments else {})


def _volumes(services: Iterable[Service]) -> list[str]:
    sources = (bind.source for service in services for bind in service.binds)
    return sorted({source.name for source in sources if isinstance(source, Volume)})


def _bind(bind: Bind, files: str) -> Compose:
    if isinstance(bind.source, Volume):
        kind, source = "volume", bind.source.name
    else:
        kind, source = "bind", bind.source.on_host(files)
    return {
        "type": kind,
        "source": _escape(source),
        "target": bind.target,
        "read_only": bind.read_only,
    }


def _dependencies(service: Service) -> list[str]:
    """Return what must run before a service that lives in another one's namespace: the agent."""
    if not service.network_of:
        return []
    others = (role.service_of(service.name) for role in (Role.GATEWAY, Role.INGRESS))
    return [service.network_of, *others]


def _network(network: Network) -> Compose:
    config = {"subnet": network.subnet, "gateway": network.address(1)}
    return {"internal": network.internal, "ipam": {"config": [config]}}


def _joined(services: Iterable[Service]) -> Compose:
    names = sorted({name for service in services for name in service.joins})
    return {name: {"name": name, "external": True} for name in names}


def _escape(text: str) -> str:
    """Escape `$`, which compose would expand as a variable."""
    return text.replace("$", "$$")
