"""Many agents in one namespace: what a look at them costs in calls, bytes and memory.

A real API server has all their objects, copied from those of one agent that runs there; only their
containers are missing. docs/kubernetes.md has the figures. COMPANION_SCALE is their number.
"""

import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import place
import pytest
from desk import ROOT
from node import SCRIPT, Cluster, Object, Space
from place import Place

from companion.kubernetes import listing

pytestmark = [pytest.mark.reach, pytest.mark.timeout(2400)]
AGENTS = int(os.environ.get("COMPANION_SCALE", "30"))
REPORT = ROOT / "build/reach/kubernetes-scale.md"
PATHS = {
    "secrets": "api/v1", "configmaps": "api/v1", "services": "api/v1", "pods": "api/v1",
    "networkpolicies": "apis/networking.k8s.io/v1",
}  # fmt: skip
GIVEN = {
    "uid", "resourceVersion", "creationTimestamp", "managedFields", "ownerReferences", "selfLink",
}  # fmt: skip
AT_ONCE, CHANGES, PAUSE, QUIET = 4, 200, 0.1, 15.0
MORE = 20
"""MB of memory by which a watcher may grow."""
READS = """
import json, resource, sys, time
from companion.kubernetes import listing, pods_seen
def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
before, begin = most(), time.monotonic()
{}
print(f"{{time.monotonic() - begin:.1f}} {{most() - before:.0f}}")
"""
PARSES = {
    "as JSON": "json.load(open(sys.argv[1]))",
    "as lines": "list(pods_seen.containers(listing.objects(open(sys.argv[1]).read()), ''))",
}


def send(cluster: Cluster, method: str, calls: list[tuple[str, Object]]) -> None:
    """Send (path, body) to the API server, by an administrator: kubectl would take an hour."""
    directory = cluster.config.parent
    context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
    context.load_cert_chain(directory / "admin.crt", directory / "admin.key")
    server = re.search(r"https://([0-9.:]+)", cluster.config.read_text())
    assert server
    kind = "application/json" if method == "POST" else "application/merge-patch+json"

    def some(mine: list[tuple[str, Object]]) -> None:
        connection = http.client.HTTPSConnection(server[1], context=context, timeout=60)
        for path, body in mine:
            connection.request(method, path, json.dumps(body), {"Content-Type": kind})
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status in {200, 201}, said
        connection.close()

    with ThreadPoolExecutor(AT_ONCE) as senders:
        tuple(senders.map(some, (calls[number::AT_ONCE] for number in range(AT_ONCE))))


def copied(one: Object, name: str, sandbox: str) -> Object:
    """Return an object of the agent as one of another agent, which no controller takes up."""
    text = json.dumps(one).replace(sandbox, sandbox.replace("coder-", f"{name}-", 1))
    made: Object = json.loads(text)
    kept = {k: v for k, v in made["metadata"].items() if k not in GIVEN}
    made["metadata"] = kept | {"labels": kept["labels"] | {"dev.companion.agent": name}}
    spec = made.get("spec", {})
    for field in ("nodeName", "selector", *(("clusterIP", "clusterIPs") if is_given(spec) else ())):
        spec.pop(field, None)
    if made["kind"] == "Pod":
        spec["schedulerName"] = "nobody"
    made.get("status", {}).pop("podIP", None)
    made.get("status", {}).pop("podIPs", None)
    return made


def is_given(spec: Object) -> bool:
    return spec.get("clusterIP", "None") != "None"


def fill(space: Space) -> None:
    """Give the namespace the objects of all other agents."""
    chosen = ("-l", "dev.companion.agent=coder")
    (sandbox,) = {
        one["metadata"]["name"].removesuffix("-0")
        for one in space.get(
            "pods", *chosen, "-l", "dev.companion.agent=coder,dev.companion.role=agent"
        )["items"]
    }
    names = [f"a{number:04}" for number in range(1, AGENTS)]
    for kind, version in PATHS.items():
        path = f"/{version}/namespaces/{space.name}/{kind}"
        listed = space.get(kind, *chosen)["items"]
        made = [copied(one, name, sandbox) for name in names for one in listed]
        send(space.cluster, "POST", [(path, one) for one in made])
        if kind == "pods":
            states = [
                (f"{path}/{p['metadata']['name']}/status", {"status": p["status"]}) for p in made
            ]
            send(space.cluster, "PATCH", states)


@contextmanager
def without_stand_ins() -> Iterator[None]:
    """Stop the node's DNS and its enforcement of policies, which list everything all the time."""
    subprocess.run([*SCRIPT, "exec", "pkill", "-STOP", "-f", "stand_ins.py"], check=True)
    try:
        yield
    finally:
        subprocess.run([*SCRIPT, "exec", "pkill", "-CONT", "-f", "stand_ins.py"], check=True)


class Watcher:
    """A `companion watch` and what it does."""

    def __init__(self, made: Place) -> None:
        made.calls_file.write_text("")
        self.made, self.process = made, made.desk.start("watch")

    def memory(self, field: str = "VmHWM") -> float:
        """Return a figure of its memory, in MB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(rf"{field}:\s+(\d+) kB", text)[0]) / 1000

    def __enter__(self) -> Self:
        self.settled(QUIET)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    def settled(self, quiet: float) -> None:
        """Wait until it has not called kubectl for a while (seconds)."""
        before, since = -1, time.monotonic()
        while time.monotonic() - since < quiet:
            if (now := len(self.calls)) != before:
                before, since = now, time.monotonic()
            time.sleep(0.2)

    @property
    def calls(self) -> list[str]:
        return [c for c in self.made.calls_file.read_text().splitlines() if "config view" not in c]

    @property
    def watches(self) -> int:
        return sum("--watch-only" in call for call in self.calls)


@pytest.fixture(scope="module")
def filled(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Place, Path, float]]:
    """A namespace that is filled, one of its agents, and a watcher's memory (MB) before that."""
    directory = tmp_path_factory.mktemp("scale")
    with place.made(cluster, f"scale-{os.getpid()}", directory) as made:
        project = made.desk.project(place.AGENT.format(name="coder", memory="512m"), "scale")
        made.up(project).ok()
        with Watcher(made) as watcher:
            before = watcher.memory()
        with without_stand_ins():
            try:
                fill(made.space)
                yield made, project, before
            finally:
                cluster.kubectl("delete", "namespace", made.space.name).ok()


def measured(argv: list[str], env: dict[str, str], out: Path) -> tuple[float, float]:
    """Run a command; return its seconds and the most memory that it had, in MB."""
    begin = time.monotonic()
    with out.open("w") as file, subprocess.Popen(argv, env=env, stdout=file) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, argv
    return time.monotonic() - begin, used.ru_maxrss / 1000


def lists(made: Place, directory: Path) -> Iterator[str]:
    """Measure one list of all Pods in both shapes, and reading it."""
    kubectl = (str(made.space.cluster.program), "--namespace", made.space.name)
    env = os.environ | made.space.cluster.environment("user")
    shapes = {"as JSON": "--output=json", "as lines": listing.SHAPE}
    yield "| all Pods | MB | kubectl: s | MB of memory | read here: s | MB of memory |"
    yield "|---|---|---|---|---|---|"
    for name, shape in shapes.items():
        file = directory / "list"
        took, memory = measured([*kubectl, "get", "pods", shape], env, file)
        code = READS.format(PARSES[name])
        argv = [sys.executable, "-c", code, str(file)]
        read = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
        size = file.stat().st_size / 1e6
        yield f"| {name} | {size:.1f} | {took:.1f} | {memory:.0f} | {' | '.join(read)} |"


def commands(made: Place, project: Path) -> Iterator[str]:
    yield "| command | s | calls of kubectl |"
    yield "|---|---|---|"
    for command in ("status", "plan", "list"):
        begin = time.monotonic()
        calls = made.calls("-C", str(project), command)
        yield f"| `{command}` | {time.monotonic() - begin:.1f} | {len(calls)} |"


def test_many_agents_cost_a_desktop_one_watch_and_little_memory(
    filled: tuple[Place, Path, float], tmp_path: Path
):
    made, project, before = filled
    lines = [f"{AGENTS} agents in a namespace of Kubernetes 1.20:", "", *lists(made, tmp_path), ""]
    lines += [*commands(made, project), ""]
    with Watcher(made) as watcher:
        first, at_rest, begin = len(watcher.calls), watcher.memory(), time.monotonic()
        touch(made.space)
        watcher.settled(QUIET)
        took, memory = time.monotonic() - begin - QUIET, watcher.memory()
        changed, watches = len(watcher.calls) - first, watcher.watches
    lines += [
        "| `watch` | calls of kubectl | s | MB of memory at most |",
        "|---|---|---|---|",
        f"| of one agent | - | - | {before:.0f} |",
        f"| of all, at its start | {first} | - | {at_rest:.0f} |",
        f"| {CHANGES} changes of Pods | {changed} | {took:.0f} | {memory:.0f} |",
    ]
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text("\n".join(lines) + "\n")
    assert watches == 1
    assert memory <= before + MORE
    assert changed <= CHANGES / 4


def touch(space: Space) -> None:
    """Change many Pods, one after the other."""
    path = f"/api/v1/namespaces/{space.name}/pods"
    pods = space.get("pods", "-l", "dev.companion.role=gateway")["items"]
    for number in range(CHANGES):
        name = pods[number % len(pods)]["metadata"]["name"]
        body = {"metadata": {"annotations": {"test": str(number)}}}
        send(space.cluster, "PATCH", [(f"{path}/{name}", body)])
        time.sleep(PAUSE)
