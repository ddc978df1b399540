"""Route tables: the subnets and addresses in what macOS and Windows print of their networks."""

import ipaddress
import re
from collections.abc import Iterator

_BSD = re.compile(r"(\d+(?:\.\d+){0,3})(?:/(\d+))?\s+\S+\s+[A-Z]")
"""Destination, perhaps its prefix, gateway and flags in `netstat -rn -f inet`."""
_WINDOWS = re.compile(r"\s*(\d+(?:\.\d+){3})\s+(\d+(?:\.\d+){3})\s+\S+\s+\d")
"""Destination, mask, gateway and interface in `route print -4`."""
_OCTETS, _BITS = 4, 8


def subnets(text: str) -> Iterator[str]:
    """Yield the destination of each route but the default one, as CIDR texts.

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


def _network(address: str, mask: str) -> Iterator[str]:
    try:
        found = ipaddress.IPv4Network(f"{address}/{mask}", strict=False)
    except ValueError:
        return
    if found.prefixlen:
        yield str(found)
