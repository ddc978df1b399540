"""`companion list`: all sandboxes at a glance, with one look at each engine."""

import re

import pytest
from desk import ROOT, Desk
from fake_project import Fake, config

NAMED = """\
name: {name}
runtime: codex
container_runtime: podman
egress: {{mode: listed}}
"""


@pytest.fixture
def three(desk: Desk) -> Fake:
    """Three registered agents: one that runs, one that was stopped, one that was never started."""
    projects = [
        Fake(desk, desk.project(config().replace("coder", name), name=name, __env="KEY=one\n"))
        for name in ("first", "second")
    ]
    for project in projects:
        project.companion("up").ok()
    projects[1].companion("down").ok()
    desk.companion("add", str(desk.project(NAMED.format(name="third"), name="third"))).ok()
    return projects[0]


def test_every_agent_is_listed_by_two_calls_to_the_engine(desk: Desk, three: Fake):
    assert three.calls_of("list") == [("ps", 1), ("inspect", 1)]
    rows = desk.companion("list", "--json").ok().data
    shown = [(row["agent"], row["program"], row["state"], row["wanted"]) for row in rows]
    assert shown == [
        ("first", "custom", "running", "up"),
        ("second", "custom", "stopped", "down"),
        ("third", "codex", "stopped", None),
    ]
    assert [row["directory"] for row in rows] == [str(desk.home / row["agent"]) for row in rows]
    text = desk.companion("list").ok().out
    assert re.search(r"^third +codex +stopped +~/third$", text, re.MULTILINE)


def test_an_agent_that_waits_is_listed_without_a_watcher_by_one_more_call(desk: Desk):
    waits = Fake(desk, desk.project(NAMED.format(name="waits"), name="waits"))
    waits.companion("up").ok()
    line = "http companion.internal port=80 GET /attention/waiting status=204 why=attention-waiting"
    waits.set(said=f"2030-01-01T00:00:00.000000000Z {line} bytes=10/20 ms=1 term=--\n")
    assert waits.calls_of("list") == [("ps", 1), ("inspect", 1), ("logs", 1)]
    assert desk.companion("list", "--json").ok().data[0]["attention"] == "waiting"
    assert waits.companion("status", "--json").ok().agent["attention"] == "waiting"
    waits.set(said="", refuse=["logs"])
    assert desk.companion("list", "--json").ok().data[0]["attention"] is None


def test_agents_of_an_engine_that_does_not_answer_are_listed_as_unknown(desk: Desk, three: Fake):
    three.set(refuse=["ps", "version"])
    listed = desk.companion("list", "--json").ok()
    assert [row["state"] for row in listed.data] == ["unknown", "unknown", "stopped"]
    assert "ps is refused" in desk.companion("list").ok().err


def test_each_agent_of_a_fleet_has_a_row(desk: Desk):
    fleet = desk.home / "team"
    fleet.mkdir()
    (fleet / "fleet.yaml").write_text("agents: [zoe, max]\n")
    for name in ("zoe", "max"):
        (fleet / name).mkdir()
        (fleet / name / "agent.yaml").write_text(NAMED.format(name=name))
    desk.companion("add", str(fleet)).ok()
    rows = desk.companion("list", "--json").ok().data
    assert [(row["agent"], row["directory"]) for row in rows] == [
        ("zoe", str(fleet)),
        ("max", str(fleet)),
    ]


def test_a_name_that_is_none_leads_nowhere(desk: Desk):
    project = desk.project(NAMED.format(name="fine"), name="odd")
    desk.companion("add", str(project)).ok()
    (project / "agent.yaml").write_text('name: "../../x"\nruntime: [codex]\n')
    (row,) = desk.companion("list", "--json").ok().data
    assert (row["agent"], row["program"], row["state"]) == ("", None, "stopped")
    assert re.search(r"^\? .*~/odd$", desk.companion("list").ok().out, re.MULTILINE)


def test_the_keys_of_a_row_are_documented(desk: Desk, three: Fake):
    section = (ROOT / "docs/json.md").read_text().partition("## Sandboxes")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)
    assert documented == list(desk.companion("list", "--json").ok().data[0])


def test_hosts_that_are_refused_are_counted(desk: Desk, three: Fake):
    line = "tls {} port=443 to=- why=egress bytes=0/0 ms=1 term=PR"
    hosts = ("a.example", "b.example", "a.example")
    now = "2030-01-01T00:00:0"
    said = [f"{now}{n}.000000000Z {line.format(host)}\n" for n, host in enumerate(hosts)]
    three.set(said="".join(said))
    three.companion("network").ok()
    assert [row["refused"] for row in desk.companion("list", "--json").ok().data] == [2, 0, 0]
