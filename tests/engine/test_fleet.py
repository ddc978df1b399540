"""Two agents of one fleet: apart from each other, changed apart, and watched together."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import COMPANION, Desk, make_desk
from sandboxes import wait_until

pytestmark = pytest.mark.engine

FLEET = """\
agents: [{agents}]
shared:
  container_runtime: {engine}
  egress: listed
  features:
    - plugin: ssh
"""
AGENT = 'name: {name}\nruntime: {{base_image: "debian:bookworm-slim"}}\n'
BOTH = "coder, reviewer"


class Team:
    """A fleet of two on one engine."""

    def __init__(self, engine: str, desk: Desk) -> None:
        self.engine, self.desk, self.directory = engine, desk, desk.home / "team"
        for name in ("coder", "reviewer"):
            (self.directory / name).mkdir(parents=True)
            self.configure(name)
        self.line_up(BOTH)

    def configure(self, name: str, more: str = "") -> None:
        (self.directory / name / "agent.yaml").write_text(AGENT.format(name=name) + more)

    def line_up(self, agents: str) -> None:
        text = FLEET.format(agents=agents, engine=self.engine)
        (self.directory / "fleet.yaml").write_text(text)

    def companion(self, *arguments: str):
        return self.desk.companion("-C", str(self.directory), *arguments)

    def call(self, *arguments: str) -> str:
        argv = [self.engine, *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def run(self, agent: str, command: str) -> str:
        return self.desk.ssh(f"{agent}.sandbox", command).ok().out.strip()

    @property
    def pins(self) -> str:
        return (self.desk.home / ".local/share/companion/ssh/known_hosts").read_text()

    @property
    def id(self) -> str:
        state = self.desk.home / ".local/state/companion/projects"
        return next(p.parent.name for p in state.glob("*/project.json"))

    def ids(self, agent: str) -> set[str]:
        """Return ids and start times of an agent's containers."""
        mine = (f"label=dev.companion.project={self.id}", f"label=dev.companion.agent={agent}")
        found = self.call("ps", "-aq", "--filter", mine[0], "--filter", mine[1]).split()
        shape = "{{.Id}} {{.State.StartedAt}}"
        return set(self.call("inspect", "--format", shape, *found).splitlines()) if found else set()

    def addresses(self, agent: str) -> list[str]:
        """Return every address of an agent's holder, gateway and ingress."""
        names = (f"{self.id}-{agent}-net", f"{self.id}-{agent}-gateway",
                 f"{self.id}-{agent}-ingress")  # fmt: skip
        shape = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        return self.call("inspect", "--format", shape, *names).split()


@pytest.fixture(scope="module")
def team(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    team = Team(engine, make_desk(tmp_path_factory.mktemp(engine) / "home", engines=True))
    try:
        team.companion("up", "--yes").ok()
        yield team
    finally:
        team.companion("down", "--volumes")


def test_agents_of_a_fleet_cannot_reach_each_other(team: Team):
    others = team.addresses("reviewer")
    assert len(others) == 5
    # Ports 53, 80 and 443 of any address lead to the agent's own gateway: it refuses these names.
    script = f"""
        for a in {" ".join(others)}; do for p in 22 2222 8000; do
          timeout 2 bash -c "exec 3<>/dev/tcp/$a/$p && echo reached $a $p" 2>/dev/null &
        done; done; wait
        for a in {" ".join(others)}; do
          curl -sS -m 4 -o /dev/null -w '%{{http_code}}\n' http://$a/
        done
    """
    assert team.run("coder", script).split() == ["403"] * 5
    team.run("coder", "echo mine > ~/note")
    assert team.run("reviewer", "cat ~/note 2>/dev/null || echo none") == "none"
    for agent in ("coder", "reviewer"):
        assert team.run(agent, "hostname") == agent
    assert len({line.split()[-1] for line in team.pins.splitlines()}) == 2


def test_up_of_one_agent_touches_no_other(team: Team):
    coder, reviewer = team.ids("coder"), team.ids("reviewer")
    team.configure("coder", "limits: {pids: 512}\n")
    team.configure("reviewer", "limits: {pids: 512}\n")
    plan = team.companion("plan", "--json").ok().data["agents"]
    assert [(p["agent"], p["change"]) for p in plan] == [
        ("coder", "recreate"),
        ("reviewer", "recreate"),
    ]
    team.companion("up", "coder").ok()
    assert team.ids("coder") != coder
    assert team.ids("reviewer") == reviewer
    team.companion("down", "reviewer").ok()
    assert team.ids("reviewer") == set()
    assert team.run("coder", "hostname") == "coder"
    states = {a["agent"]: a["state"] for a in team.companion("status", "--json").data["agents"]}
    assert states == {"coder": "running", "reviewer": "stopped"}


def test_one_that_fails_does_not_keep_the_others(team: Team):
    text = (team.directory / "reviewer/agent.yaml").read_text()
    (team.directory / "coder/agent.yaml").write_text("name: coder\nruntime: nonsense\n")
    try:
        done = team.companion("up")
        assert done.code == 1
        assert "coder/agent.yaml:2:10: there is no runtime 'nonsense'" in done.err
        assert done.err.count("error: ") == 1, done.err
        assert team.run("reviewer", "hostname") == "reviewer"
    finally:
        team.configure("coder")
        assert "reviewer" in text
    team.companion("up").ok()


def test_the_watcher_changes_what_was_saved_and_takes_down_what_is_gone(team: Team, tmp_path: Path):
    team.companion("up").ok()
    log = tmp_path / "watch.log"
    said = log.read_text
    with log.open("w") as out:
        argv = [COMPANION, "watch"]
        child = subprocess.Popen(argv, env=team.desk.environment, stdout=out, stderr=out)
    try:
        wait_until(lambda: said().count(": nothing to do") == 2, tell=said)
        coder, reviewer = team.ids("coder"), team.ids("reviewer")
        team.configure("coder", "limits: {pids: 600}\n")
        wait_until(lambda: "team/coder: restarted, ready" in said(), tell=said)
        assert team.ids("coder") != coder
        assert team.ids("reviewer") == reviewer
        pins = team.pins
        team.line_up("coder")
        wait_until(lambda: "team/reviewer: not configured any more" in said(), tell=said)
        assert team.ids("reviewer") == set()
        team.line_up(BOTH)
        wait_until(lambda: "team/reviewer: restarted, ready" in said(), 60, tell=said)
        assert team.run("reviewer", "hostname") == "reviewer"
        assert team.pins == pins
    finally:
        child.terminate()
        child.wait(timeout=60)
