"""companion uninstall: nothing of ours stays, nothing of the user's goes."""

import sys
from pathlib import Path

import pytest
from desk import Desk, make_desk
from fake_project import fresh

from companion.operations import installation
from companion.operations.installation import Traces

VSCODE = '{\n  // mine\n  "editor.fontSize": 14\n}\n'


def files(home: Path) -> dict[str, bytes]:
    """Return every file of a home but what the fake engine and the project hold."""
    ours = ("world.", "programs/")
    found = {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}
    return {name: text for name, text in found.items() if not name.startswith(ours)}


def test_after_uninstall_the_home_is_as_it_was(desk: Desk):
    settings = desk.home / ".config/Code/User/settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(VSCODE)
    (desk.home / ".ssh/config").write_text("Host mine\n  Port 7\n")
    fake = fresh(desk)
    before = files(desk.home)
    fake.companion("up", "--yes").ok()
    desk.companion("editors", "sync").ok()
    desk.companion("autostart", "on").ok()
    assert files(desk.home) != before
    refused = desk.companion("uninstall")
    assert refused.code == 1
    assert "--yes" in refused.err
    desk.companion("uninstall", "--yes").ok()
    after = files(desk.home)
    assert {name: after.get(name) for name in before} == before
    assert set(after) - set(before) <= {"project/.env.example"}
    world = fake.world
    assert not world["containers"]
    assert not world["networks"]
    assert not world["images"]
    assert desk.companion("uninstall", "--yes").ok().out.startswith("removed 0 projects;")


def test_a_purge_removes_the_volumes_of_a_project_that_was_removed_earlier(desk: Desk):
    fake = fresh(desk)
    fake.companion("up", "--yes").ok()
    home, others = fake.world["volumes"], ["others_coder_home"]
    assert home
    fake.companion("remove").ok()
    assert fake.world["volumes"] == home
    fake.set(volumes=[*home, *others])
    desk.companion("uninstall", "--yes", "--purge").ok()
    assert fake.world["volumes"] == others


def test_files_that_companion_made_in_others_places_go_without_a_backup(desk: Desk):
    (desk.home / ".config/Code/User").mkdir(parents=True)
    fake = fresh(desk)
    before = files(desk.home)
    fake.companion("up").ok()
    desk.companion("doctor", "--fix").ok()
    desk.companion("editors", "sync").ok()
    assert (desk.home / ".ssh/config").exists()
    desk.companion("uninstall", "--yes").ok()
    assert set(files(desk.home)) - set(before) <= {"project/.env.example"}


def test_a_gateway_image_that_sandboxes_of_others_use_is_kept_and_named(desk: Desk, tmp_path: Path):
    mine, theirs = fresh(desk), fresh(make_desk(tmp_path / "another home"))
    theirs.file = mine.file
    theirs.desk.environment["FAKE_ENGINE"] = desk.environment["FAKE_ENGINE"]
    for fake in (mine, theirs):
        fake.companion("up").ok()
    (shared,) = (tag for tag in mine.world["images"] if "/gateway:" in tag)
    said = desk.companion("uninstall", "--yes").ok().out
    assert f"kept: {shared}, which sandboxes of others use" in said
    theirs.is_whole()
    assert "kept" not in theirs.desk.companion("uninstall", "--yes").ok().out
    assert not mine.world["images"]


@pytest.mark.parametrize(
    ("traces", "command"),
    [
        (Traces(frozenset({"pyvenv.cfg"}), "pip", "/v/python"), "/v/python -P -m pip uninstall"),
        (Traces(frozenset(), "uv", "/v/python"), "uv pip uninstall --python /v/python"),
        (Traces(frozenset({"uv-receipt.toml"}), "uv", "/v/python"), "uv tool uninstall"),
        (Traces(frozenset({"pipx_metadata.json"}), "pip", "/v/python"), "pipx uninstall"),
        (Traces(frozenset(), "", "/usr/bin/companion", "apt remove"), "sudo apt remove"),
    ],
)
def test_how_it_was_installed_tells_how_it_is_removed(traces: Traces, command: str):
    assert installation.command(traces) == f"{command} companion-sandbox"


def test_uninstall_says_how_this_very_installation_is_removed(desk: Desk):
    said = desk.companion("uninstall", "--yes").ok().out
    assert f"`{sys.executable} -P -m pip uninstall companion-sandbox`" in said
