"""Twenty agents on one node: up together, and looked at by one list instead of one for each."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import node
import place
import pytest
from desk import ROOT
from place import Place

pytestmark = [pytest.mark.reach, pytest.mark.timeout(2400)]
AGENTS = [f"a{number:02}" for number in range(int(os.environ.get("COMPANION_FLEET", "20")))]
SECONDS = 90
REPORT = ROOT / "build/reach/kubernetes-fleet.md"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Path]]:
    directory = tmp_path_factory.mktemp("fleet")
    with node.running() as cluster, place.made(cluster, "twenty", directory) as made:
        project = made.desk.home / "fleet"
        for name in AGENTS:
            (project / name).mkdir(parents=True)
            text = place.AGENT.format(name=name, memory="512m")
            (project / name / "agent.yaml").write_text(text)
        (project / "fleet.yaml").write_text(f"agents: {json.dumps(AGENTS)}\n")
        yield made, project


def kinds(calls: list[str]) -> Counter[str]:
    """Count calls of kubectl by their verb and what it is about."""
    said = (call.split(" --namespace ")[-1].split()[1:] for call in calls)
    return Counter(" ".join(w for w in words if not w.startswith("-"))[:40] for words in said)


def test_twenty_agents_start_together_and_are_looked_at_together(fleet: tuple[Place, Path]):
    made, project = fleet
    at = ("-C", str(project))
    made.up(project).ok()  # builds and pushes their images
    made.desk.companion(*at, "down").ok()
    begin = time.monotonic()
    started = made.calls(*at, "up")
    took = time.monotonic() - begin
    load = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    looked = {}
    for words in (("status",), ("plan",), ("up",)):
        begin = time.monotonic()
        calls = made.calls(*at, *words)
        looked[words[0]] = (time.monotonic() - begin, calls)
    lines = [
        f"{len(AGENTS)} agents on one node of Kubernetes 1.20, load {load:.1f} a core:", "",
        (f"- `up` of all, whose images the registry has: {took:.0f} s, {len(started)} calls of"
         f" kubectl: {dict(kinds(started).most_common(12))}"),
        *(f"- `{name}` of all: {seconds:.1f} s, {len(calls)} calls of kubectl: {dict(kinds(calls))}"
          for name, (seconds, calls) in looked.items()),
    ]  # fmt: skip
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text("\n".join(lines) + "\n")
    states = made.desk.companion(*at, "status", "--json").ok().data["agents"]
    assert [one["state"] for one in states] == ["running"] * len(AGENTS)
    assert len(looked["status"][1]) <= 2
    assert len(looked["plan"][1]) <= 2
    assert took < SECONDS * load
