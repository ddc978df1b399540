"""Configuration of the gateway's two dnsmasq processes.

The sinkhole answers the agent. It resolves intercepted services to one placeholder address and all
other names to another, and forwards no query. The resolver answers HAProxy only, with the names
that engines give the desktop and from the engine's own resolver. gateway.sh passes the latter as an
option: to watch /etc/resolv.conf, dnsmasq would use one of the user's few inotify instances.
"""

from collections.abc import Iterable

from companion.render.haproxy import RESOLVER_PORT, TLS_DEFAULT
from companion.sandbox.addressing import Addressing
from companion.sandbox.model import Sandbox
from companion.spec.containers import File

NAMES = "/tmp/names.hosts"  # noqa: S108
"""Written by gateway.sh: only our names of its /etc/hosts, where podman may copy the desktop's."""
DESKTOP = ("host.containers.internal", "host.docker.internal")
"""The names that podman and docker give this machine."""

_COMMON = "keep-in-foreground\nuser=\ngroup=\nbind-interfaces\nno-resolv\n"


def render(sandbox: Sandbox, addressing: Addressing) -> tuple[File, ...]:
    """Return sinkhole.conf, the hosts file that it rereads at each reload, and resolver.conf."""
    sinkhole = (
        f"{_COMMON}port=53\nlisten-address={addressing.listen}\n"
        f"pid-file=/tmp/sinkhole.pid\nno-hosts\naddn-hosts=/tmp/gateway/direct.hosts\n"
        f"local=/#/\naddress=/#/{addressing.answer}\n"
    )
    served = (u.host for u in sandbox.upstreams_by("https") if u.port == TLS_DEFAULT)
    direct = served if addressing.direct else ()
    resolver = (
        f"{_COMMON}port={RESOLVER_PORT}\nlisten-address=127.0.0.1\npid-file=\ncache-size=1000\n"
        f"no-hosts\naddn-hosts={NAMES}\n"
    )
    return (
        File("sinkhole.conf", sinkhole.encode()),
        File("direct.hosts", "".join(f"{addressing.direct} {host}\n" for host in direct).encode()),
        File("resolver.conf", resolver.encode()),
    )


def read_at_start(files: Iterable[File]) -> tuple[File, ...]:
    """Return the files of a gateway that it reads only when it starts."""
    return tuple(file for file in files if file.path.endswith(".conf"))


def hosts(sandbox: Sandbox) -> File:
    """Return the /etc/hosts of the agent's namespace; podman would copy the desktop's.

    Without a gateway, it also names the desktop, as engines do.
    """
    inside, outside = sandbox.internal_network, sandbox.egress_network
    own = f"{inside.address(3) if sandbox.gateway else outside.address(2)} {sandbox.agent}\n"
    desktop = "" if sandbox.gateway else f"{outside.address(1)} {' '.join(DESKTOP)}\n"
    return File("hosts", f"127.0.0.1 localhost\n{own}{desktop}".encode())


def resolv_conf(sandbox: Sandbox) -> File:
    """Return the resolv.conf for the agent's network namespace."""
    text = f"nameserver {sandbox.internal_network.address(2)}\noptions ndots:0\n"
    return File("resolv.conf", text.encode())
