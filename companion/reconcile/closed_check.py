"""Closed check: verifies that a generated compose file is closed, independent of the renderer."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from companion.config import strict_yaml
from companion.spec.containers import Service
from companion.spec.identity import Role

_BECOME_THE_AGENT = {"SETGID", "SETPCAP", "SETUID"}
_HOLDER_CAPABILITIES = {"NET_ADMIN", *_BECOME_THE_AGENT}
_HOOK_CAPABILITIES = {"CHOWN", "DAC_OVERRIDE", "FOWNER", *_BECOME_THE_AGENT}
SECRETS = "/companion/secrets"
"""Where a gateway has its secrets."""
_SOCKETS = ("docker.sock", "podman.sock", "containerd.sock")


def violations(compose: str, services: tuple[Service, ...]) -> Iterator[str]:
    """Yield a sentence for each rule that the text of a docker-compose.yml violates.

    A port beyond this machine, or an agent that starts as root for its hooks, is allowed only if
    `services` contain it: then the user configured it.
    """
    document: Any = strict_yaml.parse(compose, "docker-compose.yml").data
    roles = {service.name: service.role for service in services}
    asked = {s.name: {str(p) for p in s.publish} for s in services}
    hooked = {service.name for service in services if service.writable}
    secrets = tuple(
        PurePosixPath(mount["source"])
        for name, service in document["services"].items()
        for mount in service.get("volumes", ())
        if roles.get(name) is Role.GATEWAY and mount["target"] == SECRETS
    )
    internal = {n for n, net in document["networks"].items() if net.get("internal") is True}
    for name, service in document["services"].items():
        role = roles.get(name)
        sentences = [*_common(service), *_rights(service, role, hooked=name in hooked)]
        yield from (f"{name}: {sentence}" for sentence in sentences)
        if set(service.get("ports", ())) - asked.get(name, set()):
            yield f"{name}: publishes a port beyond this machine"
        if role is Role.NET and set(service.get("networks", {})) - internal:
            yield f"{name}: the agent's namespace is on a network that is not internal"
        if role is Role.GATEWAY and not secrets:
            yield f"{name}: its secrets are not mounted at {SECRETS}"
        if role is Role.AGENT:
            yield from (f"{name}: {sentence}" for sentence in _agent(service, secrets))
            if Role.NET in roles.values() and not _lives_in_holder(service, roles):
                yield f"{name}: does not live in the net holder's namespace"
            if service.get("network_mode") == "host":
                yield f"{name}: shares the host's network"


def _common(service: Mapping[str, Any]) -> Iterator[str]:
    if tuple(service.get("cap_drop", ())) != ("ALL",):
        yield "does not drop all capabilities"
    if "no-new-privileges" not in service.get("security_opt", ()):
        yield "may gain privileges"
    options = service.get("security_opt", ())
    has_list = any(o.startswith("seccomp=") and o.endswith(".json") for o in options)
    if not has_list or any("unconfined" in option for option in options):
        yield "may make system calls that our list refuses"
    if (
        service.get("privileged")
        or service.get("pid")
        or service.get("ipc")
        or service.get("userns_mode")
    ):
        yield "shares the host's namespaces"
    for mount in service.get("volumes", ()):
        if str(mount["source"]).endswith(_SOCKETS):
            yield "reaches an engine's socket"


def _rights(service: Mapping[str, Any], role: Role | None, *, hooked: bool) -> Iterator[str]:
    """Yield violations by user, root file system and capabilities; `hooked`: has root hooks."""
    hooks = _HOOK_CAPABILITIES if hooked else set()
    held = _HOLDER_CAPABILITIES if role is Role.NET else hooks
    if set(service.get("cap_add", ())) - held:
        yield "has a capability that it does not need"
    if service.get("read_only") is not True and not hooked:
        yield "has a writable root"
    is_root = str(service.get("user", "0")).partition(":")[0] in {"0", "root", ""}
    if is_root and role is not Role.NET and not hooked:
        yield "runs as root"


def _lives_in_holder(service: Mapping[str, Any], roles: Mapping[str, Role | None]) -> bool:
    mode = str(service.get("network_mode", ""))
    holder = roles.get(mode.removeprefix("service:"))
    return "networks" not in service and mode.startswith("service:") and holder is Role.NET


def _agent(service: Mapping[str, Any], secrets: tuple[PurePosixPath, ...]) -> Iterator[str]:
    """Yield violations by what an agent sees; `secrets`: what its gateway mounts as these."""
    for value in (service.get("environment") or {}).values():
        if "$" in str(value).replace("$$", ""):
            yield "takes a variable from the environment of the engine's client"
    for mount in service.get("volumes", ()):
        seen = PurePosixPath(mount["source"])
        if any(seen.is_relative_to(one) or one.is_relative_to(seen) for one in secrets):
            yield "sees the gateway's secrets"
