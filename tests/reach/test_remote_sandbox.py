"""A sandbox on another machine's engine is what it is here: closed, and reached by its alias."""

import json
import math
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attack_table
import pytest
from attack_table import Column
from desk import ROOT, Desk, Done, answering, make_desk
from far import Machine

pytestmark = pytest.mark.reach
IMAGE = "localhost/companion/debian:bookworm-slim"
CONFIG = """\
name: coder
runtime: {base_image: "debian:bookworm-slim"}
egress: {mode: listed, allow: [one.test]}
features:
  - plugin: ssh
  - plugin: custom-runtime
    runtime_volumes: ["./work:/srv/work"]
  - plugin: external-services
    services:
      - url: https://secret.test
        headers: {Authorization: "Bearer ${ONE}"}
"""


@dataclass(frozen=True)
class Far:
    """A project of a user whose settings name the second machine's engine `far`."""

    engine: str
    machine: Machine
    desk: Desk
    project: Path

    def companion(self, *arguments: str) -> Done:
        return self.desk.companion("-C", str(self.project), *arguments)

    def up(self, *arguments: str) -> Any:
        return self.companion("up", "--yes", "--json", *arguments).ok().agent

    @property
    def calls(self) -> Path:
        """A file with a line for each call of the engine's client."""
        return self.desk.home / "calls"

    def client(self, *arguments: str) -> None:
        """Run the engine's client on the desktop as companion does."""
        where = self.machine.environment(self.engine)
        shared = f"{self.desk.paths.shared_ssh}:{self.desk.environment['PATH']}"
        environment = self.desk.environment | where | {"PATH": shared}
        subprocess.run((self.engine, *arguments), env=environment, check=True)

    def there(self, *arguments: str) -> str:
        """Ask the engine there, on its own machine."""
        return self.machine.run(self.engine, *arguments)

    @property
    def id(self) -> str:
        state = self.desk.home / ".local/state/companion/projects"
        return next(path.parent.name for path in state.glob("*/project.json"))

    @property
    def volumes(self) -> list[str]:
        """Those of our files; the sandbox's own ones outlive it."""
        names = self.there("volume", "ls", "--quiet").split()
        return [name for name in names if name.startswith(f"{self.id}_coder.")]

    @property
    def containers(self) -> list[Any]:
        listed = ("ps", "--all", "--quiet", "--filter", f"label=dev.companion.project={self.id}")
        ids = self.there(*listed).split()
        return json.loads(self.there("inspect", *ids)) if ids else []

    @property
    def started(self) -> dict[str, str]:
        return {c["Name"].strip("/"): c["Id"] + c["State"]["StartedAt"] for c in self.containers}

    def ssh(self, command: str, *options: str) -> Done:
        return self.desk.ssh("coder.sandbox", command, *options)


def _counting(desk: Desk, engine: str) -> Path:
    """Return a directory with an engine's client that counts how often it is called."""
    client = desk.home / "clients" / engine
    client.parent.mkdir()
    real = shutil.which(engine)
    client.write_text(f'#!/bin/sh\necho "$1" >>{desk.home}/calls\nexec {real} "$@"\n')
    client.chmod(0o755)
    return client.parent


@pytest.fixture(scope="module", params=["docker", "podman"])
def far(
    request: pytest.FixtureRequest, machine: Machine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Far]:
    engine = request.param
    desk = make_desk(tmp_path_factory.mktemp(engine) / "home", engines=True)
    (desk.home / ".ssh/known_hosts").write_text(machine.known_hosts)
    with tempfile.TemporaryDirectory() as runtime:  # paths of sockets are short
        path = f"{_counting(desk, engine)}:{machine.ssh}/bin:{desk.environment['PATH']}"
        desk.environment.update(PATH=path, XDG_RUNTIME_DIR=runtime)
        if engine == "podman":
            desk.environment["CONTAINER_SSHKEY"] = f"{machine.ssh}/id"
        where = {engine: machine.docker if engine == "docker" else machine.podman}
        settings = desk.home / ".config/companion/settings.yaml"
        more = f"places: {json.dumps({'far': where | {'seed': True}})}\n"
        if engine == "podman":  # its client cannot fence in a build there
            more += "build: {network: open}\n"
        settings.write_text(settings.read_text() + more)
        made = Far(engine, machine, desk, desk.project(CONFIG, __env="ONE=sk-one\n"))
        (made.project / "work").mkdir(exist_ok=True)
        (made.project / "work/file").write_text("of the desktop\n")
        try:
            with machine.shared():
                made.up("--on", "far")
            yield made
        finally:
            with machine.shared():
                made.companion("down", "--volumes")


def test_it_is_closed_and_lets_its_user_in(far: Far):
    assert far.ssh("id -un; hostname").out.split() == ["agent", "coder"]
    assert far.companion("exec", "coder", "id", "-un").out.strip() == "agent"
    names = far.ssh("cat /etc/hosts").ok().out
    assert re.match(r"127\.0\.0\.1 localhost\n10\.[\d.]+ coder\n", names)
    assert far.machine.run("hostname").strip() not in names
    resolver = far.ssh("cat /etc/resolv.conf; getent hosts nobody.example").ok().out
    assert re.fullmatch(r"nameserver 10\.[\d.]+\noptions ndots:0\n192\.0\.2\.1 +\S+\n", resolver)


def test_every_attack_is_held(far: Far, request: pytest.FixtureRequest):
    found = far.companion("audit", "--json").ok().data["findings"]
    column = {"podman": Column.SSH_PODMAN, "docker": Column.SSH_DOCKER}[far.engine]
    attack_table.judged(column, found, update=request.config.getoption("--update"))


def test_nothing_of_this_desktop_is_mounted_and_no_port_published(far: Far):
    containers = [one for one in far.containers if one["State"]["Running"]]
    assert len(containers) == 3
    assert far.volumes
    mounts = [mount for one in containers for mount in one["Mounts"]]
    assert {mount["Type"] for mount in mounts} <= {"volume", "tmpfs"}
    assert not [
        one for one in containers if any((one["HostConfig"]["PortBindings"] or {}).values())
    ]
    for one in containers:
        options = " ".join(one["HostConfig"]["SecurityOpt"])
        assert "seccomp=" in options
        assert "unconfined" not in options


def test_a_directory_of_this_desktop_is_a_copy_there_that_the_agent_owns(far: Far):
    look = "cd /srv/work && cat file && stat -c %U . file && touch new && echo made"
    assert far.ssh(look).ok().out.split("\n")[:-1] == ["of the desktop", "agent", "agent", "made"]
    assert [path.name for path in (far.project / "work").iterdir()] == ["file"]


def test_another_host_key_is_refused(far: Far):
    other = far.desk.home / "other_pins"
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIIHvEwTl2Sl2w1sWhPBGpW0yDQKyRGeBTGrDnXnUWSHY"
    other.write_text(f"coder.sandbox ssh-ed25519 {key}\n")
    done = far.ssh("true", "-o", f"UserKnownHostsFile={other}")
    assert done.code == 255
    assert "Host key verification failed" in done.err


def test_rotated_and_removed_keys_take_effect_there_at_once(far: Far):
    before = far.started
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIHvEwTl2Sl2w1sWhPBGpW0yDQKyRGeBTGrDnXnUWSHY me"
    allowed = "cat /companion/sshd/authorized_keys"
    own = far.ssh(allowed).ok().out
    far.companion("keys", "add", "coder", key).ok()
    assert key in far.ssh(allowed).ok().out
    far.companion("keys", "remove", "coder", "me").ok()
    assert far.ssh(allowed).ok().out == own
    made = far.companion("keys", "rotate", "coder", "--json").ok().data
    assert set(made) == {"host_key", "client_key"}
    assert far.ssh(allowed).ok().out != own
    assert far.started == before


def test_a_save_reloads_the_gateway_and_ends_no_session(far: Far):
    before = far.started
    session = subprocess.Popen(
        ["ssh", "-F", far.desk.home / ".ssh/config", "coder.sandbox", "cat"],
        env=far.desk.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert session.stdin
    assert session.stdout
    session.stdin.write("a\n")
    session.stdin.flush()
    assert session.stdout.readline() == "a\n"
    file = far.project / "agent.yaml"
    file.write_text(CONFIG.replace("one.test", "two.test"))
    assert far.up()["change"] == "reload"
    reach = far.ssh("curl -s -o /dev/null -w '%{http_code} ' http://one.test http://two.test")
    assert reach.out.split()[0] == "403"
    assert reach.out.split()[1] != "403"
    session.stdin.write("b\n")
    session.stdin.close()
    assert session.stdout.read() == "b\n"
    assert session.wait(30) == 0
    assert far.started == before
    assert far.companion("plan", "--check").code == 0


def test_a_port_inside_is_forwarded(far: Far):
    with subprocess.Popen(
        ["ssh", "-F", far.desk.home / ".ssh/config", "-W", "127.0.0.1:2222", "coder.sandbox"],
        env=far.desk.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as forward:
        assert forward.stdout
        assert forward.stdout.read(7) == b"SSH-2.0"
        forward.kill()


SILENCE = {
    "its sshd is stopped": (("pkill", "-STOP", "-x", "sshd"), ("pkill", "-CONT", "-x", "sshd")),
    "it drops packets": tuple(
        ("iptables", kind, "INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP")
        for kind in ("--insert", "--delete")
    ),
}


@pytest.mark.silences
@pytest.mark.parametrize("how", SILENCE)
def test_a_machine_that_does_not_answer_is_named_and_nothing_is_removed(far: Far, how: str):
    before = far.started
    begins, ends = SILENCE[how]
    far.machine.run(*begins)
    try:
        begin = time.monotonic()
        done = far.companion("up")
        took = time.monotonic() - begin
    finally:
        far.machine.run(*ends)
    assert done.code == 1
    address = far.machine.docker.removeprefix("ssh://root@")
    assert address in done.problems[0]
    assert took < 10 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert far.started == before
    assert far.ssh("true").code == 0


def test_another_engine_that_the_client_would_use_changes_nothing(far: Far):
    before = far.started
    variable = {"docker": "DOCKER_HOST", "podman": "CONTAINER_HOST"}[far.engine]
    chosen, kept = {variable: "unix:///nowhere.sock"}, dict(far.desk.environment)
    if far.engine == "docker":
        del far.desk.environment[variable]
        for words in (
            ("create", "other", "--docker", "host=unix:///nowhere.sock"),
            ("use", "other"),
        ):
            use = ("docker", "context", *words)
            subprocess.run(use, env=far.desk.environment, check=True, capture_output=True)
        assert far.companion("status", "--json").ok().agent["state"] == "running"
        subprocess.run(
            ("docker", "context", "use", "default"), env=far.desk.environment, check=True
        )
    far.desk.environment.update(chosen)
    try:
        assert far.companion("status", "--json").ok().agent["state"] == "running"
        assert far.up()["change"] == "none"
    finally:
        far.desk.environment.clear()
        far.desk.environment.update(kept)
    assert far.started == before


def test_a_removed_secret_is_emptied_there_and_the_gateway_still_runs(far: Far):
    def held(directory: str) -> list[str]:
        """Return the names and sizes of a volume's files."""
        volume = f"{far.id}_coder.{directory}:/x"
        look = ("sh", "-c", "cd /x; find . -type f -printf '%f %s\\n'")
        ran = far.there("run", "--rm", "--network", "none", "--volume", volume, IMAGE, *look)
        return sorted(ran.splitlines())

    assert [line for line in held("secrets") if not line.endswith(" 0")]
    assert [line for line in held("certificates") if line.startswith("secret.test")]
    file = far.project / "agent.yaml"
    file.write_text(CONFIG.partition("  - plugin: external-services")[0])
    try:
        assert far.up()["change"] == "reload"
        assert [line for line in held("secrets") if not line.endswith(" 0")] == []
        reached = far.ssh("curl -s -o /dev/null -w '%{http_code}' http://one.test").ok().out
        assert reached != "000"
    finally:
        file.write_text(CONFIG)
        far.up()


def test_a_program_that_ignores_the_proxy_logs_in_by_a_forwarded_port(far: Far):
    status = far.companion("status", "--json").ok().agent
    assert status["ssh_port"] is None
    port = {"docker": "22322", "podman": "22323"}[far.engine]  # they are tested side by side
    direct = ("-o", "ProxyCommand=none", "-o", "ConnectTimeout=10", "-p", port)
    assert far.ssh("true", *direct).code == 255
    far.companion("port", "coder", f"{port}:2222", "--background").ok()
    try:
        assert far.ssh("id -un", *direct).ok().out == "agent\n"
    finally:
        far.companion("port", "coder", port, "--stop").ok()


def test_times_are_within_their_budgets_next_to_a_bare_exec(far: Far):
    """Budgets are those of a quiet machine, where an exec over a shared connection takes 0.2 s."""
    texts = [CONFIG.replace("one.test", f"{name}.test") for name in ("a", "b", "c")]
    rows, times = list[str](), dict[str, float]()

    def bare_exec() -> None:
        far.client("exec", f"{far.id}-coder", "true")

    def measure(what: str, run: Callable[[], object]) -> None:
        """Keep the best of three, each in seconds of a machine as quick as an exec just before."""
        begin, best = len(far.calls.read_text().splitlines()), (math.inf, 0.0, 0.0)
        for text in texts:
            (far.project / "agent.yaml").write_text(text)
            beside, took = seconds(bare_exec), seconds(run)
            best = min(best, (took / min(3.0, max(1.0, beside / 0.2)), took, beside))
        each = (len(far.calls.read_text().splitlines()) - begin) / len(texts) - 1
        times[what] = best[0]
        rows.append(f"| {far.engine} | {what} | {each:.0f} | {best[1]:.2f} | {best[2]:.2f} |")

    measure("login", lambda: far.ssh("true").ok())
    measure("status", lambda: far.companion("status").ok())
    measure("reload", far.up)
    report = ROOT / "build/reach"
    report.mkdir(parents=True, exist_ok=True)
    names = ("engine", "what", "calls of its client", "seconds", "a bare exec just before")
    head = f"| {' | '.join(names)} |\n{'|---' * len(names)}"
    (report / f"{far.engine}.md").write_text("\n".join((f"{head}|", *rows)) + "\n")
    reload = {"docker": 1.5, "podman": 3.0}  # podman's client logs in for each call
    budgets = {"login": 0.8, "status": 1.0, "reload": reload[far.engine]}
    assert {what: took for what, took in times.items() if took > budgets[what]} == {}


def seconds(run: Callable[[], object]) -> float:
    begin = time.monotonic()
    run()
    return time.monotonic() - begin


def test_it_moves_here_and_back_and_leaves_nothing_behind(far: Far):
    """Last: the sandbox is another one afterwards."""
    engine = far.engine
    assert engine in answering()
    (far.project / "agent.yaml").write_text(CONFIG + f"container_runtime: {engine}\n")
    assert far.up()["engine"] == engine
    assert far.ssh("id -un").out.strip() == "agent"
    assert far.containers == []
    assert far.volumes == []
    (far.project / "agent.yaml").write_text(CONFIG)
    far.up("--on", "far")
    assert far.ssh("id -un").out.strip() == "agent"
    far.companion("down").ok()
    assert far.containers == []
    assert far.volumes == []
