"""Windows and macOS, simulated by other_platform.py; what their programs print is real."""

import json
import subprocess
import sys

import pytest
from desk import ROOT, Desk

from companion.system import desktop_argv, route_tables

SIMULATION = ROOT / "tests/other_platform.py"


def simulated(desk: Desk, platform: str, *command: str) -> tuple[dict[str, str], int, str]:
    """Return which modules could not be imported, and how a command ended and what it said."""
    argv = [sys.executable, SIMULATION, platform, *command]
    done = subprocess.run(
        argv, env=desk.environment, cwd=desk.home, capture_output=True, text=True, check=False
    )
    first, _, rest = done.stdout.partition("\n")
    assert first, done.stderr
    return json.loads(first), done.returncode, rest + done.stderr


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_every_module_imports_without_what_the_platform_lacks(desk: Desk, platform: str):
    assert simulated(desk, platform)[0] == {}


@pytest.mark.parametrize("platform", ["win32", "darwin"])
@pytest.mark.parametrize(
    "command",
    [
        "--version",
        "--help",
        "list",
        "init made --name coder --runtime pi",
        "validate",
        "pause --all",
        "autostart on",
        "doctor --json",
        "uninstall --yes",
    ],
)
def test_commands_run_without_what_the_platform_lacks(desk: Desk, platform: str, command: str):
    failed, code, said = simulated(desk, platform, *command.split())
    assert "bug in companion" not in said, said
    assert (failed, code in {0, 1}) == ({}, True), said


MACOS = """\
Routing tables

Internet:
Destination        Gateway            Flags               Netif Expire
default            192.168.0.1        UGScg                 en0
default            link#24            UCSIg               utun6
10.8/24            10.8.0.3           UGSc                utun6
10.8.0.3           10.8.0.3           UH                  utun6
127                127.0.0.1          UCS                   lo0
169.254            link#6             UCS                   en0      !
172.16             link#24            UCS                 utun6
192.168.64         link#18            UC              bridge100      !
192.168.0.1/32     link#6             UCS                   en0      !
224.0.0/4          link#6             UmCS                  en0      !
"""
WINDOWS = """\
IPv4 Route Table
===========================================================================
Active Routes:
Network Destination        Netmask          Gateway       Interface  Metric
          0.0.0.0          0.0.0.0      192.168.1.1    192.168.1.105     25
        127.0.0.0        255.0.0.0         On-link         127.0.0.1    331
     172.28.208.0    255.255.240.0         On-link      172.28.208.1   5256
===========================================================================
Persistent Routes:
  None
"""
IFCONFIG = """\
en0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\tinet6 fe80::1c1e:4c4f:2f9%en0 prefixlen 64 secured scopeid 0x6
\tinet 192.168.0.4 netmask 0xffffff00 broadcast 192.168.0.255
utun6: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1420
\tinet 10.8.0.3 --> 10.8.0.3 netmask 0xffffff00
"""


def test_the_subnets_that_macos_routes_are_taken():
    assert list(map(str, route_tables.subnets(MACOS))) == [
        "10.8.0.0/24",
        "10.8.0.3/32",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/16",
        "192.168.64.0/24",
        "192.168.0.1/32",
        "224.0.0.0/4",
    ]


def test_the_subnets_that_windows_routes_are_taken():
    assert list(map(str, route_tables.subnets(WINDOWS))) == ["127.0.0.0/8", "172.28.208.0/20"]


def test_the_addresses_of_macos_are_known():
    assert list(route_tables.addresses(IFCONFIG)) == ["192.168.0.4", "10.8.0.3"]


def test_no_quotation_mark_ends_a_question_in_powershell():
    asked = desktop_argv.in_powershell("Remove it\u2019); calc; ('x'?")
    assert asked == "'Remove it\u2019\u2019); calc; (''x''?'"
