"""Arguments: the command lines that create containers and networks, and run commands in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from companion.engine.dialect import LABEL, Dialect, container_name, each, network_name
from companion.errors import Code, EngineError
from companion.spec.identity import PROXIES, as_agent

if TYPE_CHECKING:  # slow to load, and most commands only list containers
    from companion.spec.containers import Attachment, Bind, Network, Service


def create_argv(
    dialect: Dialect, project: str, agent: str, service: Service, files: str, profiles: str
) -> tuple[str, ...]:
    """Return the arguments that create a service's container on its first network.

    `files` is the desktop's directory that holds the agent's `Files`; `profiles` is the one that
    holds its seccomp profiles, where whoever reads them finds it.
    """
    return (
        *("create", "--pull", "never"),
        *("--name", container_name(project, service.name)),
        *_labels(project, agent, service),
        *_label("files", files),
        "--init",
        *restricted(dialect, service.security_options(profiles)),
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
        *each("--mount", (_mount(dialect, project, agent, files, bind) for bind in service.binds)),
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
    options = (*dialect.create_clean, *dialect.create_clean_here)
    return (*options, *each("--env", map("=".join, variables.items())))


def network_argv(dialect: Dialect, project: str, agent: str, network: Network) -> tuple[str, ...]:
    """Return the arguments that create a network."""
    return (
        *("network", "create", "--driver", "bridge", "--subnet", network.subnet),
        *("--gateway", network.address(1)),
        *(dialect.internal if network.internal else ()),
        *each("--label", _owner(project, agent)),
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


def volume_argv(project: str, agent: str, volume: str, *options: str) -> tuple[str, ...]:
    """Return the arguments that create a volume of the agent, by its name on the engine."""
    return ("volume", "create", *each("--label", _owner(project, agent)), *options, volume)


def exec_argv(name: str, user: str, *options: str, started_as_root: bool) -> tuple[str, ...]:
    """Return the arguments that run a command, to be appended, as the unprivileged agent."""
    if not started_as_root:
        return ("exec", *options, "--user", user, name)
    return ("exec", *options, "--user", "0:0", name, *as_agent(user))


def _labels(project: str, agent: str, service: Service) -> Iterator[str]:
    yield from each("--label", _owner(project, agent))
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


def _owner(project: str, agent: str) -> tuple[str, str]:
    """Return the labels that say whose something on the engine is."""
    return f"{LABEL}.project={project}", f"{LABEL}.agent={agent}"


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


def _mount(dialect: Dialect, project: str, agent: str, files: str, bind: Bind) -> str:
    labels = _owner(project, agent) if dialect.labels_mounts else ()
    kind, source = _source(dialect, project, agent, files, bind)
    fields = (f"type={kind}", f"source={source}", f"target={bind.target}")
    return mount_option(*fields, *(("ro",) if bind.read_only else ()), *_new(bind, labels))


def _new(bind: Bind, labels: Iterable[str]) -> Iterator[str]:
    """Yield the fields of a mount that label the volume if the mount creates it."""
    from companion.spec.containers import Volume  # noqa: PLC0415 - start-up time is a budget

    if isinstance(bind.source, Volume):
        yield from (f"volume-label={label}" for label in labels)


def _source(
    dialect: Dialect, project: str, agent: str, files: str, bind: Bind
) -> tuple[Literal["bind", "volume"], str]:
    """Return how and from where the engine mounts something.

    Raises:
        EngineError: it would be a file or directory of this desktop, and the engine is elsewhere.
    """
    from companion.spec.containers import Files, Volume  # noqa: PLC0415 - start-up time is a budget

    source = bind.source
    if isinstance(source, Volume):
        return "volume", f"{project}_{source.name}"
    if dialect.shares_files:
        return "bind", source.on_host(files)
    if isinstance(source, Files) and not source.file:
        return "volume", files_volume(project, agent, source.directory)
    what = f"{bind.target} would be a file of this desktop, which {dialect.name} cannot mount"
    raise EngineError(what, code=Code.ENGINE_ELSEWHERE)


def files_volume(project: str, agent: str, directory: str) -> str:
    """Return the name of the volume that stands for one of our directories elsewhere.

    It begins unlike the names of the agent's own volumes, which outlive the sandbox.
    """
    return f"{project}_{agent}.{directory}"


def mount_option(*fields: str) -> str:
    """Return the value of `--mount`, a line of CSV."""
    import csv  # noqa: PLC0415 - start-up time is a budget
    import io  # noqa: PLC0415

    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _optional(flag: str, value: str) -> tuple[str, ...]:
    return (flag, value) if value else ()
