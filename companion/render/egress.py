"""The hosts that a sandbox may reach by name, and the addresses that none may reach.

SPECIAL_ADDRESSES are IANA's special-purpose registry (RFC 6890 and
successors); the desktop's own addresses are added at render time.
"""

from companion.config.models import Egress
from companion.config.presets import PRESETS
from companion.sandbox.model import Sandbox

SPECIAL_ADDRESSES = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)

_DOCUMENTATION = {"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}
PRIVATE_ADDRESSES = tuple(net for net in SPECIAL_ADDRESSES if net not in _DOCUMENTATION)
"""Networks that image builds must not reach; those for documentation (RFC 5737) are nobody's."""


def hosts_of(sandbox: Sandbox) -> tuple[str, ...]:
    """Return the hosts and patterns that a sandbox may reach, those allowed once included."""
    once = sandbox.once if sandbox.egress.mode == "listed" else ()
    return tuple(sorted({*allowed_hosts(sandbox.egress), *once}))


def allowed_hosts(egress: Egress) -> tuple[str, ...]:
    """Return the hosts and `*.` patterns that may be reached on ports 443 and 80, sorted."""
    presets = (host for preset in egress.presets for host in PRESETS[preset])
    return tuple(sorted({*egress.allow, *presets}))
