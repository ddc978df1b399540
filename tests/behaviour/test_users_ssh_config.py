"""~/.ssh/config is the user's: whatever it is, `up` succeeds, and nothing of theirs changes."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk, make_desk
from fake_project import Fake, fresh
from fake_sshd import answering

LATIN_1 = b"# B\xfcro\nHost x\n  User y\n"


@pytest.fixture
def fake(desk: Desk) -> Iterator[Fake]:
    fake = fresh(desk)
    with answering(fake):
        yield fake


def resolved(config: Path) -> str:
    argv = ["ssh", "-G", "-F", config, "coder.sandbox"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_a_config_that_is_not_utf_8_gets_the_line_and_keeps_its_bytes(fake: Fake):
    own = fake.desk.home / ".ssh/config"
    own.write_bytes(LATIN_1)
    own.chmod(0o600)
    fake.companion("up", "--yes").ok()
    assert own.read_bytes().endswith(LATIN_1)
    assert "\nhostname 127.0.0.1\n" in resolved(own)
    fake.desk.companion("uninstall", "--yes").ok()
    assert own.read_bytes() == LATIN_1


@pytest.mark.parametrize("kind", ["a directory", "a link into a store", "a link to itself"])
def test_a_config_that_cannot_be_written_is_a_remark_with_the_line_to_add(fake: Fake, kind: str):
    own = fake.desk.home / ".ssh/config"
    if kind == "a directory":
        own.mkdir()
    else:  # what nobody, not even root, can write
        own.symlink_to("/proc/version" if kind == "a link into a store" else own)
    done = fake.companion("up", "--yes").ok()
    line = f'Include "{fake.desk.home}/.local/share/companion/ssh/config"'
    assert "warning: the sandboxes are not in your SSH config: cannot" in done.err
    assert f"add at its top: {line}" in done.err
    assert "companion ssh coder" in done.out


def test_status_shows_the_command_that_leads_inside(fake: Fake):
    def shown() -> tuple[str, dict[str, object]]:
        agent = fake.companion("status", "--json").ok().agent
        return fake.companion("status").ok().out.splitlines()[1], agent

    fake.companion("up").ok()
    row, before = shown()
    assert "  companion ssh coder  " in row
    fake.companion("up", "--yes").ok()
    row, after = shown()
    assert f"  ssh coder.sandbox (port {after['ssh_port']})  " in row
    assert after == before


def test_an_editor_that_reads_another_config_is_not_opened_until_it_has_the_line(fake: Fake):
    home = fake.desk.home
    code = home / "programs/code"
    code.write_text("#!/bin/sh\n")
    code.chmod(0o755)
    settings, other = home / ".config/Code/User/settings.json", home / ".ssh/of code"
    settings.parent.mkdir(parents=True)
    settings.write_text('{\n  "remote.SSH.configFile": "~/.ssh/of code", // mine\n}\n')
    other.write_text("Host work\n")
    fake.companion("up").ok()
    refused = fake.companion("open", "coder", "--in", "code", "--yes")
    assert refused.code == 1
    assert f"VS Code reads {other}, which does not name the sandboxes" in refused.err
    assert not (home / ".ssh/config").exists()
    found = json.loads(fake.desk.companion("doctor", "--json").out)["data"]
    (hint,) = [one["hint"] for one in found if "~/.ssh/of code" in one["what"]]
    other.write_text(shlex.split(hint.replace('"', '\\"').replace("`", '"'))[1] + "\nHost work\n")
    fake.companion("open", "coder", "--in", "code", "--yes").ok()


@pytest.mark.parametrize("name", ["CORP\\jdoe", "a[1]", "a$b", "it's me"])
def test_a_home_of_an_odd_name_works(tmp_path: Path, name: str):
    fake = fresh(make_desk(tmp_path / name / "home"))
    with answering(fake):
        fake.companion("up", "--yes").ok()
    own = fake.desk.home / ".ssh/config"
    assert f"\nidentityfile {fake.desk.home}/.local/share/companion/ssh/keys/" in resolved(own)
    fake.desk.companion("uninstall", "--yes").ok()
    assert not own.exists()


@pytest.mark.parametrize("name", ["50%", 'a"b', "${HOME}"])
def test_a_home_whose_name_ssh_would_expand_is_refused_before_anything_is_started(
    tmp_path: Path, name: str
):
    fake = fresh(make_desk(tmp_path / name / "home"))
    with answering(fake):
        done = fake.companion("up", "--yes")
    assert done.code == 1
    assert done.err.startswith("error: agent.yaml:")
    assert "set XDG_DATA_HOME to a directory with a plain name" in done.err
    assert not fake.file.exists() or not fake.world["calls"]
