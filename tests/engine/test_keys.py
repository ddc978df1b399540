"""New keys for a running sandbox: every place follows at once, and no moment locks anybody out."""

import itertools
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk import RENAMES, killed_at
from sandboxes import Box
from test_sandbox import session

from ssh import keys

pytestmark = pytest.mark.engine


def client_key(box: Box) -> Path:
    return box.desk.home / ".local/share/companion/ssh/keys" / box.alias


def shown(box: Box) -> str:
    """Return the fingerprint of the host key that a stranger is shown."""
    argv = ["ssh-keyscan", "-t", "ed25519", "-p", str(box.port), "127.0.0.1"]
    scan = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    (line,) = (one for one in scan.splitlines() if not one.startswith("#"))  # since OpenSSH 10
    return keys.fingerprint(line.partition(" ")[2])


def pinned(box: Box) -> str:
    (line,) = (p for p in box.known_hosts.read_text().splitlines() if p.startswith(box.alias))
    return keys.fingerprint(line.partition(" ")[2])


def gets_in(box: Box, key: Path) -> bool:
    only = ("-o", f"IdentityFile={key}", "-o", "IdentitiesOnly=yes", "-F", "/dev/null")
    pin = ("-o", f"UserKnownHostsFile={box.known_hosts}", "-o", f"HostKeyAlias={box.alias}")
    argv = ["ssh", *only, *pin, "-o", "BatchMode=yes", "-p", str(box.port), "agent@127.0.0.1"]
    return subprocess.run([*argv, "true"], capture_output=True, check=False).returncode == 0


@contextmanager
def going_on(box: Box) -> Iterator[None]:
    """An SSH session that must outlive what is done meanwhile."""
    with session(box, "cat") as child:
        assert child.stdin
        assert child.stdout
        for word in ("before", "after"):
            print(word, file=child.stdin, flush=True)
            assert child.stdout.readline() == f"{word}\n"
            if word == "before":
                yield


def test_rotated_keys_count_everywhere_at_once_and_sessions_go_on(box: Box, tmp_path: Path):
    old, before, fingerprint = tmp_path / "old", box.ids(), pinned(box)
    shutil.copy(client_key(box), old)
    assert gets_in(box, old)
    with going_on(box):
        made = box.companion("keys", "rotate", "coder", "--json").ok().data
        assert box.run("id -un") == "agent"
        assert shown(box) == pinned(box) == made["host_key"] != fingerprint
        assert not gets_in(box, old)
        assert gets_in(box, client_key(box))
    (own,) = box.companion("keys", "list", "coder", "--json").ok().data
    assert own["fingerprint"] == made["client_key"]
    assert client_key(box).with_name(f"{box.alias}.pub").read_text().endswith(f"@{box.alias}\n")
    assert box.ids() == before
    assert box.companion("plan", "--check").code == 0


def test_one_key_can_be_rotated_alone(box: Box):
    client, host = client_key(box).read_text(), pinned(box)
    said = box.companion("keys", "rotate", "coder", "--host").ok().out
    assert said == f"coder has a new host key: {shown(box)}\n"
    assert (client_key(box).read_text() == client, pinned(box) == host) == (True, False)
    client, host = client_key(box).read_text(), pinned(box)
    box.companion("keys", "rotate", "coder", "--client").ok()
    assert (client_key(box).read_text() == client, pinned(box) == host) == (False, True)
    assert box.run("true") == ""


def test_sshd_is_told_of_a_host_key_that_nobody_told_it_of(box: Box):
    """As after a death between the file and sshd, which may have the old key in memory."""
    before = box.ids()
    with going_on(box):
        (box.agent_state / "sshd/host_key").unlink()
        plan = box.companion("plan", "--json").ok().agent
        assert plan["steps"] == [
            {"step": "reload coder", "code": "not-loaded", "reason": "changed: host key"}
        ]
        box.companion("up").ok()
        assert shown(box) == pinned(box)
        assert box.run("true") == ""
        assert "Received SIGHUP; restarting." in box.companion("logs", "coder", "-v").out
    assert box.ids() == before
    assert box.companion("plan", "--check").code == 0


@pytest.mark.one_engine
def test_a_rotation_that_is_killed_is_repaired_by_the_next_up(
    box: Box, tmp_path: Path, request: pytest.FixtureRequest
):
    """It is killed as it replaces a file: each one in the long run, every third in the ordinary."""
    old = tmp_path / "old"
    rotate = ("-C", str(box.project), "keys", "rotate", "coder")
    for number in itertools.count(1, 1 if request.config.getoption("--long") else 3):
        shutil.copy(client_key(box), old)
        done = killed_at(box.desk, RENAMES, number, *rotate)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        box.companion("up").ok()
        assert box.run("id -un") == "agent"
        assert shown(box) == pinned(box)
        assert gets_in(box, old) == (old.read_text() == client_key(box).read_text())
        assert len(box.companion("keys", "list", "coder", "--json").ok().data) == 1
    assert number > 1


def test_what_was_rotated_or_removed_does_not_come_back_with_what_ran_before(
    box: Box, tmp_path: Path
):
    mine, old = tmp_path / "mine", tmp_path / "old"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", mine]
    subprocess.run(make, check=True)
    box.companion("keys", "add", "coder", f"{mine}.pub").ok()
    box.companion("up").ok()
    assert gets_in(box, mine)
    shutil.copy(client_key(box), old)
    box.companion("keys", "remove", "coder", "me").ok()
    made = box.companion("keys", "rotate", "coder", "--json").ok().data
    with box.changed("    commands: ['false']\n"):
        assert "the previous version is still running" in box.companion("up").err
        assert box.run("true") == ""
        assert shown(box) == made["host_key"]
        assert not gets_in(box, mine)
        assert not gets_in(box, old)
    box.companion("up").ok()


def test_a_stopped_sandbox_has_its_new_keys_when_it_starts(box: Box):
    box.companion("down").ok()
    made = box.companion("keys", "rotate", "coder", "--json").ok().data
    assert pinned(box) == made["host_key"]
    box.companion("up").ok()
    assert shown(box) == made["host_key"]
    assert box.run("true") == ""


def test_a_host_key_of_the_users_own_is_not_rotated(box: Box):
    given = box.project / "given_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", given], check=True)
    kept, before = box.config_text(), pinned(box)
    own = kept.replace("  - plugin: ssh\n", "  - plugin: ssh\n    host_key: given_key\n")
    (box.project / "agent.yaml").write_text(own)
    try:
        done = box.companion("keys", "rotate", "coder")
        assert done.code == 1
        assert "agent.yaml gives coder its host key: given_key; put another " in done.problems[0]
        assert pinned(box) == before
        assert box.companion("up", "--json").ok().agent["steps"] == ["reload coder"]
        assert shown(box) == pinned(box) == keys.fingerprint(Path(f"{given}.pub").read_text())
    finally:
        (box.project / "agent.yaml").write_text(kept)
        box.companion("up").ok()


def test_rotate_takes_no_key_and_the_others_no_choice(box: Box):
    assert box.companion("keys", "rotate", "coder", "ssh-ed25519").code == 2
    assert box.companion("keys", "list", "coder", "--host").code == 2
