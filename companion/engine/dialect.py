"""Dialects: the command lines and outputs of Docker and Podman, and where they differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from companion.config.ports import SSHD_PORT
from companion.engine.model import Container
from companion.spec.identity import LIB, PROXIES, Role

if TYPE_CHECKING:  # slow to load, and most commands only list containers
    from companion.spec.containers import Attachment, Bind, Network, Service

LABEL = "dev.companion"
_EVENTS = ("--filter=type=container", "--filter=event=start", "--filter=event=pause",
           "--filter=event=unpause")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the two engines' command lines differ."""

    name: Literal["docker", "podman"]
    probe: tuple[str, ...]
    remove: tuple[str, ...]
    """Removes a container with its anonymous volumes, which base images may ask for."""
    remove_network: tuple[str, ...]
    reload_network: tuple[str, ...]
    """Restores the firewall rules of a running container; empty if the engine cannot do that."""
    internal: tuple[str, ...]
    log_driver: str
    random_macs: bool
    """Containers get a new MAC address at each creation unless one is given."""
    names_guests: bool
    """A container in another one's network namespace may have its own hostname."""
    events: tuple[str, ...]
    """Prints a line, with labels, for each container that starts, ends or is removed."""
    builds_here: bool
    """The client builds images in its own process; otherwise a daemon does."""
    security_options: tuple[str, ...]
    """Prints whether the engine maps user IDs; empty where it maps the desktop's user itself."""
    storage: tuple[str, ...]
    """Prints the name of the storage driver."""
    better_storage: str
    """The hint if the driver is vfs, which copies every layer of an image."""
    silent: str
    ignores: tuple[str, ...]
    """Variables of the desktop that would change the meaning of our commands. The rest stays, as
    credential helpers and remote engines need it."""
    create_clean: tuple[str, ...] = ()
    """Options that keep the desktop's environment out of a container."""
    build_clean: tuple[str, ...] = ()
    """The same for a build."""
    way_out: str = ""
    """The network of a container that is no part of a sandbox and reaches others."""
    root_of_engine: tuple[str, ...] = ()
    """Options of a container whose root may change the network of another one."""
    build_environment: tuple[tuple[str, str], ...] = ()
    """Variables for the client, by which a build can share the network of a container."""
    adds_proxies: bool = False
    """The client adds the proxies of its own settings to each container and build."""
    rootless: bool = False
    """Containers run in user namespaces, which map the desktop's user only on request."""


DIALECTS: Mapping[str, Dialect] = {
    "docker": Dialect(
        name="docker",
        probe=("version", "--format", "{{.Server.Version}}"),
        remove=("rm", "--force", "--volumes"),
        remove_network=("network", "rm"),
        reload_network=(),
        internal=("--internal",),
        log_driver="json-file",
        random_macs=False,
        names_guests=False,
        events=(
            "events",
            *_EVENTS,
            "--filter=event=die",
            "--filter=event=destroy",
            "--format={{.Actor.Attributes}}",
        ),
        builds_here=False,
        security_options=("info", "--format", "{{.SecurityOptions}}"),
        storage=("info", "--format", "{{.Driver}}"),
        better_storage='set "storage-driver": "overlay2" in daemon.json, and restart docker',
        silent="start the docker daemon, or use podman",
        ignores=("DOCKER_CONTENT_TRUST", "BUILDX_BUILDER"),
        way_out="bridge",
        build_environment=(("DOCKER_BUILDKIT", "0"),),
        adds_proxies=True,
    ),
    "podman": Dialect(
        name="podman",
        probe=("version", "--format", "{{.Client.Version}}"),
        remove=("rm", "--force", "--volumes", "--ignore", "--time", "0"),
        remove_network=("network", "rm", "--force"),
        reload_network=("network", "reload"),
        internal=("--internal", "--disable-dns", "--opt", "isolate=true"),
        log_driver="k8s-file",
        random_macs=True,
        names_guests=True,
        events=(
            "events",
            *_EVENTS,
            "--filter=event=died",
            "--filter=event=remove",
            "--format={{.Attributes}}",
        ),
        builds_here=True,
        security_options=(),
        storage=("info", "--format", "{{.Store.GraphDriverName}}"),
        better_storage='set driver = "overlay" below [storage] in storage.conf, which lies in'
        " ~/.config/containers (root: /etc/containers), and run `podman system reset`, which"
        " removes all images, containers and volumes of podman",
        silent="try `podman info`",
        ignores=(
            "BUILDAH_ISOLATION",
            "BUILDAH_LAYERS",
            "LISTEN_FDS",
            "NOTIFY_SOCKET",
            "PODMAN_USERNS",
        ),
        create_clean=("--http-proxy=false", "--env-host=false"),
        build_clean=("--http-proxy=false",),
        way_out="private",
        root_of_engine=("--userns", "host"),
    ),
}


def container_name(project: str, service: str) -> str:
    """Return the engine-wide name of a service's container."""
    return f"{project}-{service}"


def network_name(project: str, network: str) -> str:
    """Return the engine-wide name of a network of ours."""
    return f"{project}_{network}"


def create_argv(
    dialect: Dialect, project: str, agent: str, service: Service, files: str
) -> tuple[str, ...]:
    """Return the arguments that create a service's container on its first network.

    `files` is the directory on the engine's machine that holds the agent's `Files`.
    """
    return (
        *("create", "--pull", "never"),
        *("--name", container_name(project, service.name)),
        *_labels(project, agent, service),
        *_label("files", files),
        "--init",
        *restricted(dialect, service.security_options(files)),
        *(() if service.writable else ("--read-only",)),
        *("--user", service.user, "--restart", service.restart),
        *("--memory", service.memory, "--pids-limit", str(service.pids)),
        *("--cpu-shares", str(service.cpu_shares)),
        *_optional("--cpus", service.cpus),
        *_optional("--hostname", _hostname(dialect, service)),
        *_optional("--workdir", service.workdir),
        *_network_argv(dialect, project, service),
        *_user_namespace(dialect, project, service),
        *each("--cap-add", service.capabilities),
        *each("--sysctl", (f"{key}={value}" for key, value in service.sysctls)),
        *each("--add-host", _hosts(dialect, service)),
        *clean(dialect, service.environment),
        *each("--tmpfs", service.tmpfs),
        *each("--mount", (_mount(project, files, bind) for bind in service.binds)),
        *each("--publish", map(str, service.publish)),
        service.image,
        *service.command,
    )


def restricted(dialect: Dialect, security: tuple[str, ...]) -> tuple[str, ...]:
    """Return the options that restrict every container of ours, with its security options."""
    return (
        *("--cap-drop", "ALL"),
        *each("--security-opt", security),
        *("--log-driver", dialect.log_driver, "--log-opt", "max-size=10m"),
    )


def clean(dialect: Dialect, own: Iterable[tuple[str, str]] = ()) -> tuple[str, ...]:
    """Return the options that give a container its own variables and none of the desktop's.

    Each proxy that the client would add gets an empty value.
    """
    added = dict.fromkeys(PROXIES, "") if dialect.adds_proxies else {}
    variables = added | dict(own)
    return (*dialect.create_clean, *each("--env", map("=".join, variables.items())))


def network_argv(dialect: Dialect, project: str, agent: str, network: Network) -> tuple[str, ...]:
    """Return the arguments that create a network."""
    return (
        *("network", "create", "--driver", "bridge", "--subnet", network.subnet),
        *("--gateway", network.address(1)),
        *(dialect.internal if network.internal else ()),
        *_label("project", project),
        *_label("agent", agent),
        *_label("subnet", network.subnet),
        *("--label", f"com.docker.compose.project={project}"),
        *("--label", f"com.docker.compose.network={network.name}"),
        network_name(project, network.name),
    )


def connect_argv(
    dialect: Dialect, project: str, service: Service, attachment: Attachment
) -> tuple[str, ...]:
    """Return the arguments that attach a created container to a further network."""
    network, name = (
        network_name(project, attachment.network),
        container_name(project, service.name),
    )
    return ("network", "connect", *_addresses(dialect, attachment), network, name)


def join_argv(project: str, service: Service, network: str) -> tuple[str, ...]:
    """Return the arguments that attach a created container to a network that is not ours."""
    return ("network", "connect", network, container_name(project, service.name))


def exec_argv(name: str, user: str, *options: str, started_as_root: bool) -> tuple[str, ...]:
    """Return the arguments that run a command, to be appended, as the unprivileged agent."""
    if not started_as_root:
        return ("exec", *options, "--user", user, name)
    become = ("--reuid", user, "--regid", user, "--init-groups")
    nothing = ("--inh-caps=-all", "--bounding-set=-all")
    with_variables = ("/bin/bash", f"{LIB}/entrypoint.sh", "--run")
    run = ("/usr/bin/setpriv", *become, *nothing, *with_variables)
    return ("exec", *options, "--user", "0:0", name, *run)


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


def _labels(project: str, agent: str, service: Service) -> Iterator[str]:
    yield from _label("project", project)
    yield from _label("agent", agent)
    yield from _label("service", service.name)
    yield from _label("role", service.role)
    yield from _label("spec", service.spec)
    compose = {
        "project": project,
        "service": service.name,
        "config-hash": service.spec,
        "container-number": "1",
        "oneoff": "False",
    }
    for key, value in compose.items():
        yield from ("--label", f"com.docker.compose.{key}={value}")
    for key, value in (("project", project), ("service", service.name)):
        yield from ("--label", f"io.podman.compose.{key}={value}")


def _label(key: str, value: str) -> tuple[str, str]:
    return "--label", f"{LABEL}.{key}={value}"


def _hostname(dialect: Dialect, service: Service) -> str:
    return "" if service.network_of and not dialect.names_guests else service.hostname


def _network_argv(dialect: Dialect, project: str, service: Service) -> tuple[str, ...]:
    if service.network_of:
        return "--network", f"container:{container_name(project, service.network_of)}"
    first = service.attachments[0]
    return "--network", network_name(project, first.network), *_addresses(dialect, first)


def _user_namespace(dialect: Dialect, project: str, service: Service) -> tuple[str, ...]:
    """Map the desktop user's ID into the namespace: only that user can read what we mount."""
    if not dialect.rootless:
        return ()
    holder = service.network_of and container_name(project, service.network_of)
    return "--userns", f"container:{holder}" if holder else "keep-id"


def _hosts(dialect: Dialect, service: Service) -> tuple[str, ...]:
    """Return host names, but none on a rootless engine: there podman names the desktop itself."""
    return () if dialect.rootless else tuple(f"{name}:{address}" for name, address in service.hosts)


def _addresses(dialect: Dialect, attachment: Attachment) -> tuple[str, ...]:
    mac = ("--mac-address", attachment.mac) if dialect.random_macs else ()
    return ("--ip", attachment.address, *mac)


def _mount(project: str, files: str, bind: Bind) -> str:
    from companion.spec.containers import Volume  # noqa: PLC0415 - start-up time is a budget

    if isinstance(bind.source, Volume):
        kind, source = "volume", f"{project}_{bind.source.name}"
    else:
        kind, source = "bind", bind.source.on_host(files)
    fields = [
        *(f"type={kind}", f"source={source}", f"target={bind.target}"),
        *(["ro"] if bind.read_only else []),
    ]
    import csv  # noqa: PLC0415 - start-up time is a budget
    import io  # noqa: PLC0415

    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _optional(flag: str, value: str) -> tuple[str, ...]:
    return (flag, value) if value else ()


def each(flag: str, values: Iterable[str]) -> Iterator[str]:
    """Repeat a flag before each value: `-v a -v b`."""
    return (word for value in values for word in (flag, value))


def _instant(text: str) -> str:
    """Return an engine's time as a sortable UTC text; podman prints the local time zone."""
    try:
        cut = re.sub(r"(\.\d{6})\d*", r"\1", text)
        return datetime.fromisoformat(cut).astimezone(UTC).isoformat(timespec="microseconds")
    except ValueError:
        return ""
