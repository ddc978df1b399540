"""Fences: asks a namespace which one it admits, by a dry run that creates nothing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from companion.engine.model import ClusterChoice
from companion.engine.shared_lists import SharedLists
from companion.errors import EngineError
from companion.kubernetes import fence_choice, objects
from companion.kubernetes.cluster import Cluster, Fence
from companion.kubernetes.kubectl import Kubectl
from companion.kubernetes.names import Manifest, Names
from companion.sandbox.addressing import GATEWAY
from companion.spec.containers import Target

_CHOSEN = SharedLists(seconds=30.0)
"""What was chosen for equal Pods a moment ago."""


def admitted(choice: ClusterChoice, project: str, target: Target) -> ClusterChoice:
    """Return the choice with the strongest fence that its namespace admits for a sandbox.

    A Pod that is there makes room for the one that replaces it, so no quota speaks against that.

    Equal Pods of a fleet's agents are sent once.

    Raises:
        EngineError: it admits none, or does not answer.
    """
    names = Names(choice.namespace, project, target.agent, choice.owner)

    def objects_with(fence: Fence) -> Iterator[Manifest]:
        on_nodes = choice.node_seccomp
        place = Cluster(choice.namespace, choice.registry, GATEWAY, fence, node_seccomp=on_nodes)
        for service in target.services:
            yield from objects.workload(service.role, target, names, place)

    def choose(dry_run: Callable[[Kubectl, Manifest], object]) -> Fence:
        sent = partial(dry_run, Kubectl(choice))
        return fence_choice.choose(choice.namespace, objects_with, sent)

    pods = [one["spec"] for one in fence_choice.bare_pods(objects_with(Fence.POD))]
    question = replace(choice, fence="pod"), json.dumps(pods).replace(names.sandbox, "")
    try:
        fence = _CHOSEN.get(question, lambda: choose(_dry_run))
    except EngineError as error:
        if not fence_choice.is_quota(error):
            raise
        fence = choose(_dry_run_of_another)
    return replace(choice, fence="policy" if fence is Fence.POLICY else "pod")


def _dry_run(kubectl: Kubectl, pod: Manifest) -> object:
    return kubectl.ask(*fence_choice.DRY_RUN, stdin=json.dumps(pod))


def _dry_run_of_another(kubectl: Kubectl, pod: Manifest) -> object:
    """Do so where a Pod may be there already that makes room for it."""
    try:
        return _dry_run(kubectl, pod)
    except EngineError as error:
        labels = ",".join(f"{key}={value}" for key, value in pod["metadata"]["labels"].items())
        there = ("get", "pods", f"--selector={labels}", "--output=name")
        if fence_choice.is_quota(error) and kubectl.ask(*there).strip():
            return ""
        raise
