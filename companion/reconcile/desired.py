"""Desired state: one sandbox as images, networks, services and mounted files."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace

from companion.plugins.contribution import Mount, SecretRef
from companion.render import dns, dockerfile, environment, haproxy, ingress, limits, sshd
from companion.render.egress import allowed_hosts
from companion.sandbox.model import HostFacts, Sandbox, mount_file
from companion.spec.containers import (
    Attachment,
    Bind,
    Directory,
    File,
    Files,
    HostPath,
    Image,
    Network,
    Publish,
    Service,
    Target,
    Volume,
    digest_files,
)
from companion.spec.identity import Role, digest

GATEWAY_BASE = "docker.io/library/debian:bookworm-slim"
NOBODY = "65534:65534"
ROOT = "0:0"
# Explicit, because only podman adds these to a read-only container by default. Docker's are not
# executable: compilers, installers and language runtimes run what they put there.
_SCRATCH = tuple(
    f"{path}:rw,exec,nosuid,nodev,mode=1777"
    for path in ("/run", "/tmp", "/var/tmp")  # noqa: S108
)
_SCRATCH_OF_OURS = tuple(options.replace("exec", "noexec") for options in _SCRATCH)
_NO_IPV6 = (
    ("net.ipv6.conf.all.disable_ipv6", "1"),
    ("net.ipv6.conf.default.disable_ipv6", "1"),
)
CONTROL = "/companion/control"
BECOME_THE_AGENT = ("SETGID", "SETPCAP", "SETUID")
"""Capabilities that root needs to become the agent and drop all capabilities for good."""
HOST_KEY = "host key"
"""The reloadable entry for which sshd must be signaled: since 9.8, OpenSSH keeps it in memory."""
_RESOLV, _HOSTS = (
    Bind(Files(Directory.RESOLVER, name), f"/etc/{name}", read_only=True)
    for name in ("resolv.conf", "hosts")
)
_LOW_PORTS = ("net.ipv4.ip_unprivileged_port_start", "0")


@dataclass(frozen=True, slots=True)
class Assets:
    """The static files of images."""

    gateway: tuple[File, ...]
    entrypoint: bytes
    profile: bytes
    seccomp: bytes

    @property
    def seccomp_file(self) -> File:
        """The list of system calls; its name changes with its content."""
        return File(f"{digest(self.seccomp.decode())}.json", self.seccomp)


@dataclass(frozen=True, slots=True)
class Desired:
    """The desired state of one sandbox: for the engine, and for the directories it mounts."""

    target: Target
    sandbox: Sandbox
    gateway_files: tuple[File, ...]
    resolver_files: tuple[File, ...]
    certificate_files: tuple[File, ...] = field(repr=False)
    host_key_files: tuple[File, ...] = field(repr=False)
    seccomp_files: tuple[File, ...] = ()


def desire(
    sandbox: Sandbox,
    assets: Assets,
    seals: Mapping[SecretRef, str],
    leaves: tuple[File, ...],
    host_key: tuple[File, ...],
) -> Desired:
    """Return the desired state of `sandbox`.

    Args:
        sandbox: the sandbox as a value.
        assets: static files for images and containers.
        seals: keyed digests of the secrets' values; a new digest causes a reload.
        leaves: the certificates of the intercepted hosts, with their keys.
        host_key: the private and public host key of sshd; empty without sshd.
    """
    agent_image = dockerfile.render(sandbox, assets.entrypoint, assets.profile)
    agent = replace(_agent(sandbox, agent_image), reloads=tuple(_keys(sandbox, host_key)))
    gateway_image = image_of_gateways(sandbox.host, assets)
    gateway_files = (*haproxy.render(sandbox), ingress.render(sandbox), *dns.render(sandbox))
    gateway = replace(
        _gateway(sandbox, gateway_image, gateway_files),
        reloads=tuple(_reloads(sandbox, seals, leaves)),
    )
    services = (gateway, _net(sandbox, gateway_image), agent) if sandbox.gateway else (agent,)
    filtered = tuple(replace(s, seccomp=assets.seccomp_file.path) for s in services)
    outside, inside = sandbox.egress_network, sandbox.internal_network
    target = Target(
        agent=sandbox.agent,
        login=sandbox.login,
        images=(gateway_image, agent_image) if sandbox.gateway else (agent_image,),
        networks=(outside, inside) if sandbox.gateway else (outside,),
        services=filtered,
    )
    return Desired(
        target=target,
        sandbox=sandbox,
        gateway_files=gateway_files if sandbox.gateway else (),
        resolver_files=(dns.hosts(sandbox), dns.resolv_conf(sandbox)),
        certificate_files=leaves if sandbox.gateway else (),
        host_key_files=host_key,
        seccomp_files=(assets.seccomp_file,),
    )


def image_of_gateways(host: HostFacts, assets: Assets) -> Image:
    """Return the image of every gateway and net holder."""
    return Image(
        name="gateway",
        role=Role.GATEWAY,
        files=assets.gateway,
        arguments=(("BASE", host.image(GATEWAY_BASE)),),
    )


def _gateway(sandbox: Sandbox, image: Image, contents: tuple[File, ...]) -> Service:
    outside, inside = sandbox.egress_network, sandbox.internal_network
    return Service(
        name=f"{sandbox.agent}-gateway",
        role=Role.GATEWAY,
        image=image.tag,
        user=f"{sandbox.host.uid}:{sandbox.host.uid}",
        command=("/usr/local/lib/companion/gateway.sh",),
        attachments=(
            Attachment(outside.name, outside.address(2)),
            Attachment(inside.name, inside.address(2)),
        ),
        joins=tuple(sorted(set(sandbox.contribution.networks))),
        publish=_published(sandbox),
        binds=(
            Bind(Files(Directory.GATEWAY), haproxy.CONFIG, read_only=True),
            Bind(Files(Directory.SECRETS), haproxy.SECRETS, read_only=True),
            Bind(Files(Directory.CERTIFICATES), haproxy.CERTIFICATES, read_only=True),
            Bind(Files(Directory.CONTROL), CONTROL, read_only=False),
        ),
        tmpfs=_SCRATCH_OF_OURS,
        sysctls=(_LOW_PORTS, *_NO_IPV6),
        hosts=_host_names(outside),
        restart="on-failure",
        memory=limits.MEMORY,
        pids=128,
        cpu_shares=1024,
        configuration=(("ways in and names", digest_files(_fixed(contents))),),
    )


def _fixed(contents: tuple[File, ...]) -> tuple[File, ...]:
    """Return the files that are read only at start: ingress and names are never reloaded."""
    return tuple(f for f in contents if f.path == "ingress.cfg" or f.path.endswith(".conf"))


def _reloads(
    sandbox: Sandbox, seals: Mapping[SecretRef, str], leaves: tuple[File, ...]
) -> Iterator[tuple[str, str]]:
    """Yield each thing that the gateway allows or adds; a removed entry narrows the rules."""
    yield "egress mode", sandbox.egress.mode
    yield "log level", sandbox.log_level
    yield "trusted certificates", digest(sandbox.host.trusted_certificates.decode("latin-1"))
    yield from ((f"the desktop's address {address}", "") for address in sandbox.host.addresses)
    yield from ((f"host {host}", "") for host in allowed_hosts(sandbox.egress))
    yield from (
        (f"service {u.scheme}://{u.endpoint}", digest([asdict(h) for h in u.headers]))
        for u in sandbox.upstreams
    )
    yield from ((f"secret {secret.name}", seals.get(secret, "")) for secret in sandbox.secrets)
    yield from (
        (f"certificate {leaf.path.removesuffix('.pem')}", digest_files((leaf,))) for leaf in leaves
    )


def _net(sandbox: Sandbox, image: Image) -> Service:
    inside = sandbox.internal_network
    return Service(
        name=f"{sandbox.agent}-net",
        role=Role.NET,
        image=image.tag,
        user=ROOT,
        command=("/usr/local/lib/companion/net.sh", inside.address(2)),
        hostname=sandbox.agent,
        attachments=(Attachment(inside.name, inside.address(3)),),
        binds=(_HOSTS, _RESOLV),
        tmpfs=_SCRATCH_OF_OURS,
        capabilities=("NET_ADMIN", *BECOME_THE_AGENT),
        sysctls=(_LOW_PORTS, *_NO_IPV6),
        memory="64m",
        pids=64,
        cpu_shares=1024,
    )


def _agent(sandbox: Sandbox, image: Image) -> Service:
    keys = (Bind(Files(Directory.SSHD), sshd.KEYS, read_only=True),) if sandbox.ssh else ()
    names = (_HOSTS, _RESOLV) if sandbox.gateway else ()
    service = Service(
        name=sandbox.agent,
        role=Role.AGENT,
        image=image.tag,
        user=f"{sandbox.host.uid}:{sandbox.host.uid}",
        command=sandbox.program.command,
        hostname=sandbox.agent,
        network_of=f"{sandbox.agent}-net",
        binds=(*names, *keys, *_mounts(sandbox)),
        tmpfs=_SCRATCH,
        environment=(("HOME", sandbox.program.home), *environment.render(sandbox)),
        workdir=sandbox.workdir,
        configuration=(("sshd", digest_files((sshd.render(sandbox),))),) if sandbox.ssh else (),
        memory=sandbox.limits.memory,
        pids=sandbox.limits.pids,
        cpus=sandbox.limits.cpus or "",
        cpu_shares=512,
    )
    if sandbox.contribution.root_hooks:
        service = _started_as_root(service, sandbox)
    return service if sandbox.gateway else _without_gateway(service, sandbox)


def _started_as_root(agent: Service, sandbox: Sandbox) -> Service:
    """Return the agent started as root, which runs the root hooks and then becomes the agent."""
    capabilities = tuple(sorted({*BECOME_THE_AGENT, *sandbox.contribution.capabilities}))
    given = tuple((f"COMPANION_SET_{name}", v) for name, v in environment.render(sandbox))
    return replace(
        agent,
        user=ROOT,
        capabilities=capabilities,
        writable=True,
        environment=(("HOME", sandbox.program.home), *given),
    )


def _without_gateway(agent: Service, sandbox: Sandbox) -> Service:
    """Return the agent on its own network, publishing its own ports."""
    outside = sandbox.egress_network
    return replace(
        agent,
        network_of="",
        attachments=(Attachment(outside.name, outside.address(2)),),
        publish=_published(sandbox),
        # Without root, only podman knows the address by which a container reaches the desktop.
        binds=agent.binds if sandbox.host.rootless else (_HOSTS, *agent.binds),
        sysctls=_NO_IPV6,
    )


def _published(sandbox: Sandbox) -> tuple[Publish, ...]:
    return tuple(Publish(p.host, p.container, p.address) for p in sandbox.ports)


def _host_names(outside: Network) -> tuple[tuple[str, str], ...]:
    """Return the names that docker and podman give this machine."""
    return tuple((name, outside.address(1)) for name in dns.DESKTOP)


def _keys(sandbox: Sandbox, host_key: tuple[File, ...]) -> Iterator[tuple[str, str]]:
    """Yield what sshd loads while it runs: at each login, or when it is signaled."""
    given = sandbox.ssh.authorized_keys if sandbox.ssh else None
    if given:
        yield "authorized keys", digest_files(sandbox.files_of(given))
    if host_key:
        yield HOST_KEY, digest_files(host_key)


def _mounts(sandbox: Sandbox) -> tuple[Bind, ...]:
    """Return the config's mounts, outer targets before inner ones.

    A volume's name is prefixed with its agent's, so that agents of a fleet do not share volumes.
    """
    found = sandbox.found

    def source(mount: Mount) -> HostPath | Volume:
        if mount.is_volume:
            return Volume(f"{sandbox.agent}_{mount.source}")
        return HostPath(found[mount_file(mount)].real)

    binds = (Bind(source(m), m.target, m.read_only) for m in sandbox.mounts)
    return tuple(sorted(binds, key=lambda bind: bind.target))
