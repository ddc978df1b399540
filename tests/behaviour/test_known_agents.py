"""What is remembered of agents: unique where it must be, and of use where a part is damaged."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import AGENT, Desk
from fake_project import Fake, config

LOGINS = f"{AGENT}container_runtime: podman\n"


@pytest.fixture
def pair(desk: Desk) -> tuple[Fake, Fake]:
    """Two projects that each have an agent of the same name."""
    here, there = (
        Fake(desk, desk.project(config(), name=name, __env="KEY=one\n"))
        for name in ("here", "there")
    )
    subprocess.run([here.program, "version"], env=desk.environment, check=True)
    return here, there


def records(desk: Desk, project: str = "*") -> Iterator[Path]:
    yield from (desk.home / ".local/state/companion/projects").glob(f"{project}-*/*/agent.json")


def allocation(desk: Desk, project: str) -> Any:
    (record,) = records(desk, project)
    return json.loads(record.read_text())["allocation"]


def test_two_first_starts_at_once_of_agents_of_one_name_get_aliases_of_their_own(
    desk: Desk, pair: tuple[Fake, Fake]
):
    here, there = pair
    here.set(refuse=["ps"])  # the first start ends between the two files that it writes
    assert here.companion("up").code == 1
    assert len(list(records(desk))) == 1
    here.set(refuse=[])
    for project in (there, here):
        project.companion("up").ok()
    assert {allocation(desk, p)["alias"] for p in ("here", "there")} == {
        "coder.sandbox",
        "coder-there.sandbox",
    }


def test_what_two_agents_have_both_is_healed_by_the_next_start_of_either(
    desk: Desk, pair: tuple[Fake, Fake]
):
    for project in pair:
        project.companion("up").ok()
    (record,) = records(desk, "there")
    written = json.loads(record.read_text())
    written["allocation"]["alias"] = allocation(desk, "here")["alias"]
    record.write_text(json.dumps(written))
    for project in pair:
        project.companion("up").ok()
        assert project.companion("plan", "--json").ok().agent["change"] == "none"
    here, there = (allocation(desk, p) for p in ("here", "there"))
    assert not set(here.values()) & set(there.values()) - {None}
    assert len(pair[0].world["containers"]) == 6


def test_two_agents_with_one_alias_keep_no_other_agent_from_starting(
    desk: Desk, pair: tuple[Fake, Fake]
):
    pair[0].set(refuse=["create"])  # all that is on the desktop is written by then
    for project in pair:
        (project.project / "agent.yaml").write_text(LOGINS)
        assert "create is refused" in project.companion("up").err
    (record,) = records(desk, "there")
    written = json.loads(record.read_text())
    record.write_text(json.dumps(written | {"allocation": allocation(desk, "here")}))
    other = Fake(desk, desk.project(LOGINS.replace("coder", "other"), name="third"))
    assert "create is refused" in other.companion("up").err
    listed = (desk.home / ".local/share/companion/ssh/config").read_text()
    assert listed.count("Host coder.sandbox\n") == 1
    assert "Host other.sandbox\n" in listed
