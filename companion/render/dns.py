"""What do the gateway's two dnsmasq processes read?

The agent's is a sinkhole: every name has one meaningless address and no query leaves. The inner
one answers HAProxy only, from the gateway's /etc/hosts and the engine's own resolver.
"""

from companion.render.haproxy import RESOLVER_PORT
from companion.sandbox import Sandbox
from companion.services import File

SINKHOLE = "192.0.2.1"

_COMMON = "keep-in-foreground\nuser=\ngroup=\npid-file=\nbind-interfaces\n"


def render(sandbox: Sandbox) -> tuple[File, ...]:
    """Return sinkhole.conf and resolver.conf."""
    sinkhole = (
        f"{_COMMON}port=53\nlisten-address={sandbox.internal_network.address(2)}\n"
        f"no-resolv\nno-hosts\nlocal=/#/\naddress=/#/{SINKHOLE}\n"
    )
    resolver = (
        f"{_COMMON}port={RESOLVER_PORT}\nlisten-address=127.0.0.1\n"
        "resolv-file=/etc/resolv.conf\ncache-size=1000\nno-poll\n"
    )
    return File("sinkhole.conf", sinkhole.encode()), File("resolver.conf", resolver.encode())


def resolv_conf(sandbox: Sandbox) -> File:
    """Return the resolv.conf of the agent's namespace."""
    text = f"nameserver {sandbox.internal_network.address(2)}\noptions ndots:0\n"
    return File("resolv.conf", text.encode())
