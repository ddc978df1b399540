"""Editors' settings files of every kind: links, comments, what is the user's and what is ours."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from desk import AGENT, COMPANION, Desk

SETTINGS = ".config/Code/User/settings.json"


@pytest.fixture
def settings(desk: Desk) -> Path:
    """VS Code's settings file, which is not there, on a desktop with one sandbox."""
    desk.companion("-C", str(desk.project(AGENT)), "generate").ok()
    settings = desk.home / SETTINGS
    settings.parent.mkdir(parents=True)
    return settings


def test_a_link_that_leads_nowhere_yet_stays_and_nothing_of_ours_stays_behind_it(
    desk: Desk, settings: Path
):
    dotfiles = desk.home / "dotfiles"
    settings.symlink_to(dotfiles / "code/settings.json")
    desk.companion("editors", "sync").ok()
    assert "coder.sandbox" in settings.read_text()
    desk.companion("editors", "remove").ok()
    assert settings.is_symlink()
    assert not dotfiles.exists()


def test_a_file_that_we_made_ourselves_gets_no_backup(desk: Desk, settings: Path):
    desk.companion("editors", "sync").ok()
    desk.companion("-C", str(desk.project(AGENT, name="another")), "generate").ok()
    desk.companion("editors", "sync").ok()
    assert len(json.loads(settings.read_text())["remote.SSH.remotePlatform"]) == 2
    assert [file.name for file in settings.parent.iterdir()] == ["settings.json"]


def test_a_hard_link_to_the_settings_stays_one_file(desk: Desk, settings: Path):
    settings.write_text("// mine")
    (desk.home / "dotfile").hardlink_to(settings)
    desk.companion("editors", "sync").ok()
    assert (desk.home / "dotfile").samefile(settings)
    desk.companion("uninstall", "--yes").ok()
    assert (desk.home / "dotfile").samefile(settings)
    assert settings.read_text() == "// mine"


def test_what_is_no_file_in_place_of_the_settings_is_reported_and_left(desk: Desk, settings: Path):
    """Never tried with /dev/null, which is often linked to: a fault here would replace it."""
    os.mkfifo(desk.home / "pipe")
    settings.symlink_to(desk.home / "pipe")
    done = desk.companion("editors", "sync")
    assert done.code == 1
    assert f"cannot use {settings}: it is not a plain file" in done.err
    assert (desk.home / "pipe").is_fifo()


def test_directories_that_we_made_go_with_what_was_in_them(desk: Desk):
    """Those of ~/.ssh, of the autostart entry, and of an editor that was never started."""
    program = desk.home / "programs/zed"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    desk.environment["PATH"] = f"{program.parent}:{desk.environment['PATH']}"
    (desk.home / ".ssh").rmdir()
    desk.companion("-C", str(desk.project(AGENT)), "generate").ok()
    before = {path for path in desk.home.rglob("*") if ".local" not in path.parts}
    desk.companion("editors", "sync").ok()
    desk.companion("doctor", "--fix")
    desk.companion("autostart", "on").ok()
    for made in (".ssh/config", ".config/zed/settings.json", ".config/autostart"):
        assert (desk.home / made).exists()
    desk.companion("uninstall", "--yes").ok()
    after = {path for path in desk.home.rglob("*") if ".local" not in path.parts}
    assert {p for p in after - before if ".build" not in p.parts} == set()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: apt install strace")
def test_where_files_cannot_be_exchanged_settings_are_written_all_the_same(
    desk: Desk, settings: Path
):
    """As on NFS: the system call is refused."""
    settings.write_text("// mine")
    refused = "inject=renameat2:error=EINVAL"
    argv = [
        "strace",
        "-f",
        "-qq",
        "-o",
        desk.home / "calls",
        "-e",
        "trace=renameat2",
        "-e",
        refused,
    ]
    subprocess.run([*argv, COMPANION, "editors", "sync"], env=desk.environment, check=True)
    assert "EINVAL" in (desk.home / "calls").read_text()
    assert "coder.sandbox" in settings.read_text()
    desk.companion("editors", "remove").ok()
    assert settings.read_text() == "// mine"
    assert [file.name for file in settings.parent.iterdir()] == ["settings.json"]


FORKS = {
    "Windsurf": "remote.windsurfSSH",
    "Devin": "remote.devinSSH",
    "Antigravity IDE": "remote.antigravitySSH",
}


def test_a_fork_with_settings_of_its_own_gets_them_and_its_ssh_config_is_looked_at(desk: Desk):
    files = {
        desk.home / ".config" / directory / "User/settings.json": section
        for directory, section in FORKS.items()
    }
    (desk.home / "ssh_config").write_text("")
    mine = '{\n  "SECTION.configFile": "~/ssh_config", // mine\n}\n'
    for settings, section in files.items():
        settings.parent.mkdir(parents=True)
        settings.write_text(mine.replace("SECTION", section))
    desk.companion("-C", str(desk.project(AGENT)), "generate").ok()
    desk.companion("editors", "sync").ok()
    doctor = desk.companion("doctor")
    for settings, section in files.items():
        entry = f'"{section}.remotePlatform": {{\n    "coder.sandbox": "linux"\n  }}'
        assert entry in settings.read_text()
        shown = f"~/{settings.relative_to(desk.home)}"
        assert f"({shown}: {section}.configFile" in doctor.out + doctor.err
    desk.companion("editors", "remove").ok()
    for settings, section in files.items():
        assert settings.read_text() == mine.replace("SECTION", section)
