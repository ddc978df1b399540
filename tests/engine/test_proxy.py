"""`companion proxy` as the ProxyCommand of a real ssh: the same login, without a port."""

import hashlib
import random
import subprocess

import pytest
from desk import COMPANION
from sandboxes import Box, wait_until

pytestmark = pytest.mark.engine
NOWHERE = ("-o", "HostName=192.0.2.1", "-o", "Port=9", "-o", "BatchMode=yes")


def proxied(box: Box, command: str, *options: str, data: bytes = b"", proxy: str = ""):
    """Run a command by an ssh that could not find the sandbox in any other way."""
    way = proxy or f"{COMPANION} -C {box.project} proxy coder"
    config = ("-F", box.desk.home / ".ssh/config", "-o", f"ProxyCommand={way}")
    return subprocess.run(
        ["ssh", *options, *config, *NOWHERE, box.alias, command],
        env=box.desk.environment,
        input=data,
        capture_output=True,
        timeout=60,
        check=False,
    )


def daemons(box: Box) -> int:
    """Return how many sshd there are that serve a single connection."""
    return box.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").count("sshd: agent [priv]")


def test_ssh_logs_in_through_the_engine(box: Box):
    done = proxied(box, "id -un; echo aside >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"agent\n", b"aside\n")
    status = proxied(box, "grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status").stdout.split()
    assert status[1::2] == [b"0" * 16, b"0" * 16, b"1"]


def test_our_ssh_config_may_name_the_agent_by_its_projects_id(box: Box):
    (box.project / "agent.yaml").rename(box.project / "away")  # no file of the project is read
    try:
        done = proxied(box, "id -un", proxy=f"{COMPANION} proxy {box.id}/coder")
    finally:
        (box.project / "away").rename(box.project / "agent.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"agent\n", b"")
    for wrong in (f"{box.id}/other", "nobody/coder", f"{box.id}/../coder", f"../{box.id}/coder"):
        assert (
            b"there is no agent" in proxied(box, "true", proxy=f"{COMPANION} proxy {wrong}").stderr
        )


def test_every_byte_passes_and_nobody_stays_behind(box: Box):
    before, data = daemons(box), random.Random(3).randbytes(5_000_000)
    done = proxied(box, "sha256sum; cat /proc/self/maps >/dev/null", data=data)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert proxied(box, "cat", data=data).stdout == data
    wait_until(lambda: daemons(box) == before)


def test_the_host_key_must_be_the_pinned_one(box: Box):
    other = box.desk.home / "other_pins"
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIIHvEwTl2Sl2w1sWhPBGpW0yDQKyRGeBTGrDnXnUWSHY"
    other.write_text(f"{box.alias} ssh-ed25519 {key}\n")
    done = proxied(box, "true", "-o", f"UserKnownHostsFile={other}")
    assert done.returncode == 255
    assert b"Host key verification failed" in done.stderr


def test_a_sandbox_that_is_not_there_is_said(box: Box):
    assert (
        b"there is no agent 'other'"
        in proxied(box, "true", proxy=f"{COMPANION} -C {box.project} proxy other").stderr
    )
    box.companion("down").ok()
    done = box.companion("proxy", "coder")
    assert done.code == 1
    assert done.out == ""
    assert done.problems == ["coder is not running; run `companion up`"]
    box.companion("up").ok()
