"""Twenty agents on one node: up side by side, and looked at by one list instead of one for each."""

import json
import os
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import place
import pytest
from desk import ROOT
from node import Cluster
from place import Place

pytestmark = [pytest.mark.reach, pytest.mark.timeout(2400)]
AGENTS = [f"a{number:02}" for number in range(int(os.environ.get("COMPANION_FLEET", "20")))]
AT_ONCE = 4
"""How many start side by side at least; Companion works on eight agents at a time."""
LISTS = 2
"""Those of Pods with what is around them, and of what holds files."""
REPORT = ROOT / "build/reach/kubernetes-fleet.md"
NODE = Path("/sys/fs/cgroup/cpuacct/companion-kubernetes/cpuacct.usage")


@dataclass
class Fleet:
    """A project of twenty agents, and what its commands took."""

    made: Place
    project: Path
    calls: dict[str, Counter[str]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def timed(self, what: str, *command: str) -> None:
        """Run a command; note its seconds, those of processors, and how it called kubectl."""
        node, desktop, begin = of_node(), of_desktop(), time.monotonic()
        self.made.calls_file.write_text("")
        process = self.made.desk.start("-C", str(self.project), *command)
        out, err = process.communicate()
        seconds = time.monotonic() - begin
        assert process.returncode == 0, err + out
        calls = (call.split(" --namespace ")[-1] for call in self.made.called())
        counts = Counter(call.split()[1] for call in calls)
        told = ", ".join(f"{count} {verb}" for verb, count in counts.most_common()) or "none"
        self.calls[what] = counts
        self.lines.append(
            f"- {what}: {seconds:.1f} s (load {os.getloadavg()[0]:.0f}; processors: node"
            f" {of_node() - node:.1f} s, desktop {of_desktop() - desktop:.1f} s);"
            f" {counts.total()} calls of kubectl: {told}"
        )

    def change(self, before: str, after: str) -> None:
        file = self.project / AGENTS[0] / "agent.yaml"
        file.write_text(file.read_text().replace(before, after))

    def login(self) -> None:
        argv = ["ssh", "-F", self.made.desk.paths.ssh_config, f"{AGENTS[0]}.sandbox", "true"]
        begin = time.monotonic()
        subprocess.run(argv, check=True, env=self.made.desk.environment)
        self.lines.append(f"- `ssh {AGENTS[0]}.sandbox true`: {time.monotonic() - begin:.2f} s")


def of_node() -> float:
    """Return the seconds that processors have worked for the node."""
    return int(NODE.read_text()) / 1e9 if NODE.exists() else 0.0


def of_desktop() -> float:
    """Return the same of the commands that ended here, clients included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="module")
def fleet(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    directory = tmp_path_factory.mktemp("fleet")
    with place.made(cluster, f"twenty-{os.getpid()}", directory) as made:
        project = made.desk.home / "fleet"
        for name in AGENTS:
            (project / name).mkdir(parents=True)
            text = place.AGENT.format(name=name, memory="512m")
            (project / name / "agent.yaml").write_text(text)
        (project / "fleet.yaml").write_text(f"agents: {json.dumps(AGENTS)}\n")
        yield Fleet(made, project)


def most_at_once(pods: list[Any]) -> int:
    """Return how many of these Pods were starting at one moment, by the cluster's clock."""
    begins = [(pod["metadata"]["creationTimestamp"], 1) for pod in pods]
    states = [pod["status"]["containerStatuses"][0]["state"] for pod in pods]
    ends = [(state["running"]["startedAt"], -1) for state in states]
    return max(accumulate(change for _, change in sorted(begins + ends)))


def test_twenty_agents_start_together_and_are_looked_at_together(fleet: Fleet):
    fleet.timed("`up`, which builds and pushes images", "up", "--on", "team")
    agents = fleet.made.space.get("pods", "-l", "dev.companion.role=agent")["items"]
    fleet.timed("`down`", "down")
    fleet.timed("`up`, whose images the registry has", "up")
    states = fleet.made.desk.companion("-C", str(fleet.project), "status", "--json").ok().data
    for command in ("status", "plan", "up"):
        fleet.timed(f"`{command}` of what runs", command)
    fleet.login()
    fleet.change("listed.test", "listed.test, more.test")
    fleet.timed("reload of one agent", "up", AGENTS[0])
    fleet.change("512m", "513m")
    fleet.timed("recreation of one agent", "up", AGENTS[0])
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    title = f"{len(AGENTS)} agents on one node of Kubernetes 1.20, {os.cpu_count()} cores:"
    REPORT.write_text("\n".join((title, "", *fleet.lines)) + "\n")
    assert [one["state"] for one in states["agents"]] == ["running"] * len(AGENTS)
    assert len({pod["spec"]["containers"][0]["image"] for pod in agents}) == 1
    assert most_at_once(agents) >= min(AT_ONCE, len(AGENTS))
    for command in ("status", "plan"):
        calls = fleet.calls[f"`{command}` of what runs"]
        assert calls["get"] == calls.total() <= LISTS
