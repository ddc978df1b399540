"""Showing: waits until the containers of Pods show the files that were stored for them.

A kubelet looks at a changed Pod within a second, at a changed Secret within a minute and a half.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from companion.engine.model import Container
from companion.errors import EngineError
from companion.kubernetes import mounts
from companion.kubernetes.kubectl import Kubectl
from companion.kubernetes.names import Names, annotation
from companion.spec.containers import Directory, File
from companion.spec.identity import Role

Contents = Mapping[Directory, tuple[File, ...]]
_SHOWN = """\
for _ in $(seq 300); do
  if sha256sum --check --status <<<"$sums" 2>/dev/null; then exit; fi
  sleep 0.1
done
exit 1
"""
_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Showing:
    """The files of one agent, and the Pods that mount them."""

    kubectl: Kubectl
    names: Names
    pods: Callable[[], tuple[Container, ...]]
    """Lists the agent's Pods."""

    def of_gateway(self, contents: Contents) -> None:
        """Wait until the gateway shows its files, unless it is being replaced.

        The kubelets look at the agent's files soon, too.

        Raises:
            EngineError: it does not.
        """
        running = [one for one in self.pods() if one.running]
        gateway = next((one for one in running if one.role is Role.GATEWAY), None)
        mark = f"{annotation('applied')}={time.time_ns()}"
        if running:
            with suppress(EngineError):  # one may be gone by now
                self.kubectl.call("annotate", "--overwrite", "pod", *_names(running), mark)
        if gateway is None or not self._stays():
            return
        try:
            self._await(gateway, contents)
        except EngineError:
            if gateway.id in {one.id for one in self.pods() if one.running} and self._stays():
                raise

    def of_agent(self, contents: Contents) -> None:
        """Wait a while until the agent's container shows its files.

        The agent can prevent that, and gains nothing by it: nothing else depends on the answer.
        """
        for pod in self.pods():
            if pod.role is Role.AGENT and pod.running:
                with suppress(EngineError):
                    self._await(pod, contents)

    def _stays(self) -> bool:
        """Tell whether the gateway's Deployment is there and is not being removed."""
        name = self.names.of(Role.GATEWAY)
        shape = "--output=jsonpath={.metadata.name} {.metadata.deletionTimestamp}"
        found = self.kubectl.ask("get", f"deployment/{name}", "--ignore-not-found", shape)
        return found.strip() == name

    def _await(self, pod: Container, contents: Contents) -> None:
        role = pod.role or Role.AGENT
        sums = "".join(
            f"{hashlib.sha256(file.content).hexdigest()}  {path}/{file.path}\n"
            for directory, path in mounts.of(role).items()
            for file in contents.get(directory, ())
        )
        if sums:
            argv = ("exec", "--stdin", pod.name, "--container", str(role), "--", "/bin/bash", "-s")
            self.kubectl.call(*argv, stdin=f"sums='{sums}'\n{_SHOWN}", timeout=_SECONDS)


def _names(pods: Iterable[Container]) -> tuple[str, ...]:
    return tuple(one.name for one in pods)
