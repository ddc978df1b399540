"""Removal: takes a sandbox off a cluster; what closes its network goes last.

kubectl sends every deletion of one call before it waits for any. So NetworkPolicies are not removed
together with Pods, which a node may take minutes to end.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from companion.errors import Code, EngineError
from companion.kubernetes.kubectl import Kubectl
from companion.kubernetes.names import LABEL
from companion.spec.identity import Role
from companion.system import process

_PATIENCE = 90.0
"""Seconds until the next object is gone: a node that is up takes about three, a busy one 55."""
_PAUSE, _SLOWER, _LONGEST_PAUSE = 0.3, 1.2, 1.0
"""Seconds between two looks, as in starting.py."""
_OWNERS = "deployments,statefulsets"
_CONTENTS = "configmaps,secrets"
_NETWORK = "services,networkpolicies"
MADE = f"{_OWNERS},{_NETWORK},{_CONTENTS}"
"""All kinds of objects of a sandbox but its volumes' claims."""
_BEGINS = ("--ignore-not-found", "--wait=false")
_WITH_PODS = (*_BEGINS, "--cascade=foreground")
_OUR_PODS = f"{LABEL}.role in ({Role.AGENT},{Role.GATEWAY})"


@dataclass(frozen=True, slots=True)
class Removal:
    """Removes the objects that a selector finds."""

    kubectl: Kubectl
    selector: str

    def everything(self) -> None:
        """Remove all objects but the claims of volumes.

        Secrets go at once. NetworkPolicies stay until no Pod is left.

        Raises:
            EngineError: a Pod does not end; its policies are still there.
        """
        self.kubectl.call("delete", _OWNERS, self.selector, *_WITH_PODS)
        self.kubectl.call("delete", _CONTENTS, self.selector, *_BEGINS)
        ours = f"{self.selector},{_OUR_PODS}"
        self._await(_OWNERS, ours)
        self.kubectl.call("delete", "pods", ours, *_BEGINS)  # those that nothing owns
        self._await("pods", ours)
        self.kubectl.call("delete", _NETWORK, self.selector, *_BEGINS)
        self._await(f"{_NETWORK},{_CONTENTS}", self.selector)

    def begin(self, owner: str) -> None:
        """Begin to remove what makes a Pod, such as `deployment/NAME`."""
        self.kubectl.call("delete", owner, *_WITH_PODS)

    def await_end(self, left: Callable[[], Sequence[str]]) -> None:
        """Wait until nothing is left of what is being removed.

        Raises:
            EngineError: it does not end.
        """
        before, end, pause = list[str](), 0.0, _PAUSE
        while names := left():
            if names != before:
                before, end = [*names], time.monotonic() + _PATIENCE
            if time.monotonic() > end:
                raise _unfinished(self.kubectl, names)
            process.heed_interrupt()
            time.sleep(pause)
            pause = min(pause * _SLOWER, _LONGEST_PAUSE)

    def claims(self) -> None:
        """Remove the claims of volumes."""
        self.kubectl.call("delete", "persistentvolumeclaims", self.selector, *_BEGINS)
        self._await("persistentvolumeclaims", self.selector)

    def _await(self, *words: str) -> None:
        self.await_end(
            lambda: self.kubectl.ask("get", *words, "--ignore-not-found", "--output=name").split()
        )


def _unfinished(kubectl: Kubectl, left: Sequence[str]) -> EngineError:
    names = ", ".join(left)
    what = f"the cluster has not removed {names} within {_PATIENCE:.0f} s"
    if any(one.startswith("pod/") for one in left):
        what += "; the network of what still runs stays closed"
    choice = kubectl.choice
    where = f"--context {choice.context} --namespace {choice.namespace}"
    hint = f"`kubectl {where} describe {left[0]}` tells more: its node may be down; then try again"
    return EngineError(what, hint, code=Code.ENGINE_FAILED)
