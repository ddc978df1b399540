"""Maps and lists that the gateway reads, and those that let it end streams no longer allowed.

Each stream goes to a HAProxy server that stands for the rule that allowed it: `s0`-`s255` for
listed hosts, `u…` for a configured endpoint, `any` for any host in open mode. So the streams of a
removed host can be ended while all others continue.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict

from companion.plugins.contribution import Upstream
from companion.render.egress import SPECIAL_ADDRESSES, hosts_of
from companion.sandbox.model import Sandbox
from companion.spec.containers import File
from companion.spec.identity import digest

SLOTS = 256
"""Number of servers for listed hosts; each costs the gateway 10 KB of memory."""


def render(sandbox: Sandbox) -> tuple[File, ...]:
    """Return the maps and lists that egress.cfg and the gateway's scripts read."""
    lists = {
        "http.map": (f"{u.endpoint} {server(u)}" for u in sandbox.upstreams_by("http")),
        "https.map": (f"{u.endpoint} {server(u)}" for u in sandbox.upstreams_by("https")),
        "hosts.map": (f"{h} {_slot(h)}" for h in hosts_of(sandbox) if not h.startswith("*.")),
        "suffixes.map": (f"{h[1:]} {_slot(h)}" for h in hosts_of(sandbox) if h.startswith("*.")),
        "never.lst": _never(sandbox),
        "streams.lst": sorted(_streams(sandbox)),
        "rules.lst": sorted(_rules(sandbox)),
    }
    return tuple(
        File(name, "".join(f"{line}\n" for line in lines).encode()) for name, lines in lists.items()
    )


def server(upstream: Upstream) -> str:
    """Return the server that stands for a configured endpoint."""
    return f"u{digest(upstream.endpoint)[:12]}"


def _slot(host: str) -> str:
    """Return the server that stands for a listed host or pattern; two seldom share one."""
    return f"s{int.from_bytes(hashlib.sha256(host.encode()).digest()[:2]) % SLOTS}"


def _never(sandbox: Sandbox) -> tuple[str, ...]:
    return (*SPECIAL_ADDRESSES, *sandbox.host.addresses)


def _streams(sandbox: Sandbox) -> Iterator[str]:
    """Yield a line for each backend/server with the rule that allows its streams.

    The gateway ends the streams whose line is removed.
    """
    bounds = digest(_never(sandbox))
    listed = [(_slot(host), host) for host in hosts_of(sandbox)]
    free = [("any", "*")] if sandbox.egress.mode == "open" else []
    for name, host in (*listed, *free):
        yield f"passthrough/{name} {host} {bounds}"
        yield f"http_upstream/{name} {host} {bounds}"
    for upstream in sandbox.upstreams_by("http"):
        yield f"http_upstream/{server(upstream)} {upstream.endpoint} {upstream.network}".rstrip()
    trust = digest(sandbox.host.trusted_certificates.decode("latin-1"))
    for upstream in sandbox.upstreams_by("https"):
        yield f"https_upstream/{server(upstream)} {upstream.endpoint} {trust}"
        yield f"https_upgrade/{server(upstream)} {upstream.endpoint} {trust}"


def _rules(sandbox: Sandbox) -> Iterator[str]:
    """Yield a line for each endpoint with a digest of its headers and request rules.

    Workers with older rules stop serving an endpoint once its line is removed.
    """
    for upstream in sandbox.upstreams:
        yield f"{upstream.endpoint} {treatment(upstream)} {upstream.network}".rstrip()


def treatment(upstream: Upstream) -> str:
    """Return a digest of how requests to an endpoint are judged and changed."""
    headers = [asdict(header) for header in upstream.headers]
    return digest([*headers, upstream.rules.text] if upstream.rules else headers)
