"""Subnets: which private ranges of this machine a new sandbox may use."""

import hashlib
import ipaddress
from collections.abc import Collection, Iterator

from companion.errors import CompanionError
from companion.system.route_tables import Route

POOLS = tuple(
    map(
        ipaddress.IPv4Network,
        ("10.231.0.0/16", "172.30.0.0/16", "192.168.224.0/19", "198.19.0.0/16"),
    )
)
"""Private ranges, and one for benchmarks (RFC 2544), which VPNs that route all private ones leave.

100.64.0.0/10 is not among them: Tailscale and the networks of providers use all of it.
"""
_PREFIX = 28


def choose(seed: str, taken: Collection[str], routes: Collection[Route] = ()) -> tuple[str, str]:
    """Return two /28 subnets that overlap nothing that is in use.

    A route that covers more than a whole pool does not prevent its use, because the longer prefix
    of our subnet wins. But pools that no route covers come first.

    Args:
        seed: where the search starts, so that an agent gets the same subnets again.
        taken: subnets that are in use (CIDR texts).
        routes: the routes of this machine.

    Raises:
        CompanionError: every pool is in use.
    """
    wide = [route for route in routes if _is_wide(route)]
    used = [ipaddress.ip_network(subnet, strict=False) for subnet in taken]
    used += [route.network for route in routes if not _is_wide(route)]
    free = (c for c in _candidates(seed, wide) if not any(map(c.overlaps, used)))
    first, second = next(free, None), next(free, None)
    if first is None or second is None:
        raise CompanionError(
            "no private subnet is left for a sandbox",
            f"free a part of {', '.join(map(str, POOLS))}: `ip route` shows what uses them",
        )
    return str(first), str(second)


def covering(chosen: Collection[str], routes: Collection[Route]) -> str:
    """Return the wide route, e.g. of a VPN, that also covers chosen subnets; "" if none does."""
    networks = [ipaddress.IPv4Network(subnet) for subnet in chosen]
    over = (r.network for r in routes if _is_wide(r) and any(map(r.network.overlaps, networks)))
    return str(max(over, key=lambda network: network.prefixlen, default=""))


def _is_wide(route: Route) -> bool:
    """Tell whether a route leads more than a pool elsewhere, not just one network."""
    return not route.own and any(
        route.network.prefixlen < pool.prefixlen and route.network.overlaps(pool) for pool in POOLS
    )


def _candidates(seed: str, wide: Collection[Route]) -> Iterator[ipaddress.IPv4Network]:
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
    for pool in sorted(POOLS, key=lambda pool: _rank(pool, wide)):
        count = 1 << (_PREFIX - pool.prefixlen)
        for step in range(count):
            offset = (number + step) % count << (32 - _PREFIX)
            yield ipaddress.IPv4Network((int(pool.network_address) + offset, _PREFIX))


def _rank(pool: ipaddress.IPv4Network, wide: Collection[Route]) -> tuple[bool, int]:
    """Return how much routes elsewhere speak against a pool: the widest ones mean it least."""
    covering = [route for route in wide if route.network.overlaps(pool)]
    return max(((r.comes_first, r.network.prefixlen) for r in covering), default=(False, -1))
