"""podman of an ordinary user: containers in user namespaces, where the user's files stay theirs.

Needs root: it makes that user, with the devices that a desktop gives its users.
"""

import json
import os
import pwd
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from desk import ROOT, STAND_INS, Done

pytestmark = [pytest.mark.engine, pytest.mark.long]
USER, PORT = "companion-test", 8997
BASE = "localhost/companion/debian:bookworm-slim"
PYTHON = "/usr/bin/python3"
NEW_ENOUGH = "import sys; sys.exit(sys.version_info < (3, 11))"
CONFIG = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: podman
gateway: {gateway}
features:
  - plugin: ssh
  - plugin: custom-runtime
    runtime_volumes: ["./work:{{{{ .AGENT_HOME }}}}/work"]
"""
SERVICE = f"""\
  - plugin: external-services
    services:
      - {{url: "http://host.containers.internal:{PORT}", headers: {{X-Key: "${{KEY}}"}}}}
egress: listed
"""
CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""
# A machine may keep the devices of networks and overlays from its users: here are others.
ENTER = """\
set -e
mount -t tmpfs none "$1"
mknod "$1/tun" c 10 200; mknod "$1/fuse" c 10 229; chmod 666 "$1"/*
mount --bind "$1/tun" /dev/net/tun; mount --bind "$1/fuse" /dev/fuse
shift
exec runuser -u "$1" -- env -i HOME="$2" PATH="$PATH" XDG_RUNTIME_DIR="$3" sh -c "cd; $4"
"""


@dataclass
class Ordinary:
    """A user who is not root, with podman and companion."""

    home: Path
    run_directory: Path
    devices: Path

    def run(self, command: str) -> Done:
        argv = ["unshare", "--mount", "sh", "-c", ENTER, "sh", self.devices, USER, self.home]
        done = subprocess.run([*argv, self.run_directory, command],
                              capture_output=True, text=True, check=False)  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def companion(self, *arguments: str) -> Done:
        words = [f"{self.home}/venv/bin/companion", "-C", "project", *arguments]
        return self.run(shlex.join(words))

    def config(self, text: str) -> None:
        (self.home / "project/agent.yaml").write_text(text)


@contextmanager
def ordinary() -> Iterator[Ordinary]:
    """Make a user with subordinate ids, a base image and companion; remove them at the end."""
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", USER], check=True)
    who = pwd.getpwnam(USER)
    home, running = Path(who.pw_dir), Path(f"/run/user/{who.pw_uid}")
    made = Ordinary(home, running, home / "devices")
    try:
        for directory in (made.devices, home / "project/work", home / ".config/containers",
                          home / ".config/companion", running):  # fmt: skip
            directory.mkdir(parents=True)
        (home / ".config/containers/containers.conf").write_text(CONTAINERS)
        (home / ".config/companion/settings.yaml").write_text(
            f"trust: {{always: [{home}]}}\n{STAND_INS}"
        )
        (home / "project/.env").write_text("KEY=canary-rootless\n")
        subprocess.run(["git", "init", "-q", home / "project/work"], check=True)
        subprocess.run(["podman", "save", "--quiet", "-o", home / "base.tar", BASE], check=True)
        install(home)
        subprocess.run(["chown", "-R", f"{USER}:", home, running], check=True)
        made.run("podman load -i base.tar").ok()
        yield made
    finally:
        made.run("podman rm --all --force --time 0")
        end_processes(who.pw_uid)
        subprocess.run(["userdel", "--force", "--remove", USER], check=False, capture_output=True)
        shutil.rmtree(running, ignore_errors=True)


def end_processes(uid: int) -> None:
    """End the user's processes, and those in their containers, which have subordinate ids."""
    lines = [line.split(":") for line in Path("/etc/subuid").read_text().splitlines()]
    ranges = [range(int(first), int(first) + int(n)) for name, first, n in lines if name == USER]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            owner = process.stat().st_uid
            if owner == uid or any(owner in ids for ids in ranges):
                os.kill(int(process.name), signal.SIGKILL)


def install(home: Path) -> None:
    """Install companion from this checkout, which that user may not read."""
    copy = home / "source"
    names = (
        "companion",
        "ssh",
        "editors",
        "assets",
        "installer",
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
    )
    copy.mkdir()
    for name in names:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
    pip = [home / "venv/bin/python", "-m", "pip", "install", "-q"]
    for argv in ([PYTHON, "-m", "venv", home / "venv"], [*pip, "-r", ROOT / "requirements.lock"],
                 [*pip, "--no-deps", "--no-build-isolation", copy]):  # fmt: skip
        subprocess.run(argv, check=True, capture_output=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a user")
def test_without_root_the_sandbox_holds_and_files_stay_the_users(
    engine: str, upstream: Callable[..., list[dict[str, str]]]
):
    if engine != "podman":
        pytest.skip("docker without root has no way to lead the user's id through")
    if subprocess.run([PYTHON, "-c", NEW_ENOUGH], check=False).returncode:
        pytest.skip(f"no {PYTHON} of 3.11 or newer, which another user may run")
    with ordinary() as user:
        user.config(CONFIG.format(gateway="true") + SERVICE)
        user.companion("up", "--yes").ok()
        status = user.companion("status", "--json").ok().agent
        assert status["state"] == "running"
        for _ in range(4):  # podman leads in to either of the gateway's addresses, by chance
            user.companion("restart").ok()
        seen = upstream(status["host_address"], PORT, None)
        asked = f"curl -sS -m 10 http://host.containers.internal:{PORT}/"
        assert user.companion("ssh", "coder", "--", asked).ok().out == "echo"
        assert seen[-1]["x-key"] == "canary-rootless"
        files_stay_the_users(user)
        git_obeys_the_user_alone(user)
        audit = user.companion("audit", "coder", "--json").data
        open_ways = {f["attack"] for f in audit["findings"] if not f["held"]}
        assert open_ways <= limits_that_cannot_be(user), audit
        user.config(CONFIG.format(gateway="false"))
        user.companion("up").ok()
        files_stay_the_users(user)
        user.companion("down", "--volumes").ok()
        assert user.run("podman ps -aq; podman volume ls -q").ok().out == ""


def files_stay_the_users(user: Ordinary) -> None:
    user.companion("exec", "coder", "--", "sh", "-c", "date > work/made; cat work/made").ok()
    made = user.home / "project/work/made"
    assert made.owner() == USER
    made.unlink()
    assert user.companion("plan", "--check").code == 0


def git_obeys_the_user_alone(user: Ordinary) -> None:
    def tries(command: str) -> int:
        return user.companion("exec", "coder", "--", "sh", "-c", f"cd work/.git && {command}").code

    assert tries("touch mine && rm mine") == 0
    for attack in (
        "echo >>config",
        "rm config",
        "echo >commondir",
        "touch hooks/x",
        "mv ../.git ../x",
    ):
        assert tries(attack), attack


def limits_that_cannot_be(user: Ordinary) -> set[str]:
    """Without version 2 of cgroups an ordinary user's podman limits nothing; the audit says so."""
    host = json.loads(user.run("podman info --format json").ok().out)["host"]
    return set() if host["cgroupVersion"] == "v2" else {"no limits on processes and memory"}
