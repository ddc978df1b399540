"""Allocation: apart from the sandbox's model, because every command reads it."""

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allocation:
    """Values that are chosen once per agent and then kept: alias, two /28 subnets, SSH port."""

    alias: str
    egress_subnet: str
    internal_subnet: str
    ssh_port: int | None = None

    @property
    def subnets(self) -> tuple[str, str]:
        """The subnets of both networks, the one that leads out first."""
        return self.egress_subnet, self.internal_subnet

    @property
    def bridge(self) -> str:
        """The engine's own address on the network that leads out."""
        return str(ipaddress.IPv4Network(self.egress_subnet)[1])
