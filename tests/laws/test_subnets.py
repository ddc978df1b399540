"""A sandbox's subnets overlap nothing that this machine uses, and a wide route prevents none."""

import ipaddress
import sys
from pathlib import Path

import pytest

from companion.errors import CompanionError
from companion.reconcile import subnets
from companion.system import network, route_tables

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
HALVES = ("0.0.0.0/1", "128.0.0.0/1")
HERE = {"dst": "192.168.1.0/24", "dev": "eth0", "protocol": "kernel", "scope": "link"}
LOCAL = {"type": "local", "dst": "127.0.0.0/8", "dev": "lo", "table": "local", "protocol": "kernel"}
DEFAULT = {"dst": "default", "gateway": "192.168.1.1", "dev": "eth0"}


def chosen(*routes: dict[str, str], taken: tuple[str, ...] = ()) -> tuple[str, str]:
    known = list(route_tables.linux([DEFAULT, HERE, LOCAL, *routes]))
    found = subnets.choose("project/coder", taken, known)
    outer, inner = map(ipaddress.IPv4Network, found)
    assert not outer.overlaps(inner)
    assert subnets.choose("project/coder", taken, known) == found
    return found


def through(*destinations: str, **others: str) -> list[dict[str, str]]:
    """Return routes as a VPN adds them."""
    return [{"dst": one, "gateway": "10.8.0.1", "dev": "tun0", **others} for one in destinations]


def pool(subnet: str) -> str:
    return next(str(p) for p in subnets.POOLS if p.supernet_of(ipaddress.IPv4Network(subnet)))


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([], "10.231.0.0/16"),
        (through(*HALVES), "10.231.0.0/16"),
        (through("10.0.0.0/8"), "172.30.0.0/16"),
        (through(*PRIVATE), "198.19.0.0/16"),
        (through(*PRIVATE, *HALVES), "198.19.0.0/16"),
        (through(*PRIVATE, "198.18.0.0/15"), "10.231.0.0/16"),
        (through("10.0.0.0/8", table="52"), "172.30.0.0/16"),
        ([*through(*PRIVATE), *through("198.18.0.0/15", table="52")], "10.231.0.0/16"),
    ],
    ids=str,
)
def test_pools_that_no_route_covers_come_first_and_then_those_that_wide_routes_cover(
    routes: list[dict[str, str]], expected: str
):
    assert {pool(one) for one in chosen(*routes)} == {expected}


@pytest.mark.parametrize(
    "used",
    [
        {"dst": "10.0.0.0/8", "dev": "eth0", "protocol": "kernel", "scope": "link"},
        {"dst": "10.231.0.0/16", "gateway": "10.8.0.1", "dev": "tun0"},
        {"dst": "10.231.0.0/17", "dev": "tun0"},
    ],
    ids=str,
)
def test_an_interface_and_a_route_to_one_network_are_left_alone_even_if_a_vpn_covers_the_rest(
    used: dict[str, str],
):
    everything = through(*PRIVATE, "198.18.0.0/15")
    taken = ("198.19.0.0/16", "192.168.0.0/16", "172.16.0.0/12")
    if used["dst"] == "10.231.0.0/17":
        found = chosen(*everything, used, taken=taken)
        assert all(one.startswith("10.231.") for one in found)
        assert all(int(one.split(".")[2]) >= 128 for one in found)
    else:
        with pytest.raises(CompanionError, match="no private subnet is left"):
            chosen(*everything, used, taken=taken)


def test_the_narrowest_route_that_covers_a_subnet_is_named():
    routes = list(route_tables.linux([*through(*HALVES, "10.0.0.0/8"), HERE]))
    assert subnets.covering(("10.231.0.0/28",), routes) == "10.0.0.0/8"
    assert subnets.covering(("198.19.0.0/28",), routes) == "128.0.0.0/1"
    assert subnets.covering(("198.19.0.0/28",), routes[2:]) == ""


ADDRESSES_ONLY = """
[ "$3" = addr ] || exit 1
echo '[{"addr_info": [{"local": "127.0.0.1"}]}]'
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there `ip` lists them")
@pytest.mark.parametrize("script", ["", "exit 1", ADDRESSES_ONLY])
def test_no_build_begins_while_it_is_unknown_what_it_may_not_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
):
    if script:
        (tmp_path / "ip").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "ip").chmod(0o755)
    assert "127.0.0.1/32" in network.own_networks()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompanionError, match="which no build may reach"):
        network.own_networks()
