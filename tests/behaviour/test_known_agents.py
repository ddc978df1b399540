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
    assert len(pair[0].world["containers"]) == 8


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


@pytest.fixture
def damaged(desk: Desk, pair: tuple[Fake, Fake]) -> tuple[Fake, Fake]:
    """Two sandboxes that run; of the second the record cannot be read."""
    for project in pair:
        project.companion("up").ok()
    (record,) = records(desk, "there")
    record.write_text("{")
    return pair


def names_the_damaged_record(desk: Desk, said: str) -> bool:
    (record,) = records(desk, "there")
    return any(
        f"{path} is damaged" in said for path in (record, f"~/{record.relative_to(desk.home)}")
    )


def test_a_damaged_record_is_listed_and_diagnosed_with_its_project(
    desk: Desk, damaged: tuple[Fake, Fake]
):
    listed = desk.companion("list").ok()
    assert "~/there" in listed.out
    assert names_the_damaged_record(desk, listed.err)
    assert names_the_damaged_record(desk, desk.companion("doctor").out)
    assert names_the_damaged_record(desk, damaged[1].companion("status").err)
    damaged[0].companion("up").ok()


@pytest.mark.parametrize("verb", ["down", "remove"])
def test_a_sandbox_whose_record_is_damaged_is_removed_by_its_labels(
    desk: Desk, damaged: tuple[Fake, Fake], verb: str
):
    here, there = damaged
    there.companion(verb).ok()
    here.is_whole()
    tags = [tag for tag in here.world["images"] if "/there-" in tag]
    assert bool(tags) == (verb == "down")
    assert len(list(records(desk, "there"))) == (verb == "down")


@pytest.mark.parametrize("file", ["agent.json", "project.json"])
def test_uninstall_leaves_no_sandbox_behind_whose_record_is_damaged(
    desk: Desk, pair: tuple[Fake, Fake], file: str
):
    pair[1].companion("up").ok()
    (damaged,) = (path.parent for path in records(desk, "there"))
    (damaged / file if file == "agent.json" else damaged.parent / file).write_text("[]")
    desk.companion("uninstall", "--yes").ok()
    world = pair[1].world
    assert not world["containers"]
    assert not world["networks"]
    assert not world["images"]
    assert not (desk.home / ".local/state/companion").exists()


def test_a_project_whose_own_file_is_damaged_is_removed_by_what_list_shows(
    desk: Desk, pair: tuple[Fake, Fake]
):
    pair[1].companion("up").ok()
    (record,) = records(desk, "there")
    (record.parents[1] / "project.json").write_text("")
    (shown,) = desk.companion("list", "--json").ok().data
    desk.companion("remove", shown["directory"]).ok()
    assert not pair[1].world["containers"]
    assert desk.companion("list", "--json").ok().data == []


def test_ssh_hosts_stay_while_a_record_is_damaged(desk: Desk, pair: tuple[Fake, Fake]):
    pair[0].set(refuse=["create"])  # all that is on the desktop is written by then
    for project in pair:
        (project.project / "agent.yaml").write_text(LOGINS)
        assert "create is refused" in project.companion("up").err
    ours = desk.home / ".local/share/companion/ssh"
    before = [(ours / name).read_text() for name in ("config", "known_hosts")]
    (record,) = records(desk, "there")
    record.write_text('{"allocation": {}}')
    pair[0].companion("up")
    assert [(ours / name).read_text() for name in ("config", "known_hosts")] == before
    keys = sorted(path.name for path in (ours / "keys").iterdir())
    assert "coder-there.sandbox" in keys
    pair[1].companion("remove").ok()
    left = sorted(path.name for path in (ours / "keys").iterdir())
    assert left == [name for name in keys if "there" not in name]
    assert "there" not in (ours / "config").read_text()


@pytest.mark.parametrize(
    ("moved", "how"),
    [
        ("behind a symlink", "its old path"),
        ("behind a symlink", "its new path"),
        ("with its parent", "as list shows it"),
        ("behind a symlink", "uninstall"),
        ("away", "uninstall"),
    ],
)
def test_a_project_that_was_moved_can_be_removed(desk: Desk, moved: str, how: str):
    fake = Fake(desk, desk.project(config(), name="shelf/mine", __env="KEY=one\n"))
    fake.companion("up").ok()
    old, new = fake.project, desk.home / "elsewhere/mine"
    if moved == "with its parent":
        old.parent.rename(new.parent)
        old.parent.symlink_to(new.parent)
    else:
        new.parent.mkdir()
        old.rename(new)
    if moved == "behind a symlink":
        old.symlink_to(new)
    (shown,) = desk.companion("list", "--json").ok().data
    paths = {"its old path": str(old), "its new path": str(new)}
    if how == "uninstall":
        desk.companion("uninstall", "--yes").ok()
        assert (new / ".build").exists() == (moved == "away")
    else:
        desk.companion("remove", paths.get(how, shown["directory"])).ok()
    assert not fake.world["containers"]
    assert desk.companion("list", "--json").ok().data == []
    assert (new / "agent.yaml").is_file()


def test_what_a_symlink_leads_to_is_not_the_project_that_was_there(desk: Desk):
    fake = Fake(desk, desk.project(config(), name="mine", __env="KEY=one\n"))
    fake.companion("up").ok()
    fake.project.rename(desk.home / "away")
    (desk.home / "other/.build").mkdir(parents=True)
    (desk.home / "other/.build/notes").write_text("mine")
    fake.project.symlink_to(desk.home / "other")
    desk.companion("uninstall", "--yes").ok()
    assert (desk.home / "other/.build/notes").read_text() == "mine"
