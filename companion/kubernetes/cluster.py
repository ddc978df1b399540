"""Cluster: where a sandbox's objects are to be, and what closes its network there."""

from dataclasses import dataclass
from enum import StrEnum

from companion.sandbox.addressing import Addressing
from companion.spec.containers import Image

_CLIENTS = "/tmp/agents.lst"  # noqa: S108 - in the gateway, see pod-watch.sh


class Fence(StrEnum):
    """What closes the agent's network; NetworkPolicies do so in addition to POD."""

    POD = "pod"
    """The Pod's first init container, whose only capability is NET_ADMIN."""
    POLICY = "policy"
    """NetworkPolicies alone, for clusters that grant no capability.

    It is weaker: whoever deletes the policy opens the running agent, and where the cluster's
    network applies policies late, only the check before the agent's start holds it back.
    """


@dataclass(frozen=True, slots=True)
class Cluster:
    """One agent's place in a cluster."""

    namespace: str
    registry: str
    """What the names of images begin with, such as `registry.example.com/team`."""
    gateway: str
    """The ClusterIP of the gateway's Service, which is the agent's DNS server."""
    fence: Fence = Fence.POD
    node_seccomp: bool = False
    """Whether its nodes have our list of system calls; otherwise its own profile limits them."""
    storage: str = "10Gi"
    """What each volume asks for."""

    @property
    def addressing(self) -> Addressing:
        """Addresses in the gateway's configuration: Pods have others each time they start."""
        clients = f"-f {_CLIENTS}"
        if self.fence is Fence.POLICY:  # nobody redirects what the agent dials
            return Addressing("0.0.0.0", clients, answer=self.gateway, direct="")  # noqa: S104
        return Addressing("0.0.0.0", clients)  # noqa: S104 - its Pod's only address

    def reference(self, image: Image) -> str:
        """Return the name by which nodes pull an image; its tag stays the digest."""
        return f"{self.registry}/{image.tag.removeprefix('localhost/companion/')}"
