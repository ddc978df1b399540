"""Identity: roles and digests, by which containers are told apart, and where our programs lie.

Apart from the specification itself, which takes longer to load than most commands take.
"""

import hashlib
import json
from enum import StrEnum

LIB = "/usr/local/lib/companion"
"""The directory of our programs in an agent's image."""
ATTENTION = f"{LIB}/attention"
"""The program there by which hooks tell whether the agent waits."""

LOG_SOCKET = "log.sock"
"""The name of the socket on which a watcher receives the lines of a gateway's log."""
SECURITY = ("no-new-privileges", "label=disable")
"""Security options of every container.

SELinux lets a container read no file of a home unless the file gets another label, which would
change the user's own files for all programs. So, like toolbox and distrobox, we do without it.
"""
PROXIES = tuple(
    case(f"{kind}_proxy")
    for kind in ("all", "ftp", "http", "https", "no")
    for case in (str.lower, str.upper)
)
"""Variables by which programs find a proxy; its URL may contain a password."""


class Role(StrEnum):
    """The four containers of a sandbox, in the order in which they start."""

    GATEWAY = "gateway"
    INGRESS = "ingress"
    NET = "net"
    AGENT = "agent"

    def service_of(self, agent: str) -> str:
        """Return the name of an agent's service, and of its container within the project."""
        return agent if self is Role.AGENT else f"{agent}-{self}"


def as_agent(user: str) -> tuple[str, ...]:
    """Return what precedes a command that root runs as the agent: it drops root for good."""
    become = ("--reuid", user, "--regid", user, "--init-groups")
    nothing = ("--inh-caps=-all", "--bounding-set=-all")
    return ("/usr/bin/setpriv", *become, *nothing, "/bin/bash", f"{LIB}/entrypoint.sh", "--run")


def digest(value: object) -> str:
    """Return a short digest of plain data, the same for equal data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
