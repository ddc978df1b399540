"""Addressing: where a gateway listens, and how it tells its agent from others."""

from dataclasses import dataclass, replace

SINKHOLE = "192.0.2.1"
DIRECT = "192.0.2.2"
"""TLS to this address bypasses the frontend that only reads the SNI (see net.sh)."""


GATEWAY = "192.0.2.3"
"""Stands for the address of the gateway's Service on a cluster, which is filled in there."""
_CLIENTS = "/tmp/agents.lst"  # noqa: S108 - in the gateway, see pod-watch.sh


@dataclass(frozen=True, slots=True)
class Addressing:
    """The addresses in the configuration of a gateway; they depend on where the sandbox runs."""

    listen: str
    """The address on which the gateway listens for the agent."""
    clients: str
    """Who may connect, as HAProxy's `src` matches it: an address, or `-f FILE`."""
    answer: str = SINKHOLE
    """What every name resolves to for the agent."""
    direct: str = DIRECT
    """What intercepted services resolve to; empty where nothing redirects it."""


IN_POD = Addressing("0.0.0.0", f"-f {_CLIENTS}")  # noqa: S104 - its Pod's only address
"""On a cluster, where Pods have other addresses each time they start."""
BEHIND_POLICIES = replace(IN_POD, answer=GATEWAY, direct="")
"""The same where nobody redirects what the agent dials."""
