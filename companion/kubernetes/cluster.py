"""Cluster: where a sandbox's objects are to be, and what closes its network there."""

from dataclasses import dataclass, replace
from enum import StrEnum

from companion.sandbox.addressing import BEHIND_POLICIES, GATEWAY, IN_POD, Addressing
from companion.spec.containers import File
from companion.spec.identity import digest


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
        return BEHIND_POLICIES if self.fence is Fence.POLICY else IN_POD

    @property
    def seal(self) -> str:
        """A digest of what Pods here are made from, besides their service."""
        seen = (self.registry, self.gateway, str(self.fence), self.node_seccomp)
        return digest(seen)

    @property
    def answer(self) -> str:
        """What every name resolves to for the agent."""
        return self.addressing.answer.replace(GATEWAY, self.gateway)

    def filled(self, file: File) -> File:
        """Return a file of the gateway's with its Service's address."""
        return replace(file, content=file.content.replace(GATEWAY.encode(), self.gateway.encode()))

    def reference(self, tag: str) -> str:
        """Return the name by which nodes pull an image; its tag stays the digest."""
        return reference(self.registry, tag)


def reference(registry: str, tag: str) -> str:
    """Return the name by which nodes pull an image that is called `tag` on the desktop."""
    return f"{registry}/{tag.removeprefix('localhost/companion/')}"
