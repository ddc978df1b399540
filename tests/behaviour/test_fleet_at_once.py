"""A fleet is worked on several agents at a time, on an engine that waits until they meet."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk
from fake_project import Fake
from sandboxes import wait_until

AGENTS = ("zoe", "max", "amy")
AGENT = """\
name: {name}
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: docker
egress: listed
features:
  - plugin: external-services
    services:
      - url: http://service.test:8000
        headers: {{Authorization: "${{KEY_OF_{key}}}"}}
"""


@pytest.fixture
def team(desk: Desk) -> Fake:
    directory = desk.home / "team"
    for name in AGENTS:
        configure(directory, name)
    (directory / "fleet.yaml").write_text(f"agents: [{', '.join(AGENTS)}]\n")
    (directory / ".env").write_text("".join(f"KEY_OF_{name.upper()}=x\n" for name in AGENTS))
    fake = Fake(desk, directory, "docker")
    fake.companion("status")  # the engine's world is there from its first call on
    return fake


def configure(directory: Path, name: str, old: str = "", new: str = "") -> None:
    (directory / name).mkdir(parents=True, exist_ok=True)
    text = AGENT.format(name=name, key=name.upper()).replace(old, new)
    (directory / name / "agent.yaml").write_text(text)


def calls(team: Fake, *words: str) -> list[list[str]]:
    return [call for call in team.world["calls"] if call[: len(words)] == list(words)]


def gather(team: Fake, command: str, number: int = len(AGENTS)) -> None:
    team.set(gather=[command, number], gathered=0)


def test_up_and_down_work_on_several_agents_at_a_time_and_answer_in_order(team: Fake):
    gather(team, "create")
    done = team.companion("up", "--json").ok()
    assert [agent["agent"] for agent in done.data["agents"]] == list(AGENTS)
    lines = done.err.splitlines()
    assert {line.partition(": ")[0] for line in lines if "starting" in line} == set(AGENTS)
    gather(team, "rm")
    assert team.companion("down", "--json").ok().data == {"removed": list(AGENTS)}


def test_agents_that_start_at_once_build_what_they_share_once(team: Fake):
    gather(team, "image inspect")  # now all have planned to build it
    team.companion("up").ok()
    built = [call[-1].rpartition("/")[2] for call in calls(team, "build")]
    assert sorted(built) == ["agent", "agent", "agent", "gateway"]


def test_variables_of_all_agents_that_start_at_once_get_into_the_example(team: Fake):
    gather(team, "image inspect")
    team.companion("up").ok()
    text = (team.project / ".env.example").read_text()
    assert sorted(line for line in text.splitlines() if line.startswith("KEY_OF_")) == [
        "KEY_OF_AMY=",
        "KEY_OF_MAX=",
        "KEY_OF_ZOE=",
    ]


def test_agents_that_fail_keep_no_other_and_are_reported_together(team: Fake):
    for name in ("zoe", "amy"):
        configure(team.project, name, "http://", "gopher://")
    done = team.companion("up", "--json")
    assert done.code == 1
    assert [agent["agent"] for agent in done.data["agents"]] == ["max"]
    for name in ("zoe", "amy"):
        configure(team.project, name)
        assert f"{name}/agent.yaml" in done.out
    team.set(refuse=["create"])
    assert team.companion("restart", "max").code == 1
    done = team.companion("restart")
    assert done.code == 1
    for name in AGENTS:
        assert f"{name}: docker create failed: create is refused" in done.err
    team.set(refuse=[])
    team.companion("up").ok()
    team.set(refuse=["rm"])
    done = team.companion("down")
    assert done.code == 1
    for name in AGENTS:
        assert f"{name}: docker rm failed: rm is refused" in done.err


def test_an_agent_may_not_write_to_what_steers_one_that_starts_at_the_same_time(team: Fake):
    (team.project / "common").mkdir()
    (team.project / "common/hook.sh").write_text("true\n")
    feature = "  - plugin: custom-runtime\n    {}\n"
    for name, option in (
        ("zoe", 'runtime_volumes: ["../common:/home/agent/common"]'),
        ("max", "entrypoint_hooks: [../common/hook.sh]"),
    ):
        configure(team.project, name, "features:\n", "features:\n" + feature.format(option))
    gather(team, "image inspect")
    done = team.companion("up", "--json")
    assert done.code == 1
    assert "amy" in [agent["agent"] for agent in done.data["agents"]]
    assert len(done.data["agents"]) < len(AGENTS)
    assert "common" in done.out


def test_status_asks_the_engine_once_for_all_agents(team: Fake):
    team.companion("up", "zoe", "amy").ok()
    done = team.companion("status", "--json").ok()
    states = [(agent["agent"], agent["state"]) for agent in done.data["agents"]]
    assert states == [("zoe", "running"), ("max", "stopped"), ("amy", "running")]
    team.companion("up").ok()
    before = team.world["count"]
    team.companion("status").ok()
    assert team.world["count"] - before == 1  # an inspect of what is recorded


@pytest.fixture
def interrupted(team: Fake) -> Iterator[Fake]:
    yield team
    team.set(gather=["", 0])


def test_an_interrupt_ends_the_work_on_all_agents(interrupted: Fake):
    team = interrupted
    gather(team, "create", 99)
    child = team.desk.start("-C", str(team.project), "up")
    wait_until(lambda: team.world["gathered"] == len(AGENTS))
    child.send_signal(signal.SIGINT)
    said = []
    while "interrupted" not in "".join(said[-1:]):
        said.append(child.stderr.readline())
        assert said[-1], said
    gather(team, "", 0)  # the calls under way come to their end
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert len(calls(team, "create")) == len(AGENTS)
    assert not calls(team, "start")


def test_an_interrupt_ends_builds_that_are_under_way(interrupted: Fake):
    team = interrupted
    gather(team, "build", 99)
    child = team.desk.start("-C", str(team.project), "up")
    wait_until(lambda: team.world["gathered"] == 1)  # the others wait for their turn
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=20)
    assert child.returncode == 130, err
    assert len(calls(team, "build")) == 1


def test_an_agent_that_cannot_be_retired_hides_none_of_those_that_run(team: Fake):
    team.companion("up").ok()
    (team.project / "fleet.yaml").write_text("agents: [zoe, max]\n")
    team.set(refuse=["rm"])
    done = team.companion("up", "--json")
    assert done.code == 1
    assert [agent["agent"] for agent in done.data["agents"]] == ["zoe", "max"]
    assert "amy" in done.out
