"""Fences: asks a namespace which one it admits, by a dry run that creates nothing."""

import json
from collections.abc import Iterator
from dataclasses import replace

from companion.engine.model import ClusterChoice
from companion.errors import EngineError
from companion.kubernetes import fence_choice, objects
from companion.kubernetes.cluster import Cluster, Fence
from companion.kubernetes.kubectl import Kubectl
from companion.kubernetes.names import Manifest, Names
from companion.sandbox.addressing import GATEWAY
from companion.spec.containers import Target


def admitted(choice: ClusterChoice, project: str, target: Target) -> ClusterChoice:
    """Return the choice with the strongest fence that its namespace admits for a sandbox.

    A Pod that is there makes room for the one that replaces it, so no quota speaks against that.

    Raises:
        EngineError: it admits none, or does not answer.
    """
    kubectl = Kubectl(choice)
    names = Names(choice.namespace, project, target.agent, choice.owner)

    def objects_with(fence: Fence) -> Iterator[Manifest]:
        on_nodes = choice.node_seccomp
        place = Cluster(choice.namespace, choice.registry, GATEWAY, fence, node_seccomp=on_nodes)
        for service in target.services:
            yield from objects.workload(service.role, target, names, place)

    def dry_run(pod: Manifest) -> object:
        try:
            return kubectl.ask(*fence_choice.DRY_RUN, stdin=json.dumps(pod))
        except EngineError as error:
            if fence_choice.is_quota(error) and is_there(pod):
                return ""
            raise

    def is_there(pod: Manifest) -> bool:
        labels = ",".join(f"{key}={value}" for key, value in pod["metadata"]["labels"].items())
        return bool(kubectl.ask("get", "pods", f"--selector={labels}", "--output=name").strip())

    fence = fence_choice.choose(choice.namespace, objects_with, dry_run)
    return replace(choice, fence="policy" if fence is Fence.POLICY else "pod")
