"""The desktop's own network: addresses, routes and free ports."""

import ipaddress
import json
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from companion.errors import CompanionError
from companion.system import files, platforms, process, route_tables
from companion.system.route_tables import Route

_PATIENCE = 5.0
_RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""Where nameservers are listed; the second one, if the first names a stub on this machine."""
QUERY = bytes.fromhex("7749010000010000000000000000020001")
"""A DNS query for the root's nameservers, which says nothing about anybody."""
_ROUTES = {"darwin": ("netstat", "-rn", "-f", "inet"), "win32": ("route", "print", "-4")}
"""Platform without `ip` → what prints its routes."""
_LISTING = {
    "darwin": "check that `netstat -rn` and `ifconfig` work",
    "linux": "check that `ip address` and `ip route` work; they come with iproute2",
    "win32": "check that `route print` works",
}
"""Platform → what to do where it does not list its networks."""


def routes() -> list[Route]:
    """Return the routes of this machine, without default ones."""
    if printing := _ROUTES.get(platforms.HERE):
        return list(route_tables.other(process.run(printing, timeout=_PATIENCE).stdout))
    return list(route_tables.linux(_ip_json("-4", "route", "show", "table", "all")))


def nameserver() -> str:
    """Return the address of a nameserver beyond this machine, "" if none is configured."""
    found: list[str] = []
    for path in _RESOLVERS:
        with suppress(CompanionError):  # it is not ours: whatever is in it ends nothing
            found += re.findall(r"(?m)^nameserver\s+([\d.]+)\s*$", files.read_text(path) or "")
    return next((one for one in found if not one.startswith("127.")), "")


def answers_queries(address: str) -> bool:
    """Tell whether a nameserver answers this machine within two seconds."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.settimeout(1)
        out.connect((address, 53))
        for _ in range(2):
            out.send(QUERY)
            with suppress(TimeoutError):
                return bool(out.recv(1))
    return False


def outward_address() -> str:
    """Return the address that this machine has for others, "" without a network; sends nothing."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("192.0.2.1", 9))
        return str(out.getsockname()[0])
    return ""


def shadowing(address: str, addresses: str) -> str:
    """Return the subnet by which slirp4netns hides an address of this machine, "" if none does.

    Args:
        address: an IPv4 address of this machine.
        addresses: what `ip -o address` prints in the namespace of an engine without root.
    """
    for found in re.finditer(r"\btap\d+\s+inet ([0-9.]+/[0-9]+)", addresses):
        subnet = ipaddress.ip_interface(found[1]).network
        if address and ipaddress.ip_address(address) in subnet:
            return str(subnet)
    return ""


def port_is_free(port: int) -> bool:
    """Tell whether who listens on a loopback port right now is reached there.

    Binding alone does not tell: a forwarding rule that a killed engine left behind leads away.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
            with socket.create_connection(("127.0.0.1", port), timeout=1) as caller:
                listener.settimeout(1)
                reached, address = listener.accept()
                reached.close()
                return bool(address == caller.getsockname())
        except OSError:
            return False


def public_addresses() -> Iterable[str]:
    """Return the host's own public IPv4 addresses; private ones are never reachable anyway."""
    return (one for one in _addresses() if ipaddress.ip_address(one).is_global)


def is_public_address(network: str) -> bool:
    """Tell whether a network (CIDR) is one address that is reached from everywhere."""
    found = ipaddress.IPv4Network(network)
    return found.prefixlen == found.max_prefixlen and found.is_global


def own_networks() -> list[str]:
    """Return the networks of this machine's interfaces, and its addresses, as CIDR texts.

    Raises:
        CompanionError: the system does not list them; any machine has at least a loopback device.
    """
    found, addresses = routes(), tuple(_addresses())
    if not (found and addresses):
        what = "cannot list this machine's own networks and addresses, which no build may reach"
        raise CompanionError(what, _LISTING[platforms.HERE])
    networks = (str(route.network) for route in found if route.own)
    return sorted({*networks, *(f"{address}/32" for address in addresses)})


def _addresses() -> Iterable[str]:
    if platforms.HERE == "darwin":
        return route_tables.addresses(process.run(("ifconfig",), timeout=_PATIENCE).stdout)
    if platforms.HERE == "win32":
        with suppress(OSError):
            return socket.gethostbyname_ex(socket.gethostname())[2]
        return ()
    links = _ip_json("-4", "addr")
    return (info["local"] for link in links for info in link.get("addr_info", ()))


def _ip_json(*arguments: str) -> list[dict[str, Any]]:
    done = process.run(("ip", "-json", *arguments), timeout=_PATIENCE)
    try:
        return list(json.loads(done.stdout)) if done.code == 0 else []
    except json.JSONDecodeError:
        return []
