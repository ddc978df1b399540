"""Addressing: where a gateway listens, and how it tells its agent from others."""

from dataclasses import dataclass

SINKHOLE = "192.0.2.1"
DIRECT = "192.0.2.2"
"""TLS to this address bypasses the frontend that only reads the SNI (see net.sh)."""


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
