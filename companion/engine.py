"""How do we speak to docker and podman? One table of differences, pure argv, thin glue."""

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from companion import process
from companion.errors import (
    AddressHeldError,
    CompanionError,
    EngineError,
    PortTakenError,
    SubnetTakenError,
)
from companion.services import Attachment, Bind, Image, Network, Role, Service
from companion.state import Container, EngineChoice

LABEL = "dev.companion"
_FAST, _SLOW = 20.0, 120.0
# Variables of the engines' own clients that say which engine is meant.
_ENDPOINT = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "CONTAINER_HOST",
             "CONTAINER_CONNECTION", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the two engines' command lines differ."""

    name: Literal["docker", "podman"]
    probe: tuple[str, ...]
    remove: tuple[str, ...]
    remove_network: tuple[str, ...]
    internal: tuple[str, ...]
    log_driver: str
    random_macs: bool
    """Containers get a new MAC address each time unless one is given."""
    names_guests: bool
    """A container in another's network namespace may have a hostname of its own."""
    silent: str


DIALECTS: Mapping[str, Dialect] = {
    "docker": Dialect(
        name="docker",
        probe=("version", "--format", "{{.Server.Version}}"),
        remove=("rm", "--force"),
        remove_network=("network", "rm"),
        internal=("--internal",),
        log_driver="json-file",
        random_macs=False,
        names_guests=False,
        silent="start the docker daemon, or use podman",
    ),
    "podman": Dialect(
        name="podman",
        probe=("version", "--format", "{{.Client.Version}}"),
        remove=("rm", "--force", "--ignore", "--time", "0"),
        remove_network=("network", "rm", "--force"),
        internal=("--internal", "--disable-dns", "--opt", "isolate=true"),
        log_driver="k8s-file",
        random_macs=True,
        names_guests=True,
        silent="try `podman info`",
    ),
}


def detect(wanted: str | None, known: EngineChoice | None) -> EngineChoice:
    """Return the engine to use: the config's, else the one recorded, else what answers here.

    Raises:
        CompanionError: there is none, or the one that is wanted does not answer.
    """
    if known and wanted in {None, known.name}:
        return known
    if wanted:
        return _required(wanted)
    for name in DIALECTS:
        choice = _choice(name)
        if choice and Engine(choice, "").answers():
            return choice
    if shutil.which("docker"):
        raise CompanionError("the docker daemon does not answer", DIALECTS["docker"].silent)
    raise CompanionError("neither docker nor podman is installed", "install one of them")


def _required(name: str) -> EngineChoice:
    choice = _choice(name)
    if choice is None:
        hint = f"install {name}, or remove container_runtime from agent.yaml"
        raise CompanionError(f"container_runtime is {name}, which is not installed", hint)
    if not Engine(choice, "").answers():
        raise CompanionError(f"{name} does not answer", DIALECTS[name].silent)
    return choice


def _choice(name: str) -> EngineChoice | None:
    """Return the engine called `name`; a `docker` that is podman's shim is podman."""
    binary = shutil.which(name)
    if binary is None:
        return None
    if name == "docker" and "podman" in process.run((binary, "--version"), timeout=_FAST).stdout:
        name = "podman"
    endpoint = tuple((key, os.environ[key]) for key in _ENDPOINT if key in os.environ)
    return EngineChoice("docker" if name == "docker" else "podman", binary, endpoint)


def container_name(project: str, service: str) -> str:
    """Return the engine-wide name of a service's container."""
    return f"{project}-{service}"


def create_argv(dialect: Dialect, project: str, agent: str, service: Service) -> tuple[str, ...]:
    """Return the arguments that create a service's container on its first network."""
    return (
        "create",
        *("--name", container_name(project, service.name)),
        *_labels(project, agent, service),
        *("--init", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--log-driver", dialect.log_driver, "--log-opt", "max-size=10m"),
        *("--user", service.user, "--restart", service.restart),
        *("--memory", service.memory, "--pids-limit", str(service.pids)),
        *("--cpu-shares", str(service.cpu_shares)),
        *_optional("--cpus", service.cpus),
        *_optional("--hostname", _hostname(dialect, service)),
        *_optional("--workdir", service.workdir),
        *_network_argv(dialect, project, service),
        *_each("--cap-add", service.capabilities),
        *_each("--sysctl", (f"{key}={value}" for key, value in service.sysctls)),
        *_each("--add-host", (f"{name}:{address}" for name, address in service.hosts)),
        *_each("--env", (f"{name}={value}" for name, value in service.environment)),
        *_each("--tmpfs", service.tmpfs),
        *_each("--mount", (_mount(project, bind) for bind in service.binds)),
        *_each("--publish", map(str, service.publish)),
        service.image,
        *service.command,
    )


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
        f"{project}_{network.name}",
    )


def connect_argv(
    dialect: Dialect, project: str, service: Service, place: Attachment
) -> tuple[str, ...]:
    """Return the arguments that attach a created container to a further network."""
    network, name = f"{project}_{place.network}", container_name(project, service.name)
    return ("network", "connect", *_addresses(dialect, place), network, name)


def build_argv(image: Image, context: str) -> tuple[str, ...]:
    """Return the arguments that build an image from a context directory."""
    arguments = _each("--build-arg", (f"{key}={value}" for key, value in image.arguments))
    return ("build", *arguments, "--tag", image.tag, context)


def parse_container(data: Mapping[str, Any]) -> Container:
    """Return a container from one element of `inspect`'s JSON (the same shape in both engines)."""
    labels: Mapping[str, str] = data["Config"].get("Labels") or {}
    state = data["State"]
    return Container(
        id=data["Id"],
        name=data["Name"].lstrip("/"),
        service=labels.get(f"{LABEL}.service", ""),
        agent=labels.get(f"{LABEL}.agent", ""),
        role=Role(labels.get(f"{LABEL}.role", Role.AGENT)),
        spec=labels.get(f"{LABEL}.spec", ""),
        running=bool(state.get("Running")),
        status=state.get("Status", "unknown"),
        exit_code=int(state.get("ExitCode", 0)),
        started=_instant(state.get("StartedAt", "")),
        network_mode=data["HostConfig"].get("NetworkMode", ""),
    )


@dataclass(frozen=True, slots=True)
class Engine:
    """The glue: runs the argv of one project and turns failures into errors."""

    choice: EngineChoice
    project: str

    @property
    def dialect(self) -> Dialect:
        """The differences of this engine."""
        return DIALECTS[self.choice.name]

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead the engine's client to the recorded endpoint."""
        return dict(self.choice.environment)

    def argv(self, *arguments: str) -> tuple[str, ...]:
        """Return the command line for `arguments`."""
        return (self.choice.binary, *arguments)

    def call(self, *arguments: str, timeout: float = _SLOW, stdin: str | None = None) -> str:
        """Run the engine and return its output.

        Raises:
            EngineError: it failed or did not answer in time (seconds).
        """
        argv = self.argv(*arguments)
        done = process.run(argv, env=self.environment, timeout=timeout, stdin=stdin)
        if done.code:
            raise _failure(self.choice.name, arguments, done)
        return done.stdout

    def answers(self) -> bool:
        """Tell whether the engine is there and talks to us."""
        argv = self.argv(*self.dialect.probe)
        return process.run(argv, env=self.environment, timeout=_FAST).code == 0

    def containers(self) -> tuple[Container, ...]:
        """Return this project's containers, running or not."""
        mine = ("--filter", f"label={LABEL}.project={self.project}")
        ids = self.call("ps", "--all", "--quiet", "--no-trunc", *mine, timeout=_FAST).split()
        if not ids:
            return ()
        return tuple(map(parse_container, json.loads(self.call("inspect", *ids, timeout=_FAST))))

    def networks(self) -> dict[str, str]:
        """Return this project's networks (without the project's prefix) and their subnets."""
        mine = ("--filter", f"label={LABEL}.project={self.project}")
        names = self.call("network", "ls", "--quiet", *mine, timeout=_FAST).split()
        if not names:
            return {}
        found = json.loads(self.call("network", "inspect", *names, timeout=_FAST))
        return dict(_network(self.project, data) for data in found)

    def images(self) -> frozenset[str]:
        """Return the tags of all images that companion built, for any project."""
        shape = ("--filter", f"label={LABEL}.image=1", "--format", "{{.Repository}}:{{.Tag}}")
        return frozenset(self.call("images", *shape, timeout=_FAST).split())

    def agent_images(self, agent: str) -> frozenset[str]:
        """Return the tags of the images that were built for one agent of this project."""
        mine = (f"label={LABEL}.project={self.project}", f"label={LABEL}.agent={agent}")
        shape = ("--format", "{{.Repository}}:{{.Tag}}")
        found = self.call("images", *_each("--filter", mine), *shape, timeout=_FAST).split()
        return frozenset(tag for tag in found if "<none>" not in tag)

    def discard_image(self, tag: str) -> None:
        """Remove an image if nothing uses it; one in use stays."""
        process.run(self.argv("rmi", tag), env=self.environment, timeout=_SLOW)

    def remove_volumes(self) -> int:
        """Remove this project's volumes and return how many there were."""
        names = self.call("volume", "ls", "--quiet", timeout=_FAST).split()
        mine = [name for name in names if name.startswith(f"{self.project}_")]
        for name in mine:
            self.call("volume", "rm", name)
        return len(mine)

    def subnets(self) -> list[str]:
        """Return the subnets of all networks of the engine, whoever made them."""
        names = self.call("network", "ls", "--quiet", timeout=_FAST).split()
        text = self.call("network", "inspect", *names, timeout=_FAST) if names else ""
        return re.findall(r'"[Ss]ubnet": *"([0-9./]+)"', text)


def _failure(name: str, arguments: Sequence[str], done: process.Completed) -> EngineError:
    log = (done.stderr or done.stdout).strip()
    lines = log.splitlines() or [f"exit code {done.code}"]
    told = next((line for line in lines if line.startswith("Error")), lines[-1])
    reason = re.sub(r"^Error( response from daemon)?: ", "", told)
    what = f"{name} {' '.join(arguments[:2])} failed: {reason}"
    if re.search(r"requested ip address .* already allocated|: Address already in use", log):
        return AddressHeldError(what, "run `companion down` and `companion up`", log)
    if re.search(r"port is already allocated|bind: address already in use|Bind for .* failed", log):
        return PortTakenError(what, "choose another port in agent.yaml", log)
    if re.search(r"overlaps|already (used|being used)|subnet .* is already", log, re.IGNORECASE):
        return SubnetTakenError(what, "", log)
    if done.code == process.TIMED_OUT:
        return EngineError(f"{name} does not answer", DIALECTS[name].silent, log)
    return EngineError(what, "", log)


def _network(project: str, data: Mapping[str, Any]) -> tuple[str, str]:
    """Return name and subnet from `network inspect` (docker: IPAM.Config, podman: subnets)."""
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


def _label(key: str, value: str) -> tuple[str, str]:
    return "--label", f"{LABEL}.{key}={value}"


def _hostname(dialect: Dialect, service: Service) -> str:
    return "" if service.network_of and not dialect.names_guests else service.hostname


def _network_argv(dialect: Dialect, project: str, service: Service) -> tuple[str, ...]:
    if service.network_of:
        return "--network", f"container:{container_name(project, service.network_of)}"
    first = service.attachments[0]
    return "--network", f"{project}_{first.network}", *_addresses(dialect, first)


def _addresses(dialect: Dialect, place: Attachment) -> tuple[str, ...]:
    mac = ("--mac-address", place.mac) if dialect.random_macs else ()
    return ("--ip", place.address, *mac)


def _mount(project: str, bind: Bind) -> str:
    fields = [
        "type=volume" if bind.volume else "type=bind",
        f"source={project}_{bind.source}" if bind.volume else f"source={bind.source}",
        f"target={bind.target}",
        *(["readonly"] if bind.read_only else []),
    ]
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _optional(flag: str, value: str) -> tuple[str, ...]:
    return (flag, value) if value else ()


def _each(flag: str, values: Sequence[str] | Iterator[str]) -> Iterator[str]:
    return (word for value in values for word in (flag, value))


def _instant(text: str) -> str:
    """Return an engine's time as a UTC text that sorts: podman prints the local zone."""
    from datetime import UTC, datetime  # noqa: PLC0415 - only here

    try:
        cut = re.sub(r"(\.\d{6})\d*", r"\1", text)
        return datetime.fromisoformat(cut).astimezone(UTC).isoformat(timespec="microseconds")
    except ValueError:
        return ""
