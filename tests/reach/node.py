"""The cluster of scripts/kubernetes.sh, for tests."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from desk import ROOT, Desk, Done

SCRIPT = ("bash", str(ROOT / "scripts/kubernetes.sh"))
Object = dict[str, Any]


@dataclass(frozen=True)
class Cluster:
    """A running cluster, and how to reach it."""

    config: Path
    registry: str
    program: Path

    def environment(self, user: str) -> dict[str, str]:
        """Return the variables by which kubectl reaches it as a user."""
        config = self.config.with_name(f"{user}.conf")
        return {"KUBECONFIG": str(config), "PATH": f"{self.program.parent}:{os.environ['PATH']}"}

    def kubectl(self, *words: str, stdin: str = "", user: str = "admin") -> Done:
        variables = os.environ | self.environment(user)
        done = subprocess.run(
            [self.program, *words],
            env=variables,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def apply(self, *objects: Object) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(listed)).ok()

    def push(self, images: list[Object]) -> None:
        """Build images from what was generated, and give them to the registry."""
        for image in images:
            given = (f"--build-arg={n}={v}" for n, v in image["arguments"].items())
            build = ("podman", "build", "-q", "--layers", *given, "-t", image["image"])
            push = ("podman", "push", "-q", "--tls-verify=false", image["image"])
            for argv in ((*build, image["context"]), push, ("podman", "rmi", image["image"])):
                done = subprocess.run(argv, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr

    def install(self, file: str, path: str) -> None:
        """Copy a file to the node."""
        argv = (*SCRIPT, "exec", "install", "-D", "-m", "644", "/dev/stdin", path)
        subprocess.run(argv, input=Path(file).read_bytes(), check=True)

    @contextmanager
    def unenforced(self) -> Iterator[None]:
        """Let NetworkPolicies have no effect meanwhile."""
        subprocess.run([*SCRIPT, "enforce", "no"], check=True)
        try:
            yield
        finally:
            subprocess.run([*SCRIPT, "enforce", "yes"], check=True)


@dataclass(frozen=True)
class Space:
    """A namespace of a cluster."""

    cluster: Cluster
    name: str

    def kubectl(self, *words: str, user: str = "admin", stdin: str = "") -> Done:
        return self.cluster.kubectl("--namespace", self.name, *words, user=user, stdin=stdin)

    def inside(self, pod: str, script: str) -> Done:
        """Run a script in a Pod's first container."""
        return self.kubectl("exec", pod, "--", "bash", "-c", script)

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json").ok().out)

    def address(self, pod: str) -> str:
        return self.get("pod", pod)["status"]["podIP"]

    def started(self, pod: str) -> None:
        """Wait until a Pod's startup probe succeeded; 1.20 calls it ready a minute later."""
        shape = ("-o", "jsonpath={.status.containerStatuses[0].started}")
        for _ in range(800):
            if self.kubectl("get", "pod", pod, *shape).out == "true":
                return
            time.sleep(0.5)
        pytest.fail(self.kubectl("describe", "pods").out[-3000:])

    def wait(self, *words: str) -> None:
        done = self.kubectl("wait", "--timeout=400s", *words)
        told = self.kubectl("describe", "pods").out if done.code else ""
        assert done.code == 0, done.err + told[-3000:]


@contextmanager
def running() -> Iterator[Cluster]:
    """Start the cluster unless it runs, and stop it then."""
    if os.geteuid():
        pytest.skip("a cluster needs root")
    ran = subprocess.run([*SCRIPT, "running"], check=False).returncode == 0
    done = subprocess.run([*SCRIPT, "start"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = dict(re.findall(r"^export KUBERNETES_(\w+)=(.*)$", done.stdout, re.MULTILINE))
    try:
        yield Cluster(Path(said["CONFIG"]), said["REGISTRY"], Path(said["KUBECTL"]))
    finally:
        if not ran:
            subprocess.run([*SCRIPT, "stop"], check=True)


def pod(name: str, image: str, *command: str) -> Object:
    """Return a Pod that is no sandbox."""
    container = {"name": name, "image": image, "command": list(command)}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    metadata = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def generated(desk: Desk, project: Path, space: Space, *words: str) -> Any:
    """Write the objects of the only agent of a project; return what was written."""
    place = ("--kubernetes", space.name, "--registry", f"{space.cluster.registry}/test")
    return desk.companion("-C", str(project), "generate", *place, *words, "--json").ok().agent
