"""Fence choice: asks a cluster which of a sandbox's fences it admits, by Pods that it never makes.

Admission judges Pods, and nobody sees what it says of those of a StatefulSet before the StatefulSet
is there. So the same Pods are sent alone, for a dry run on the server.
"""

import re
from collections.abc import Callable, Iterable

from companion.errors import Code, EngineError
from companion.kubernetes.cluster import Fence
from companion.kubernetes.kubectl import role
from companion.kubernetes.names import Manifest

DRY_RUN = ("create", "--dry-run=server", "--output=name", "--filename=-")
"""What kubectl is called with; the Pod is its input."""
_SERVER = re.compile(r"(?m)^Error from server(?: \(\w+\))?: (?:error when creating \"[^\"]*\": )?")
_POD = re.compile(r"^pods \"[^\"]*\" is forbidden: |^Pod \"[^\"]*\" is invalid: ")
_LONGEST = 600
"""Characters of a reason: Pod Security names each container with each rule that it breaks."""
_NO_RIGHT = re.compile(r"^(pods is forbidden: )?User \"(?P<user>[^\"]*)\" cannot \w+ resource ")
_NO_NAMESPACE = re.compile(r"^namespaces \"[^\"]*\" not found")
_ENDING = re.compile(r"because it is being terminated")
_NO_ROOM = re.compile(r"^exceeded quota")
_QUOTA = re.compile(r"^\[?(exceeded quota|failed quota|(maximum|minimum) \w+ usage per )")


def bare_pods(objects: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Return the Pods that Deployments and StatefulSets among the objects would make."""
    return tuple(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **one["spec"]["template"]["metadata"],
                "generateName": f"{one['metadata']['name']}-",
                "namespace": one["metadata"]["namespace"],
            },
            "spec": one["spec"]["template"]["spec"],
        }
        for one in objects
        if one["kind"] in {"Deployment", "StatefulSet"}
    )


def choose(
    namespace: str,
    objects_with: Callable[[Fence], Iterable[Manifest]],
    dry_run: Callable[[Manifest], object],
) -> Fence:
    """Return the strongest fence whose Pods the cluster admits; nothing is created.

    Args:
        namespace: where the Pods are to be.
        objects_with: returns a sandbox's objects with a fence. Addresses do not matter.
        dry_run: calls kubectl with DRY_RUN and an object.

    Raises:
        EngineError: the cluster would make neither's Pods, with its reason; or `dry_run` did, for a
            reason that is not about them.
    """
    try:
        _admit(namespace, Fence.POD, objects_with, dry_run)
    except _NotAdmittedError:
        _admit(namespace, Fence.POLICY, objects_with, dry_run)
        return Fence.POLICY
    return Fence.POD


class _NotAdmittedError(EngineError):
    """Admission refuses a Pod for what it is, so another one may be admitted."""


def _admit(
    namespace: str,
    fence: Fence,
    objects_with: Callable[[Fence], Iterable[Manifest]],
    dry_run: Callable[[Manifest], object],
) -> None:
    for pod in bare_pods(objects_with(fence)):
        try:
            dry_run(pod)
        except EngineError as error:
            raise refusal(namespace, error) from None


def is_quota(error: EngineError) -> bool:
    """Tell whether a namespace refused a Pod because it has no room for one more."""
    found = _SERVER.search(error.log)
    return bool(found and _NO_ROOM.match(_POD.sub("", error.log[found.end() :].strip())))


def refusal(namespace: str, error: EngineError) -> EngineError:
    """Return what it means that a namespace did not admit a Pod, by what kubectl said.

    An error that did not come from the server's admission is returned as it is.
    """
    found = _SERVER.search(error.log)
    if not found:
        return error
    said = error.log[found.end() :].strip()
    if right := _NO_RIGHT.match(said):
        what = f"user {right['user']} may not create Pods in the namespace {namespace}"
        hint = f"ask its administrator for the Role in {role()}"
        return EngineError(what, hint, error.log, code=Code.ENGINE_DENIED)
    if _NO_NAMESPACE.match(said):
        what = f"the cluster has no namespace {namespace}"
        hint = f"run `kubectl create namespace {namespace}`, or name another one in the place"
        return EngineError(what, hint, error.log)
    reason = _POD.sub("", said)
    if len(reason) > _LONGEST:
        reason = f"{reason[:_LONGEST]}…"
    what = f"the namespace {namespace} does not admit the sandbox: {reason}"
    if _ENDING.search(said):
        return EngineError(what, "wait until it is gone, and create it again", error.log)
    if _QUOTA.match(reason):
        hint = "ask its administrator for more, remove what is not needed, or lower `limits:`"
        return EngineError(what, hint, error.log)
    hint = "choose a namespace that admits Pods with these rights, or ask its administrator"
    return _NotAdmittedError(what, hint, error.log)
