"""Which subnets and which port shall a new sandbox have? Chosen once, then kept."""

import hashlib
import ipaddress
from collections.abc import Callable, Collection, Iterator

from companion.errors import CompanionError

FIRST_PORT = 2222
_POOLS = ("10.231.0.0/16", "172.30.0.0/16", "192.168.224.0/19")
_PREFIX = 28


def subnets(seed: str, taken: Collection[str]) -> tuple[str, str]:
    """Return two /28 subnets that overlap none of `taken` (CIDR texts).

    Where the search begins comes from `seed`: the same project gets the same subnets again.

    Raises:
        CompanionError: every pool is covered, e.g. by a VPN that routes everything private.
    """
    used = [ipaddress.ip_network(network, strict=False) for network in taken]
    free = (c for c in _candidates(seed) if not any(c.overlaps(u) for u in used if u.version == 4))  # noqa: PLR2004
    first, second = next(free, None), next(free, None)
    if first is None or second is None:
        hint = f"free a part of {' or '.join(_POOLS)} (a VPN may route all of it)"
        raise CompanionError("no private subnet is left for a sandbox", hint)
    return str(first), str(second)


def port(taken: Collection[int], is_free: Callable[[int], bool]) -> int:
    """Return the first port from 2222 up that nobody has.

    Raises:
        CompanionError: none is left.
    """
    for candidate in range(FIRST_PORT, 65536):
        if candidate not in taken and is_free(candidate):
            return candidate
    raise CompanionError("no free port from 2222 up", "stop what holds them")


def _candidates(seed: str) -> Iterator[ipaddress.IPv4Network]:
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
    for pool in map(ipaddress.IPv4Network, _POOLS):
        count = 1 << (_PREFIX - pool.prefixlen)
        for step in range(count):
            offset = (number + step) % count << (32 - _PREFIX)
            yield ipaddress.IPv4Network((int(pool.network_address) + offset, _PREFIX))
