"""Names and labels of an agent's objects, and the part that all objects share."""

from dataclasses import dataclass
from typing import Any

from companion.spec.containers import Directory, Volume
from companion.spec.identity import Role, digest

Manifest = dict[str, Any]
"""One object as kubectl takes it."""
LABEL = "dev.companion"
OWNER = f"{LABEL}.owner"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of an agent's objects in a namespace.

    Each begins with the agent, because a Service's name begins with a letter, and then has what
    tells its project from others: the digest at the end of the project's ID. The whole ID would be
    too long: from a StatefulSet's name, Kubernetes makes labels of at most 63 characters.
    """

    namespace: str
    project: str
    agent: str
    owner: str = ""
    """The ID of the desktop whose driver makes them; "" for objects that are written to files.

    Others may have a project at the same path, and so with the same ID.
    """

    @property
    def sandbox(self) -> str:
        """The name of the agent's StatefulSet."""
        part = self.project.rpartition("-")[2]
        if self.owner:
            part = digest((self.owner, self.project))[: len(part)]
        return f"{self.agent}-{part}"

    @property
    def pod(self) -> str:
        """The name of the agent's Pod."""
        return f"{self.sandbox}-0"

    def of(self, part: Role | Directory) -> str:
        """Return the name of the objects that are part of the agent's sandbox.

        Parts contain no `-`, so that no two agents' objects share a name.
        """
        return f"{self.sandbox}-{part}"

    def claim(self, volume: Volume) -> str:
        """Return the name of a volume's claim; `.` is in no agent's name."""
        return f"{self.sandbox}.{volume.name.removeprefix(f'{self.agent}_')}"

    def labels(self, role: Role) -> dict[str, str]:
        """Return the labels by which Pods are found."""
        owner = {OWNER: self.owner} if self.owner else {}
        return owner | {
            f"{LABEL}.project": self.project,
            f"{LABEL}.agent": self.agent,
            f"{LABEL}.role": str(role),
        }

    def metadata(self, name: str, role: Role) -> dict[str, Any]:
        """Return the metadata of an object."""
        return {"name": name, "namespace": self.namespace, "labels": self.labels(role)}

    def manifest(self, version: str, kind: str, role: Role, spec: dict[str, Any]) -> Manifest:
        """Return an object of a role that has a `spec`."""
        return {
            "apiVersion": version,
            "kind": kind,
            "metadata": self.metadata(self.of(role), role),
            "spec": spec,
        }


def annotation(name: str) -> str:
    """Return the full name of an annotation of ours."""
    return f"{LABEL}.{name}"
