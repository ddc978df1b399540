"""Dialects: where the command lines of Docker and Podman differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

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
    is_service: tuple[str, ...]
    """Prints `false` if the client is the engine itself; empty where it never is."""
    storage: tuple[str, ...]
    """Prints the name of the storage driver."""
    volume_sizes: tuple[str, ...]
    """Prints a line of name and size for each volume; empty where their directories tell it."""
    better_storage: str
    """The hint if the driver is vfs, which copies every layer of an image."""
    copies_at_once: bool
    """`cp` into a container that does not run reaches several of its volumes at once."""
    keeps_owners: str
    """The option of `cp` by which files keep the owners of the archive."""
    labels_mounts: bool
    """A mount can label the volume that it creates; otherwise the volume is created before."""
    volume_owner: str
    """The option that creates a volume with an owner, `{}` for its number; otherwise `cp` does."""
    mountpoint: tuple[str, ...]
    """Prints where a volume's files lie, for an engine that reads seccomp profiles on its own
    machine; empty where its client reads them here."""
    silent: str
    ignores: tuple[str, ...]
    """Variables of the desktop that would change the meaning of our commands. The rest stays, as
    credential helpers and remote engines need it."""
    create_clean: tuple[str, ...] = ()
    """Options that keep the desktop's environment out of a container."""
    create_clean_here: tuple[str, ...] = ()
    """More of them, known only to a client that is the engine."""
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
    shares_files: bool = True
    """See EngineChoice."""


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
        is_service=(),
        storage=("info", "--format", "{{.Driver}}"),
        volume_sizes=(
            *("system", "df", "--verbose", "--format"),
            "{{range .Volumes}}{{println .Name .Size}}{{end}}",
        ),
        better_storage='set "storage-driver": "overlay2" in daemon.json, and restart docker',
        copies_at_once=True,
        keeps_owners="-a=true",
        labels_mounts=True,
        volume_owner="",
        mountpoint=(),
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
        is_service=("info", "--format", "{{.Host.ServiceIsRemote}}"),
        storage=("info", "--format", "{{.Store.GraphDriverName}}"),
        volume_sizes=(),
        better_storage='set driver = "overlay" below [storage] in storage.conf, which lies in'
        " ~/.config/containers (root: /etc/containers), and run `podman system reset`, which"
        " removes all images, containers and volumes of podman",
        copies_at_once=False,
        keeps_owners="-a=false",
        labels_mounts=False,
        volume_owner="o=uid={0},gid={0}",
        mountpoint=("volume", "inspect", "--format", "{{.Mountpoint}}"),
        silent="try `podman info`",
        ignores=(
            "BUILDAH_ISOLATION",
            "BUILDAH_LAYERS",
            "LISTEN_FDS",
            "NOTIFY_SOCKET",
            "PODMAN_USERNS",
        ),
        create_clean=("--http-proxy=false",),
        create_clean_here=("--env-host=false",),
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


def each(flag: str, values: Iterable[str]) -> Iterator[str]:
    """Repeat a flag before each value: `-v a -v b`."""
    return (word for value in values for word in (flag, value))
