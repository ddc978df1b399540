"""Route tables: the routes and addresses in what Linux, macOS and Windows print of them."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_BSD = re.compile(r"(\d+(?:\.\d+){0,3})(?:/(\d+))?\s+\S+\s+[A-Z]")
"""Destination, perhaps its prefix, gateway and flags in `netstat -rn -f inet`."""
_WINDOWS = re.compile(r"\s*(\d+(?:\.\d+){3})\s+(\d+(?:\.\d+){3})\s+\S+\s+\d")
"""Destination, mask, gateway and interface in `route print -4`."""
_OCTETS, _BITS = 4, 8
_MAIN, _LOCAL = "main", "local"


@dataclass(frozen=True, slots=True)
class Route:
    """One IPv4 route, other than a default one."""

    network: ipaddress.IPv4Network
    own: bool = False
    """It is an address of this machine, or the network of one of its interfaces."""
    comes_first: bool = False
    """It is in a table that may be asked before the main one, so no longer prefix there wins."""


def linux(routes: Iterable[Mapping[str, object]]) -> Iterator[Route]:
    """Yield the routes in the JSON output of `ip -4 route show table all`."""
    for route in routes:
        table = str(route.get("table", _MAIN))
        own = table == _LOCAL or route.get("protocol") == "kernel"
        for network in _network(*_parts(str(route.get("dst", "")))):
            yield Route(network, own, comes_first=table not in {_MAIN, _LOCAL})


def other(text: str) -> Iterator[Route]:
    """Yield the routes that macOS and Windows print.

    None is marked as our own: the engine's networks are in a virtual machine there.
    """
    return map(Route, subnets(text))


def subnets(text: str) -> Iterator[ipaddress.IPv4Network]:
    """Yield the destination of each route but the default one.

    BSD leaves out the zeros at the end of a destination, and a prefix that those zeros tell:
    `192.168.64` is 192.168.64.0/24, `10/8` is 10.0.0.0/8.
    """
    for line in text.splitlines():
        if found := _BSD.match(line):
            octets = found[1].split(".")
            whole = ".".join((*octets, *["0"] * (_OCTETS - len(octets))))
            yield from _network(whole, found[2] or str(_BITS * len(octets)))
        elif found := _WINDOWS.match(line):
            yield from _network(found[1], found[2])


def addresses(text: str) -> Iterator[str]:
    """Yield the IPv4 addresses in what `ifconfig` prints."""
    yield from re.findall(r"^\s+inet (\d+(?:\.\d+){3})\s", text, re.MULTILINE)


def _parts(destination: str) -> tuple[str, str]:
    address, _, prefix = destination.partition("/")
    return address, prefix or str(_OCTETS * _BITS)


def _network(address: str, mask: str) -> Iterator[ipaddress.IPv4Network]:
    try:
        found = ipaddress.IPv4Network(f"{address}/{mask}", strict=False)
    except ValueError:
        return
    if found.prefixlen:
        yield found
