"""Desired state: one sandbox as images, networks, services and mounted files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from companion.plugins import git, instructions
from companion.plugins.contribution import Mount, SecretRef
from companion.reconcile.gateway_services import (
    BECOME_THE_AGENT,
    HOSTS,
    NO_IPV6,
    RESOLV,
    ROOT,
    SCRATCH,
    image_of_gateways,
    published,
    services,
)
from companion.render import dns, dockerfile, environment, haproxy, ingress, sshd
from companion.sandbox import brought, repositories
from companion.sandbox.model import Sandbox, mount_file
from companion.spec.containers import (
    Attachment,
    Bind,
    Directory,
    File,
    Files,
    HostPath,
    Image,
    Service,
    Target,
    Volume,
    digest_files,
)
from companion.spec.identity import Role, digest

HOST_KEY = "host key"
"""The reloadable entry for which sshd must be signaled: since 9.8, OpenSSH keeps it in memory."""

BROUGHT = "your own agent settings"
"""The reloadable entry for which the agent copies the brought files into its home again."""


@dataclass(frozen=True, slots=True)
class Assets:
    """The static files of images."""

    gateway: tuple[File, ...]
    agent: tuple[File, ...]
    """The scripts of the agent's image."""
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
    agent_image = dockerfile.render(sandbox, assets.agent)
    loads = (*_keys(sandbox, host_key), *_brought(sandbox))
    agent = replace(_agent(sandbox, agent_image), reloads=loads)
    gateway_image = image_of_gateways(sandbox.host, assets.gateway)
    addressing = sandbox.addressing
    gateway_files = (
        *haproxy.render(sandbox, addressing),
        *(() if sandbox.is_on_cluster else (ingress.render(sandbox),)),
        *dns.render(sandbox, addressing),
    )
    around = services(sandbox, gateway_image, gateway_files, seals, leaves)
    all_services = (*around, agent) if sandbox.gateway else (agent,)
    filtered = tuple(replace(s, seccomp=assets.seccomp_file.path) for s in all_services)
    networks = (sandbox.egress_network, *((sandbox.internal_network,) if sandbox.gateway else ()))
    target = Target(
        agent=sandbox.agent,
        login=sandbox.login,
        images=(gateway_image, agent_image) if sandbox.gateway else (agent_image,),
        networks=() if sandbox.is_on_cluster else networks,
        services=filtered,
        ports=_ports(sandbox) if sandbox.is_on_cluster else (),
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


def _agent(sandbox: Sandbox, image: Image) -> Service:
    keys = (Bind(Files(Directory.SSHD), sshd.KEYS, read_only=True),) if sandbox.ssh else ()
    names = (HOSTS, RESOLV) if sandbox.gateway and sandbox.host.shares_files else ()
    signing = (Bind(Files(Directory.SIGNING), git.SIGNING, read_only=True),)
    own = (Bind(Files(Directory.BROUGHT), brought.MOUNTED, read_only=True),)
    service = Service(
        name=sandbox.agent,
        role=Role.AGENT,
        image=image.tag,
        user=f"{sandbox.host.uid}:{sandbox.host.uid}",
        command=sandbox.program.command,
        hostname=sandbox.agent,
        network_of=Role.NET.service_of(sandbox.agent),
        binds=(
            *names,
            *keys,
            *(signing if sandbox.signer else ()),
            *(own if sandbox.brought else ()),
            Bind(Files(Directory.REACH), instructions.DIRECTORY, read_only=True),
            *_mounts(sandbox),
        ),
        tmpfs=SCRATCH,
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
    if sandbox.is_on_cluster:
        ports = ("the gateway's ports", digest(_ports(sandbox)))
        service = replace(service, network_of="", configuration=(*service.configuration, ports))
    return service if sandbox.gateway else _without_gateway(service, sandbox)


def _ports(sandbox: Sandbox) -> tuple[int, ...]:
    return tuple(haproxy.ports(sandbox.upstreams, *haproxy.OWN_PORTS))


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
    outside, host = sandbox.egress_network, sandbox.host
    names_desktop = host.shares_files and not host.rootless
    return replace(
        agent,
        network_of="",
        attachments=(Attachment(outside.name, outside.address(2)),),
        publish=published(sandbox),
        # Only the engine knows the address by which a container reaches the desktop without root,
        # and the names of its own machine if that is elsewhere.
        binds=(HOSTS, *agent.binds) if names_desktop else agent.binds,
        sysctls=NO_IPV6,
    )


def _keys(sandbox: Sandbox, host_key: tuple[File, ...]) -> Iterator[tuple[str, str]]:
    """Yield what sshd loads while it runs: at each login, or when it is signaled."""
    given = sandbox.ssh.authorized_keys if sandbox.ssh else None
    if given:
        yield "authorized keys", digest_files(sandbox.files_of(given))
    if host_key:
        yield HOST_KEY, digest_files(host_key)


def _brought(sandbox: Sandbox) -> Iterator[tuple[str, str]]:
    if sandbox.brought:
        yield BROUGHT, digest_files(sandbox.brought)


def seed_volume(agent: str, directory: str) -> str:
    """Return the name of the volume that stands for a directory of the desktop (its real path)."""
    return f"{_seeds(agent)}{digest([directory])[:12]}"


def is_seed(agent: str, volume: str) -> bool:
    """Tell whether a volume of an agent stands for a directory of the desktop."""
    return volume.startswith(_seeds(agent))


def _seeds(agent: str) -> str:
    return f"{agent}_seed-"


def _mounts(sandbox: Sandbox) -> tuple[Bind, ...]:
    """Return the config's mounts, outer targets before inner ones.

    What git on the desktop obeys in a mounted repository is a read-only mount of its own.

    A volume's name is prefixed with its agent's, so that agents of a fleet do not share volumes. On
    an engine elsewhere, a directory of the desktop is a volume, too: `seeding` fills it.
    """

    def source(mount: Mount) -> HostPath | Volume:
        if mount.is_volume:
            return Volume(f"{sandbox.agent}_{mount.source}")
        real = sandbox.found[mount_file(mount)].real
        if sandbox.host.shares_files:
            return HostPath(real)
        return Volume(seed_volume(sandbox.agent, real))

    binds = (Bind(source(m), m.target, m.read_only) for m in sandbox.mounts)
    protected = repositories.binds(sandbox.repositories)
    by_target = {bind.target: bind for bind in (*protected, *binds)}
    return tuple(by_target[target] for target in sorted(by_target))
