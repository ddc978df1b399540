"""The services around an agent: gateway, ingress and net holder, all of one image."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from companion.plugins.contribution import SecretRef
from companion.project.record import AgentRecord
from companion.render import dns, haproxy, ingress, limits, streams
from companion.render.egress import hosts_of
from companion.sandbox.model import HostFacts, Sandbox
from companion.spec.containers import (
    INGRESS,
    Attachment,
    Bind,
    Directory,
    File,
    Files,
    Image,
    Network,
    Publish,
    Service,
    digest_files,
)
from companion.spec.identity import Role, digest

GATEWAY_BASE = "docker.io/library/debian:bookworm-slim"
NOBODY = "65534:65534"
ROOT = "0:0"
# Explicit, because only podman adds these to a read-only container by default. Docker's are not
# executable: compilers, installers and language runtimes run what they put there.
SCRATCH = tuple(
    f"{path}:rw,exec,nosuid,nodev,mode=1777"
    for path in ("/run", "/tmp", "/var/tmp")  # noqa: S108
)
_SCRATCH_OF_OURS = tuple(options.replace("exec", "noexec") for options in SCRATCH)
NO_IPV6 = (
    ("net.ipv6.conf.all.disable_ipv6", "1"),
    ("net.ipv6.conf.default.disable_ipv6", "1"),
)
BECOME_THE_AGENT = ("SETGID", "SETPCAP", "SETUID")
"""Capabilities that root needs to become the agent and drop all capabilities for good."""
RESOLV, HOSTS = (
    Bind(Files(Directory.RESOLVER, name), f"/etc/{name}", read_only=True)
    for name in ("resolv.conf", "hosts")
)
_SEALED = "secret "
"""Prefix of the reloadable entries that seal a secret."""
_LOW_PORTS = ("net.ipv4.ip_unprivileged_port_start", "0")


def services(
    sandbox: Sandbox,
    image: Image,
    contents: tuple[File, ...],
    seals: Mapping[SecretRef, str],
    leaves: tuple[File, ...],
) -> tuple[Service, ...]:
    """Return the services that start before the agent, in their order; see `desired.desire`.

    `contents` are the gateway's mounted files. An engine elsewhere publishes no port on the desktop
    (see `readiness.way_in`), so there is nothing for an ingress to carry.
    """
    gateway = _gateway(sandbox, image, contents)
    gateway = replace(gateway, reloads=tuple(_reloads(sandbox, seals, leaves)))
    if sandbox.is_on_cluster:  # an init container of the agent's Pod closes its network
        return (replace(gateway, attachments=(), hosts=()),)
    return (
        gateway,
        *((_ingress(sandbox, image, contents),) if sandbox.host.shares_files else ()),
        _net(sandbox, image),
    )


def image_of_gateways(host: HostFacts, assets: tuple[File, ...]) -> Image:
    """Return the image of every gateway, ingress and net holder."""
    return Image(
        name="gateway",
        role=Role.GATEWAY,
        files=assets,
        arguments=(("BASE", host.image(GATEWAY_BASE)),),
    )


def _gateway(sandbox: Sandbox, image: Image, contents: tuple[File, ...]) -> Service:
    outside, inside = sandbox.egress_network, sandbox.internal_network
    return Service(
        name=Role.GATEWAY.service_of(sandbox.agent),
        role=Role.GATEWAY,
        image=image.tag,
        user=f"{sandbox.host.uid}:{sandbox.host.uid}",
        command=("/usr/local/lib/companion/gateway.sh",),
        attachments=(
            Attachment(outside.name, outside.address(2)),
            Attachment(inside.name, inside.address(2)),
        ),
        joins=sandbox.joined_networks,
        binds=(
            Bind(Files(Directory.GATEWAY), haproxy.CONFIG, read_only=True),
            Bind(Files(Directory.SECRETS), haproxy.SECRETS, read_only=True),
            Bind(Files(Directory.CERTIFICATES), haproxy.CERTIFICATES, read_only=True),
            Bind(Files(Directory.CONTROL), haproxy.CONTROL, read_only=False),
        ),
        tmpfs=_SCRATCH_OF_OURS,
        sysctls=(_LOW_PORTS, *NO_IPV6),
        hosts=_host_names(outside),
        restart="on-failure",
        memory=limits.MEMORY,
        pids=128,
        cpu_shares=1024,
        configuration=(("names", digest_files(dns.read_at_start(contents))),),
    )


def _ingress(sandbox: Sandbox, image: Image, contents: tuple[File, ...]) -> Service:
    """Return the container that carries SSH, so that nothing that hits the gateway ends it."""
    networks = (sandbox.egress_network, sandbox.internal_network)
    config = tuple(file for file in contents if file.path == ingress.FILE)
    return Service(
        name=Role.INGRESS.service_of(sandbox.agent),
        role=Role.INGRESS,
        image=image.tag,
        user=f"{sandbox.host.uid}:{sandbox.host.uid}",
        command=("/usr/local/lib/companion/ingress.sh",),
        attachments=tuple(Attachment(n.name, n.address(INGRESS)) for n in networks),
        publish=published(sandbox),
        binds=(Bind(Files(Directory.GATEWAY, ingress.FILE), ingress.CONFIG, read_only=True),),
        tmpfs=_SCRATCH_OF_OURS,
        sysctls=(_LOW_PORTS, *NO_IPV6),
        restart="on-failure",
        memory="64m",
        pids=16,
        cpu_shares=1024,
        configuration=(("ways in", digest_files(config)),),
    )


def _reloads(
    sandbox: Sandbox, seals: Mapping[SecretRef, str], leaves: tuple[File, ...]
) -> Iterator[tuple[str, str]]:
    """Yield each thing that the gateway allows or adds; a removed entry narrows the rules."""
    yield "egress mode", sandbox.egress.mode
    yield "log level", sandbox.log_level
    yield "trusted certificates", digest(sandbox.host.trusted_certificates.decode("latin-1"))
    yield from ((f"the desktop's address {address}", "") for address in sandbox.host.addresses)
    yield from ((f"host {host}", "") for host in hosts_of(sandbox))
    yield from ((f"service {u.place}", streams.treatment(u)) for u in sandbox.upstreams)
    yield from ((f"{_SEALED}{secret.name}", seals.get(secret, "")) for secret in sandbox.secrets)
    yield from (
        (f"certificate {leaf.path.removesuffix('.pem')}", digest_files((leaf,))) for leaf in leaves
    )


def last_seals(sandbox: Sandbox, record: AgentRecord) -> dict[str, str]:
    """Return the seals of the secrets that the gateway loaded last, by name."""
    loaded = record.applied.loaded.get(Role.GATEWAY.service_of(sandbox.agent), {})
    names = (entry for entry in loaded if entry.startswith(_SEALED))
    return {entry.removeprefix(_SEALED): loaded[entry] for entry in names}


def _net(sandbox: Sandbox, image: Image) -> Service:
    inside, mounts = sandbox.internal_network, sandbox.host.shares_files
    addresses = (inside.address(2), inside.address(INGRESS))
    return Service(
        name=Role.NET.service_of(sandbox.agent),
        role=Role.NET,
        image=image.tag,
        user=ROOT,
        # The agent gets the names of this container: the engine gives both the same two files. A
        # volume cannot be a single file, so where ours cannot be mounted, net.sh writes them.
        command=("/usr/local/lib/companion/net.sh", *addresses, *(() if mounts else ("names",))),
        hostname=sandbox.agent,
        attachments=(Attachment(inside.name, inside.address(3)),),
        binds=(HOSTS, RESOLV) if mounts else (),
        writable=not mounts,
        tmpfs=_SCRATCH_OF_OURS,
        capabilities=("NET_ADMIN", *BECOME_THE_AGENT),
        sysctls=(_LOW_PORTS, *NO_IPV6),
        memory="64m",
        pids=64,
        cpu_shares=1024,
    )


def published(sandbox: Sandbox) -> tuple[Publish, ...]:
    """Return the ports of the desktop that lead to the agent: none from an engine elsewhere."""
    if not sandbox.host.shares_files:
        return ()
    return tuple(Publish(p.host, p.container, p.address) for p in sandbox.ports)


def _host_names(outside: Network) -> tuple[tuple[str, str], ...]:
    """Return the names that docker and podman give this machine."""
    return tuple((name, outside.address(1)) for name in dns.DESKTOP)
