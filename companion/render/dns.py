"""What do the gateway's two dnsmasq processes read?

The agent's is a sinkhole: names have one meaningless address, but those of intercepted services
another, and no query leaves. The inner one answers HAProxy only, from the gateway's /etc/hosts and
the engine's own resolver, which gateway.sh names: to read /etc/resolv.conf, dnsmasq would take one
of the few inotify instances that the desktop's user has.
"""

from companion.render.haproxy import RESOLVER_PORT, TLS_DEFAULT
from companion.sandbox.model import Sandbox
from companion.spec.containers import File

SINKHOLE = "192.0.2.1"
DIRECT = "192.0.2.2"
"""Who dials this one by TLS is led past the frontend that only reads names (net.sh)."""

_COMMON = "keep-in-foreground\nuser=\ngroup=\nbind-interfaces\nno-resolv\n"


def render(sandbox: Sandbox) -> tuple[File, ...]:
    """Return sinkhole.conf with the names that it reads anew at each reload, and resolver.conf."""
    sinkhole = (
        f"{_COMMON}port=53\nlisten-address={sandbox.internal_network.address(2)}\n"
        f"pid-file=/tmp/sinkhole.pid\nno-hosts\naddn-hosts=/tmp/gateway/direct.hosts\n"
        f"local=/#/\naddress=/#/{SINKHOLE}\n"
    )
    direct = (u.host for u in sandbox.upstreams_by("https") if u.port == TLS_DEFAULT)
    resolver = (
        f"{_COMMON}port={RESOLVER_PORT}\nlisten-address=127.0.0.1\npid-file=\ncache-size=1000\n"
    )
    return (
        File("sinkhole.conf", sinkhole.encode()),
        File("direct.hosts", "".join(f"{DIRECT} {host}\n" for host in direct).encode()),
        File("resolver.conf", resolver.encode()),
    )


def resolv_conf(sandbox: Sandbox) -> File:
    """Return the resolv.conf of the agent's namespace."""
    text = f"nameserver {sandbox.internal_network.address(2)}\noptions ndots:0\n"
    return File("resolv.conf", text.encode())
