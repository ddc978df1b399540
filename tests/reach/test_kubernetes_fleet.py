"""Twenty agents on one node: up side by side, and looked at by one list instead of one for each."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def fleet(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Place, Path]]:
    directory = tmp_path_factory.mktemp("fleet")
    with place.made(cluster, f"twenty-{os.getpid()}", directory) as made:
        project = made.desk.home / "fleet"
        for name in AGENTS:
            (project / name).mkdir(parents=True)
            text = place.AGENT.format(name=name, memory="512m")
            (project / name / "agent.yaml").write_text(text)
        (project / "fleet.yaml").write_text(f"agents: {json.dumps(AGENTS)}\n")
        yield made, project


def timed(fleet: tuple[Place, Path], *command: str) -> tuple[float, list[str]]:
    """Run a command for all agents; return its seconds, and how it called kubectl."""
    made, project = fleet
    begin = time.monotonic()
    calls = made.calls("-C", str(project), *command)
    return time.monotonic() - begin, calls


def verbs(calls: list[str]) -> Counter[str]:
    return Counter(call.split(" --namespace ")[-1].split()[1] for call in calls)


def most_at_once(pods: list[Any]) -> int:
    """Return how many of these Pods were starting at one moment, by the cluster's clock."""
    begins = [(pod["metadata"]["creationTimestamp"], 1) for pod in pods]
    states = [pod["status"]["containerStatuses"][0]["state"] for pod in pods]
    ends = [(state["running"]["startedAt"], -1) for state in states]
    return max(accumulate(change for _, change in sorted(begins + ends)))


def report(figures: dict[str, tuple[float, list[str]]], load: float) -> None:
    lines = [f"{len(AGENTS)} agents on one node of Kubernetes 1.20, load {load:.1f}:", ""]
    for what, (seconds, calls) in figures.items():
        told = ", ".join(f"{count} {verb}" for verb, count in verbs(calls).most_common())
        lines.append(f"- {what}: {seconds:.1f} s, {len(calls)} calls of kubectl: {told or 'none'}")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text("\n".join(lines) + "\n")


def test_twenty_agents_start_together_and_are_looked_at_together(fleet: tuple[Place, Path]):
    made, project = fleet
    figures = {"`up`, which builds and pushes images": timed(fleet, "up", "--on", "team")}
    made.desk.companion("-C", str(project), "down").ok()
    figures["`up`, whose images the registry has"] = timed(fleet, "up")
    load = os.getloadavg()[0]
    agents = made.space.get("pods", "-l", "dev.companion.role=agent")["items"]
    states = made.desk.companion("-C", str(project), "status", "--json").ok().data["agents"]
    for command in ("status", "plan", "up", "down"):
        figures[f"`{command}` of what runs"] = timed(fleet, command)
    report(figures, load)
    assert [one["state"] for one in states] == ["running"] * len(AGENTS)
    assert most_at_once(agents) >= min(AT_ONCE, len(AGENTS))
    for command in ("status", "plan"):
        calls = verbs(figures[f"`{command}` of what runs"][1])
        assert calls["get"] == calls.total() <= LISTS
