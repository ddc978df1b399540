"""companion uninstall: nothing of ours stays, nothing of the user's goes."""

import sys
from pathlib import Path

import pytest
from desk import COMPANION, Desk, make_desk
from fake_project import fresh

from companion.operations import installation, installed, public_text
from companion.operations.installation import Facts, Owner
from companion.system import packages

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
    running = f"coder in {fake.project}"
    done = desk.companion("uninstall", "--yes", "--json").ok()
    assert done.data["stopped"] == [running]
    assert f"ending the work of {running}" in done.err
    after = files(desk.home)
    assert {name: after.get(name) for name in before} == before
    assert set(after) - set(before) <= {"project/.env.example"}
    world = fake.world
    assert not world["containers"]
    assert not world["networks"]
    assert not world["images"]
    assert desk.companion("uninstall", "--yes").ok().out.startswith("removed 0 projects;")


def test_of_a_home_without_base_directories_no_empty_one_stays(desk: Desk):
    fake = fresh(desk)
    before = {path for path in desk.home.rglob("*") if path.is_dir()}
    assert desk.home / ".local" not in before
    fake.companion("up", "--yes").ok()
    (desk.home / ".local/kept").mkdir()
    desk.companion("autostart", "on").ok()
    for _ in range(2):  # an uninstall of nothing makes none either
        desk.companion("uninstall", "--yes").ok()
        left = {path for path in desk.home.rglob("*") if path.is_dir()}
        assert left - before == {desk.home / ".local", desk.home / ".local/kept"}


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
    ("facts", "kind", "update", "removal"),
    [
        ({"installer": "pip"}, "pip", "`/v/python -P -m pip install --upgrade", "pip uninstall"),
        ({"installer": "uv"}, "uv-pip", "`uv pip install --python /v/python", "`uv pip uninstall"),
        ({"top": {"uv-receipt.toml"}}, "uv-tool", "`uv tool upgrade", "`uv tool uninstall"),
        ({"top": {"pipx_metadata.json"}}, "pipx", "`pipx upgrade", "`pipx uninstall"),
        ({"source": "/"}, "checkout", "`git -C / pull", "`make -C / clean"),
        ({"source": "/src"}, "checkout", "`git -C /src pull", "`/v/python -P -m pip uninstall"),
        ({"owner": Owner("apt", "c")}, "package", "`sudo apt install ./c_*", "`sudo apt remove c`"),
        ({"owner": Owner("dnf", "c")}, "package", "`sudo dnf install ./c-", "`sudo dnf remove c`"),
        (
            {"frozen": True},
            "bundle",
            "replace /v by the directory in the newer archive",
            "remove /v",
        ),
        ({"frozen": True, "platform": "darwin"}, "macos-app", "disk image", "to the trash"),
        ({"frozen": True, "platform": "win32"}, "windows-installer", "newer installer", "Settings"),
    ],
)
def test_how_it_was_installed_tells_how_it_is_updated_and_removed(
    facts: dict, kind: str, update: str, removal: str
):
    found = installation.of(Facts("/v/python", "/v", **facts))
    assert found.kind == kind
    assert update in found.update
    assert removal in found.removal


def test_uninstall_says_how_this_very_installation_is_removed(desk: Desk):
    said = desk.companion("uninstall", "--yes").ok().out
    assert f"to remove Companion itself: {installed.this().removal}" in said


def test_of_two_installations_the_one_that_a_shell_starts_is_named(desk: Desk):
    other = desk.home / ".local/pipx/venvs/companion-sandbox"
    (other / "bin").mkdir(parents=True)
    (other / "pipx_metadata.json").touch()
    script = other / "bin/companion"
    script.write_text(f"#!{other}/bin/python\n")
    script.chmod(0o755)
    programs = desk.home / ".local/bin"
    programs.mkdir(parents=True)
    (programs / "companion").symlink_to(script)
    shim = desk.home / "shims/companion"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\nexec companion\n")
    shim.chmod(0o755)
    path = desk.environment["PATH"]
    desk.environment["PATH"] = f"{path}:{shim.parent}"
    assert "shims" not in desk.companion("doctor").out
    desk.environment["PATH"] = f"{programs}:{path}"
    first = desk.companion("doctor").out
    assert "`companion` in a shell is an application of pipx, and not" in first
    assert "`pipx uninstall companion-sandbox`" in first
    desk.environment["PATH"] = f"{COMPANION.parent}:{path}:{programs}"
    assert "also an application of pipx, which comes later in PATH" in desk.companion("doctor").out


def test_what_starts_at_login_and_is_gone_is_named_and_mended(desk: Desk):
    desk.companion("autostart", "on").ok()
    entry = desk.home / ".config/autostart/companion.desktop"
    good = entry.read_text()
    entry.write_text(good.replace(sys.executable, f"{desk.home}/gone/python"))
    assert "does not start at login: ~/gone/python is gone [autostart]" in (
        desk.companion("doctor").out
    )
    desk.companion("doctor", "--fix")
    assert entry.read_text() == good


def test_what_doctor_says_names_neither_the_user_nor_the_machine():
    said = "/home/ada/x in /home/ada2 and /run/media/ada/disk, ssh://ada@lovelace, adamant"
    shown = public_text.public(said, ("/home/ada",), "ada", "lovelace")
    assert public_text.public("/dev/kvm, //dev@x", ("/d",), "dev", "") == "/dev/kvm, //$USER@x"
    homes = ("/home/ada", "/var/home/ada")
    assert public_text.public("/var/home/ada/x", homes, "ada", "") == "~/x"
    assert shown == "~/x in /home/ada2 and /run/media/$USER/disk, ssh://$USER@$HOSTNAME, adamant"


@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("apt", "run `sudo apt install uidmap openssh-client`"),
        ("dnf", "run `sudo dnf install shadow-utils openssh-clients`"),
        ("", "install uidmap and openssh-client"),
    ],
)
def test_what_is_missing_is_installed_by_the_systems_own_command(manager: str, command: str):
    assert packages.command(manager, ("uidmap", "openssh-client")) == command
