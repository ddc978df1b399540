"""The same agent.yaml on a real cluster, by commands of its user, who has the shipped Role only.

The tests follow one sandbox through its life, so they build on each other.
"""

import os
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attack_table
import place
import pytest
from attack_table import Column
from desk import Desk, Done
from node import SCRIPT, Cluster, Space
from place import Place

pytestmark = [pytest.mark.reach, pytest.mark.timeout(2400)]
VALUE = "canary-value-of-a-placed-secret"
CONFIG = """\
name: coder
runtime: {base_image: "debian:bookworm-slim", cmd: [sleep, infinity]}
egress: {mode: listed, allow: [listed.test]}
features:
  - plugin: ssh
  - plugin: external-services
    services:
      - url: http://model.test:8000
        headers: {Authorization: "Bearer ${A_KEY}"}
"""
REFUSED = "not in the egress list"


@dataclass
class Placed:
    """A project at the place `team`."""

    place: Place
    project: Path

    @property
    def desk(self) -> Desk:
        return self.place.desk

    @property
    def space(self) -> Space:
        return self.place.space

    def companion(self, *words: str) -> Done:
        return self.desk.companion("-C", str(self.project), *words)

    def save(self, text: str) -> None:
        (self.project / "agent.yaml").write_text(text)

    def pods(self) -> dict[str, Any]:
        items = self.space.get("pods")["items"]
        return {one["metadata"]["labels"]["dev.companion.role"]: one for one in items}

    def ids(self) -> set[str]:
        return {one["metadata"]["uid"] for one in self.pods().values()}

    def inside(self, script: str) -> Done:
        return self.companion("exec", "coder", "--", "bash", "-c", script)

    @property
    def held(self) -> set[str]:
        """The objects of ours, as KIND/NAME."""
        kinds = "deployments,statefulsets,pods,services,networkpolicies,configmaps,secrets,pvc"
        ours = "dev.companion.agent=coder"
        return set(self.space.kubectl("get", kinds, "-l", ours, "-o", "name").ok().out.split())


@pytest.fixture(scope="module")
def placed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Placed]:
    directory = tmp_path_factory.mktemp("place")
    with place.made(cluster, f"places-{os.getpid()}", directory) as made:
        yield Placed(made, made.desk.project(CONFIG, "placed", __env=f"A_KEY={VALUE}\n"))


def test_up_at_a_place_runs_the_same_agent_yaml_there(placed: Placed):
    placed.companion("up", "--on", "team").ok()
    assert set(placed.pods()) == {"agent", "gateway"}
    status = placed.companion("status", "--json").ok().agent
    assert (status["state"], status["place"], status["fence"]) == ("running", "team", "pod")
    assert status["ssh_port"] is None
    assert placed.companion("plan", "--json").ok().agent["change"] == "none"
    assert REFUSED in placed.inside("curl -sS http://other.test").out
    assert placed.inside("id -u; exit 7").code == 7


def test_its_user_logs_in_by_the_alias_and_copies_files(placed: Placed):
    done = placed.companion("ssh", "coder", "--", "id -un")
    assert (done.code, done.out.split(), done.err) == (0, ["agent"], "")
    placed.companion("cp", str(placed.project / "agent.yaml"), "coder:/home/agent/kept").ok()
    assert placed.inside("cat ~/kept").out == CONFIG


def test_the_secret_is_in_no_pod_event_log_or_argument(placed: Placed):
    kinds = "pods,events,configmaps,services,deployments,statefulsets,replicasets"
    told = [placed.space.kubectl("get", kinds, "-o", "yaml").ok().out]
    told += [placed.companion("logs", "coder", "--verbose").ok().out]
    assert not [text for text in told if VALUE in text]
    secrets = placed.space.get("secrets", "-l", "dev.companion.agent=coder")["items"]
    assert not [one for one in secrets if one["metadata"].get("annotations")]
    found = placed.inside(f"env | grep {VALUE}; ls /var/run/secrets /companion 2>&1; true").out
    assert VALUE not in found
    assert "serviceaccount" not in found


def test_an_audit_holds_but_for_the_nodes_own_list_of_system_calls(
    placed: Placed, request: pytest.FixtureRequest
):
    found = placed.companion("audit", "--json").data["findings"]
    got_through = {one["attack"] for one in found if not one["held"]}
    assert got_through <= {
        "a socket to virtual machines and their host (vsock)",
        "the same by 32-bit system calls",
        "io_uring",
    }
    assert len(found) > 45
    attack_table.judged(Column.POD, found, update=request.config.getoption("--update"))


def test_rotated_and_removed_keys_take_effect_there_at_once(placed: Placed):
    before = placed.ids()
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIHvEwTl2Sl2w1sWhPBGpW0yDQKyRGeBTGrDnXnUWSHY me"
    allowed = "cat /companion/sshd/authorized_keys"
    own = placed.inside(allowed).ok().out
    placed.companion("keys", "add", "coder", key).ok()
    assert key in placed.inside(allowed).ok().out
    placed.companion("keys", "remove", "coder", "me").ok()
    assert placed.inside(allowed).ok().out == own
    placed.companion("keys", "rotate", "coder").ok()
    assert placed.companion("ssh", "coder", "--", "id -un").out.split() == ["agent"]
    assert placed.inside(allowed).ok().out != own
    assert placed.ids() == before


def test_a_save_is_applied_within_seconds_and_no_pod_or_session_ends(placed: Placed):
    before = placed.ids()
    argv = ["ssh", "-F", placed.desk.paths.ssh_config, "coder.sandbox", "cat"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    session = subprocess.Popen(argv, env=placed.desk.environment, text=True, **pipes)
    assert session.stdin
    assert session.stdout
    session.stdin.write("a\n")
    session.stdin.flush()
    assert session.stdout.readline() == "a\n"
    watch = placed.desk.start("watch")
    assert watch.stderr
    try:
        assert any("watching" in line for line in watch.stderr)
        placed.save(CONFIG.replace("listed.test", "added.test"))
        asks = "curl -s http://added.test | grep -q 'no address' && exit"
        placed.inside(f"for _ in $(seq 150); do {asks}; sleep 0.2; done; exit 1").ok()
    finally:
        watch.terminate()
        watch.wait(30)
    assert REFUSED in placed.inside("curl -s http://listed.test").out
    assert placed.ids() == before
    session.stdin.write("b\n")
    session.stdin.close()
    assert session.stdout.read() == "b\n"
    assert session.wait(30) == 0


def test_a_change_that_fails_leaves_the_previous_version_and_its_home(placed: Placed):
    placed.save(CONFIG.replace("[sleep, infinity]", '["false"]'))
    done = placed.companion("up")
    assert done.code == 1
    assert "the agent exited at startup with exit code 1" in done.err
    assert "the previous version is running again" in done.err
    assert placed.companion("status", "--json").ok().agent["state"] == "running"
    assert placed.inside("cat ~/kept").out == CONFIG
    placed.save(CONFIG)
    placed.companion("up").ok()


def test_an_image_that_cannot_be_pushed_stops_before_anything_changes(placed: Placed):
    before = placed.ids()
    placed.place.define(team="127.0.0.1:9/none")
    done = placed.companion("up", "--on", "team")
    placed.place.define(team=placed.place.registry)
    assert done.code == 1
    assert "the registry 127.0.0.1:9 does not answer" in done.err
    assert placed.ids() == before


KILL = """
for p in /proc/[0-9]*; do
  grep -qE 'pod({0}|{1})' $p/cgroup || continue
  read -rd '' word <$p/cmdline
  [ "$word" {2} /pause ] && kill -9 ${{p##*/}}
done
exit 0
"""
TRIES = """
rm -f ~/open ~/tries ~/stop
ask="exec 3<>/dev/tcp/10.213.251.2/10250; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
until sleep 0.1; [ -e ~/stop ]; do
  said=$(timeout 2 bash -c "$ask" 2>&1 | tr -d '\\0')
  case $said in
    ''|*gateway:*|*refused*|*reset*) echo held >>~/tries ;;
    *) echo "$said" >>~/open ;;
  esac
done
"""
"""What asks the node's kubelet all the time: it answers to whoever gets out."""


def kill(placed: Placed, role: str, *, pause: bool) -> None:
    """Kill the processes of a Pod on its node: the one that holds its network, or all others."""
    uid = placed.pods()[role]["metadata"]["uid"]
    script = KILL.format(uid, uid.replace("-", "_"), "=" if pause else "!=")
    subprocess.run([*SCRIPT, "exec", "bash", "-c", script], check=True)


def starts(placed: Placed, role: str) -> int:
    """How often a Pod's container started again; -1 while it does not run."""
    (status,) = placed.pods()[role]["status"]["containerStatuses"]
    return int(status["restartCount"]) if status.get("started") else -1


@pytest.mark.parametrize(
    ("role", "pause"), [("agent", True), ("gateway", False), ("gateway", True)]
)
def test_what_dies_opens_nothing_and_returns_without_the_desktop(
    placed: Placed, role: str, pause: bool
):
    before, ids = starts(placed, role), placed.ids()
    placed.inside(f"setsid bash -c {shlex.quote(TRIES)} >/dev/null 2>&1 </dev/null &").ok()
    held = "for _ in $(seq 300); do [ -s ~/tries ] && exit; sleep 0.1; done; exit 1"
    placed.inside(held).ok()
    kill(placed, role, pause=pause)
    for _ in range(300):
        if starts(placed, role) > before:
            break
        time.sleep(0.5)
    assert starts(placed, role) > before
    asks = f"curl -sS http://other.test | grep '{REFUSED}' && exit"
    placed.inside(f"for _ in $(seq 150); do {asks}; sleep 0.2; done; exit 1").ok()
    assert placed.inside("cat ~/open").code == 1
    assert placed.ids() == ids
    assert placed.companion("plan", "--check").code == 0
    placed.inside("touch ~/stop").ok()


def test_a_silent_api_server_is_named_within_ten_seconds_and_nothing_is_removed(placed: Placed):
    before = placed.ids()
    api = ("-x", "kube-apiserver")
    subprocess.run([*SCRIPT, "exec", "pkill", "-STOP", *api], check=True)
    try:
        for command in ("up", "down"):
            begin = time.monotonic()
            done = placed.companion(command)
            took = time.monotonic() - begin
            assert done.code == 1
            (problem,) = done.problems
            assert f"team (the namespace {placed.space.name} at https://" in problem
            assert "does not answer" in problem
            assert took < 10 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    finally:
        subprocess.run([*SCRIPT, "exec", "pkill", "-CONT", *api], check=True)
    assert placed.companion("status", "--json").ok().agent["state"] == "running"
    assert placed.ids() == before


def test_a_restart_replaces_both_pods_and_keeps_the_home(placed: Placed):
    before = placed.ids()
    placed.companion("restart").ok()
    assert not placed.ids() & before
    assert placed.inside("cat ~/kept").out == CONFIG


def test_it_moves_to_this_desktop_and_leaves_no_secret_there(placed: Placed):
    said = placed.companion("up", "--on", "podman").ok().err
    assert f"leaving team (the namespace {placed.space.name} at https://" in said
    assert placed.held == {one for one in placed.held if one.startswith("persistentvolumeclaim/")}
    placed.companion("up", "--on", "team").ok()
    assert placed.inside("cat ~/kept").out == CONFIG


def test_down_leaves_claims_and_nothing_else_until_they_are_to_go(placed: Placed):
    placed.companion("down").ok()
    assert {one.partition("/")[0] for one in placed.held} == {"persistentvolumeclaim"}
    placed.companion("down", "--volumes").ok()
    assert placed.held == set()


UNUSABLE = {
    "a silent address": (
        r"https://[0-9.]+:6443", "https://SILENT", r"at https://127.0.0.1:[0-9]+\) does not answer",
    ),
    "another authority": (
        r"/ca\.crt", "/kubelet.crt",
        r"does not prove that it is the one you mean: x509: .*check the certificate authority",
    ),
    "a login that does not start": (
        r"\{client-certificate[^}]*\}",
        "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: no-such-login}}",
        r"does not accept your credentials: .*no-such-login.*; log in to it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_cluster_that_cannot_be_used_is_one_message_that_tells_why(placed: Placed, what: str):
    pattern, other, said = UNUSABLE[what]
    changed = placed.desk.home / "changed.conf"
    config = Path(placed.desk.environment["KUBECONFIG"]).read_text()
    desk = Desk(placed.desk.home, placed.desk.environment | {"KUBECONFIG": str(changed)})
    project = desk.project(CONFIG, "refused", __env=f"A_KEY={VALUE}\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        changed.write_text(re.sub(pattern, other, config).replace("SILENT", address))
        done = desk.companion("-C", str(project), "up", "--on", "team")
    assert done.code == 1
    (problem,) = done.problems
    assert re.search(said, problem)
