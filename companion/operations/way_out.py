"""The way out: whether a gateway's packets leave this machine, and what holds them back."""

import re
from dataclasses import dataclass
from pathlib import Path

from companion.engine.driver import Driver, driver
from companion.errors import Code, EngineError, Problem
from companion.project import store
from companion.spec.identity import Role
from companion.system import files, network, process
from companion.system.paths import Paths

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_SILENT = "silent"
_ASK = r"""
exec 3<>/dev/udp/$1/53 || exit 0
for _ in 1 2; do
  printf '%b' "$2" >&3
  IFS= read -r -n 1 -t 1.5 -u 3 && exit 0
done
echo silent
"""
"""Asks the desktop's nameserver from a gateway; prints `silent` if nobody answers."""


_FOR_GOOD = (
    'for good: `firewall_driver = "iptables"` below [network] in /etc/containers/containers.conf,'
    " then `companion down` and `companion up`"
)


@dataclass(frozen=True, slots=True)
class WayOut:
    """The way out of one running gateway."""

    engine: Driver
    gateway: str
    subnet: str
    """The subnet of the network by which it leaves (CIDR text)."""

    def is_blocked(self) -> bool:
        """Tell whether the gateway reaches nothing although the desktop does.

        It sends a query to the desktop's nameserver. If that answers neither, the desktop is
        offline, which is no fault.
        """
        nameserver = network.nameserver()
        if not nameserver or self._is_answered(nameserver):
            return False
        return network.answers_queries(nameserver) and not self._is_answered(nameserver)

    def repair(self) -> None:
        """Restore the engine's rules, if it can do that without a restart."""
        self.engine.reconnect(self.gateway)

    def problem(self) -> Problem:
        """Return what blocks the way, and the next step."""
        rules = process.run(("iptables", "-S")).stdout  # empty unless we are root
        forwarding = files.read_text(_FORWARDING) or ""
        return blocked(self.engine.choice.name, self.subnet, forwarding, rules)

    def _is_answered(self, nameserver: str) -> bool:
        """Tell whether a nameserver answers the gateway; True if the gateway cannot be asked."""
        query = "".join(f"\\x{byte:02x}" for byte in network.QUERY)
        try:
            said = self.engine.run(
                self.gateway, "/bin/bash", "-c", _ASK, "way-out", nameserver, query
            )
        except EngineError:
            return True
        return said.strip() != _SILENT


def of_agent(home: Paths, project_id: str, agent: str) -> WayOut | None:
    """Return the way out of an agent's gateway; None if it has none, or is not on this machine."""
    record = store.read(home.project(project_id).agent(agent))
    gateway = Role.GATEWAY.service_of(agent)
    if not record or not record.engine or gateway not in record.applied.parts:
        return None
    if not record.engine.shares_files:  # nor is the desktop's nameserver its own
        return None
    return WayOut(
        driver(record.engine, project_id, agent), gateway, record.allocation.egress_subnet
    )


def blocked(engine: str, subnet: str, forwarding: str, rules: str) -> Problem:
    """Return what blocks a subnet of an engine.

    Args:
        engine: the name of the engine.
        subnet: the subnet of the network by which the gateway leaves (CIDR text).
        forwarding: the kernel's switch for forwarding; "0" is off.
        rules: the output of `iptables -S`, "" where that cannot be read.
    """
    what = f"nothing that the sandbox sends leaves this machine (from {subnet})"
    if forwarding.strip() == "0":
        cause, hint = "the kernel forwards no packets", "run `sysctl -w net.ipv4.ip_forward=1`"
    elif re.search(r"^-P FORWARD DROP", rules, re.MULTILINE):
        docker = engine == "podman" and re.search(r"^-N DOCKER", rules, re.MULTILINE)
        cause = f"{'docker' if docker else 'a firewall'} drops what it does not know (FORWARD DROP)"
        both = " && ".join(f"iptables -I FORWARD {way} {subnet} -j ACCEPT" for way in ("-s", "-d"))
        hint = f"run `{both}`" + (f", or {_FOR_GOOD}" if docker else "")
    else:
        cause = "a firewall drops it, or lost the engine's rules"
        hint = "run `companion down` and `companion up`; if that is not enough, restart " + engine
    return Problem(f"{what}: {cause}", hint, code=Code.NO_WAY_OUT)
