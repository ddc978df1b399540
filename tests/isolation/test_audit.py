"""Does the sandbox hold, and would the audit notice if it did not? Each attack with its control."""

import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import attack_table
import pytest
from attack_table import SCRIPT, TITLES, Column
from sandboxes import Box

from companion.operations import audit
from companion.reconcile import certificates
from companion.spec.containers import Role, Service

WORLD = Path(__file__).parent / "world.py"
INSIDE = audit._TITLE.findall(SCRIPT.read_text().partition(audit._INSIDE)[2])
NETWORK = [title for title in TITLES if title not in INSIDE]
ALWAYS_OPEN = (
    *("--user", "0", "--pid", "host", "--publish", "0.0.0.0::2222"),
    *("--env", "http_proxy=http://user:password@proxy.test", "--add-host", "db.test:10.0.0.9"),
)
OPEN = {
    "podman": ("--privileged", *ALWAYS_OPEN),
    "docker": (  # in a nested machine docker cannot give all capabilities: those that count
        *("--cap-add", "SYS_ADMIN", "--cap-add", "MKNOD", "--cap-add", "SYSLOG"),
        *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
        *("--security-opt", "systempaths=unconfined", "--device-cgroup-rule", "a *:* rwm"),
        *("--volume", "/dev:/dev", *ALWAYS_OPEN),
    ),
}
NEEDS_ROOT = "a world to be attacked needs root, for namespaces of its own"


def impossible() -> Iterator[str]:
    """Yield the attacks that this machine's kernel has no way for, whatever one may do."""
    has_vsock = True
    try:
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    except OSError:
        has_vsock = False
        yield "a socket to virtual machines and their host (vsock)"
    if not has_vsock or platform.machine() != "x86_64":
        yield "the same by 32-bit system calls"
    switch = Path("/proc/sys/kernel/io_uring_disabled")
    if switch.exists() and switch.read_text().strip() != "0":
        yield "io_uring"


def through(titles: list[str], said: str) -> dict[str, str]:
    """Return title → what it said, of the attacks that got through; a check that works is none."""
    found = {one.attack: one for one in audit.findings(titles, said)}
    return {t: o.detail for t, o in found.items() if o.held == t.startswith("check")}


@pytest.mark.skipif(os.geteuid() != 0, reason=NEEDS_ROOT)
def test_every_attack_on_the_network_gets_through_where_nothing_holds(tmp_path: Path):
    authority = certificates.new_authority(datetime.now(UTC))
    (tmp_path / "world.pem").write_text(
        certificates.issue(authority, "world.test", datetime.now(UTC))
    )
    apart = ["unshare", "--net", "--mount", sys.executable, WORLD, SCRIPT, tmp_path]
    said = subprocess.run(apart, capture_output=True, text=True, check=True).stdout
    assert set(through(NETWORK, said)) == set(NETWORK), said


def test_what_does_not_answer_did_not_hold():
    (finding,) = audit.findings(["mounting a file system"], "something else\theld\n")
    assert not finding.held


@pytest.mark.engine
def test_every_attack_on_a_container_gets_through_where_nothing_holds(box: Box, tmp_path: Path):
    for name in ("authorized_keys", "sshd_config", "secret"):
        (tmp_path / name).write_text("")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock"))
    mounts = {"sshd": "/companion/sshd", "secrets": "/companion/secrets", "s": "/run/docker.sock"}
    sources = {"sshd": tmp_path, "secrets": tmp_path, "s": tmp_path / "sock"}
    volumes = [word for n, target in mounts.items() for word in ("-v", f"{sources[n]}:{target}")]
    image, name = box.inspect("coder")["Config"]["Image"], f"{box.id}-control"
    sleep = ["--entrypoint", "sleep", image, "600"]
    try:
        box.engine("run", "--detach", "--name", name, *OPEN[box.name], *volumes, *sleep)
        argv = [box.name, "exec", "--interactive", name, "bash", "-s", "inside", "-", "0", "-"]
        with SCRIPT.open() as script:
            said = subprocess.run(argv, stdin=script, capture_output=True, text=True, check=False)
        wanted = set(INSIDE) - set(impossible())
        assert set(through(INSIDE, said.stdout)) >= wanted, said.stdout + said.stderr
        assert box.companion("plan", "--check").code == 0, "what others run of our image is theirs"
        data = json.loads(box.engine("inspect", name))[0]
        nothing = Service("control", Role.AGENT, image, "1000", ())
        for attack, judge in audit.judges("").items():
            assert judge(nothing, data), attack
    finally:
        box.engine("rm", "--force", name)


@pytest.mark.engine
def test_a_sandbox_holds_all_of_them(box: Box, request: pytest.FixtureRequest):
    done = box.companion("audit", "coder", "--json")
    data = done.data
    assert data, done.out
    found = {one["attack"]: one for one in data["findings"]}
    assert not {title: one["detail"] for title, one in found.items() if not one["held"]}
    assert done.code == 0
    assert set(TITLES) <= set(found), "what is known to be open is not among the findings"
    assert any("sends ONE to " in one for one in data["by_design"])
    update = request.config.getoption("--update")
    attack_table.judged(Column(box.name), data["findings"], update=update)


@pytest.mark.engine
def test_an_audit_of_what_does_not_run_as_it_should_says_so(box: Box):
    with box.changed('    env: ["COLOUR=red"]\n'):
        done = box.companion("audit", "coder")
        assert done.code == 1
        assert "coder does not run as agent.yaml says" in done.err
