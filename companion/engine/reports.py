"""Reports: the engine's own outputs, read as values."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from companion.config.ports import SSHD_PORT
from companion.engine.dialect import LABEL
from companion.engine.model import Container
from companion.spec.identity import Role


def parse_container(data: Mapping[str, Any], files: str) -> Container:
    """Return a container from one element of `inspect`'s JSON (the same shape in both engines).

    If it mounts `Files` from a directory other than `files`, its spec is empty, so it is replaced.
    """
    labels: Mapping[str, str] = data["Config"].get("Labels") or {}
    elsewhere = files and labels.get(f"{LABEL}.files", "") != files
    state = data["State"]
    return Container(
        id=data["Id"],
        name=data["Name"].lstrip("/"),
        project=labels.get(f"{LABEL}.project", ""),
        service=labels.get(f"{LABEL}.service", ""),
        agent=labels.get(f"{LABEL}.agent", ""),
        role=_role(labels.get(f"{LABEL}.role", Role.AGENT)),
        spec="" if elsewhere else labels.get(f"{LABEL}.spec", ""),
        running=bool(state.get("Running")),
        status=state.get("Status", "unknown"),
        exit_code=int(state.get("ExitCode", 0)),
        out_of_memory=bool(state.get("OOMKilled")),
        started=_instant(state.get("StartedAt", "")),
        network_mode=data["HostConfig"].get("NetworkMode", ""),
        ssh_port=_ssh_port(data["HostConfig"].get("PortBindings") or {}),
        published=tuple(_published(data["HostConfig"].get("PortBindings") or {})),
        pid=int(state.get("Pid") or 0),
    )


def _role(label: str) -> Role | None:
    return Role(label) if label in set(Role) else None


def _ssh_port(bindings: Mapping[str, Any]) -> int | None:
    """Return the desktop's port for sshd from the port bindings in `inspect`."""
    ports = (binding.get("HostPort") for binding in bindings.get(f"{SSHD_PORT}/tcp") or ())
    return next((int(port) for port in ports if port), None)


def _published(bindings: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Yield (desktop's port, container's port) from the port bindings in `inspect`, without SSH."""
    for name, targets in bindings.items():
        inside = int(name.partition("/")[0])
        for target in targets or ():
            if inside != SSHD_PORT and target.get("HostPort"):
                yield int(target["HostPort"]), inside


def parse_network(project: str, data: Mapping[str, Any]) -> tuple[str, str]:
    """Return name (without the project's prefix) and subnet from `network inspect`.

    docker reports IPAM.Config, podman reports subnets.
    """
    name = str(data.get("Name") or data.get("name")).removeprefix(f"{project}_")
    ranges = (data.get("IPAM") or {}).get("Config") or data.get("subnets") or [{}]
    return name, str(ranges[0].get("Subnet") or ranges[0].get("subnet") or "")


def _instant(text: str) -> str:
    """Return an engine's time as a sortable UTC text; podman prints the local time zone."""
    try:
        cut = re.sub(r"(\.\d{6})\d*", r"\1", text)
        return datetime.fromisoformat(cut).astimezone(UTC).isoformat(timespec="microseconds")
    except ValueError:
        return ""
