"""On a real cluster: nodes that hang, agents that resist, volumes that grew, users with one path.

The tests follow two sandboxes of one project directory, and build on each other.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import node
import pytest
from desk import ROOT, Desk, Done, make_desk
from node import Space

pytestmark = [pytest.mark.reach, pytest.mark.timeout(2400)]
SPACE = "mishaps"
CONFIG = """\
name: coder
runtime: {base_image: "debian:bookworm-slim", cmd: [sleep, infinity]}
egress: {mode: listed, allow: [listed.test]}
features: [{plugin: ssh}]
"""
OWNER = "dev.companion.owner"


@dataclass
class User:
    """A desktop whose place `team` is the namespace that it shares with others."""

    desk: Desk
    project: Path
    space: Space

    def companion(self, *words: str) -> Done:
        return self.desk.companion("-C", str(self.project), *words)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return self.desk.start("-C", str(self.project), *words)

    def inside(self, script: str) -> Done:
        return self.companion("exec", "coder", "--", "bash", "-c", script)

    def get(self, kind: str) -> list[Any]:
        (file,) = self.desk.home.glob("**/owner_id")
        items: list[Any] = self.space.get(kind, "-l", f"{OWNER}={file.read_text().strip()}")[
            "items"
        ]
        return items

    def pod(self, role: str) -> Any:
        (found,) = (
            one
            for one in self.get("pods")
            if one["metadata"]["labels"]["dev.companion.role"] == role
        )
        return found

    def ids(self) -> set[str]:
        return {one["metadata"]["uid"] for one in self.get("pods")}


def user_of(space: Space, directory: Path, project: Path) -> User:
    desk, cluster = make_desk(directory / "home", engines=True), space.cluster
    registries = directory / "registries.conf"
    registries.write_text(f'[[registry]]\nlocation = "{cluster.registry}"\ninsecure = true\n')
    desk.environment |= cluster.environment("user")
    desk.environment |= {"CONTAINERS_REGISTRIES_CONF": str(registries)}
    desk.environment["DOCKER_HOST"] = f"unix://{directory}/none"  # podman builds and pushes
    settings = desk.paths.settings
    where = f'context: test, namespace: {SPACE}, registry: "{cluster.registry}/mishaps"'
    trusted = settings.read_text().replace(str(desk.home), str(project))
    settings.write_text(f"{trusted}places: {{team: {{kubernetes: {{{where}}}}}}}\n")
    return User(desk, project, space)


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[User, User]]:
    """Two desktops of one path; the sandbox of the first one runs."""
    with node.running() as cluster:
        top = tmp_path_factory.mktemp("mishaps")
        project = top / "app"
        project.mkdir()
        (project / "agent.yaml").write_text(CONFIG)
        space = Space(cluster, SPACE)
        cluster.kubectl("create", "namespace", SPACE).ok()
        try:
            space.kubectl("apply", "-f", str(ROOT / "assets/kubernetes/role.yaml")).ok()
            bind = ("create", "rolebinding", "companion", "--role", "companion", "--user", "user")
            space.kubectl(*bind).ok()
            first, second = (user_of(space, top / name, project) for name in ("one", "two"))
            first.companion("up", "--on", "team").ok()
            yield first, second
        finally:
            cluster.kubectl("delete", "namespace", SPACE)


@pytest.fixture
def user(users: tuple[User, User]) -> User:
    return users[0]


def eventually(happens: Callable[[], object]) -> None:
    for _ in range(600):
        if happens():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen")


def test_an_agent_that_ends_every_command_inside_cannot_hold_up_a_denial(user: User):
    before = user.ids()
    hunt = (
        "while :; do for p in /proc/[0-9]*; do read -rd '' a <$p/cmdline && [[ $a = *sha256sum ]]"
        " && kill -9 ${p##*/}; mapfile -d '' w <$p/cmdline; [[ ${w[*]} = '/bin/bash -s' ]]"
        " && kill -9 ${p##*/}; done 2>/dev/null; done"
    )
    user.inside(f"setsid bash -c {json.dumps(hunt).replace('$', chr(92) + '$')} >/dev/null 2>&1 &")
    pod = user.pod("agent")["metadata"]["name"]
    killed = user.space.kubectl("exec", "-i", pod, "--", "/bin/bash", "-s", stdin="sleep 9")
    assert killed.code == 137
    assert "no address" in user.inside("curl -s http://listed.test").out
    (user.project / "agent.yaml").write_text(CONFIG.replace("listed.test", "other.test"))
    user.companion("up").ok()
    assert "not in the egress list" in user.inside("curl -s http://listed.test").out
    assert user.ids() == before


def test_another_user_of_the_same_path_has_a_sandbox_of_their_own(users: tuple[User, User]):
    first, second = users
    before = first.ids()
    second.companion("up", "--on", "team").ok()
    second.inside("echo second >~/whose").ok()
    assert first.inside("cat ~/whose").code == 1
    second.companion("down", "--volumes").ok()
    assert not second.get("pods,secrets,configmaps,services,networkpolicies,pvc")
    assert first.ids() == before
    assert first.companion("status", "--json").ok().agent["state"] == "running"


def test_files_that_others_deleted_are_stored_again_and_nothing_restarts(user: User):
    before, kinds = user.ids(), "secrets,configmaps"
    held = {one["metadata"]["name"] for one in user.get(kinds)}
    user.space.kubectl("delete", kinds, "-l", "dev.companion.agent=coder").ok()
    steps = user.companion("plan", "--json").ok().agent["steps"]
    assert {(one["step"], one["code"]) for one in steps} == {
        ("reload coder-gateway", "files-lost"), ("reload coder", "files-lost"),
    }  # fmt: skip
    user.companion("up").ok()
    assert {one["metadata"]["name"] for one in user.get(kinds)} == held
    assert user.ids() == before
    assert user.companion("plan", "--check").code == 0
    (one, *_) = user.get("secrets")
    user.space.kubectl("delete", "secret", one["metadata"]["name"]).ok()
    user.space.kubectl("delete", "pod", user.pod("agent")["metadata"]["name"]).ok()
    user.companion("up").ok()
    assert user.companion("status", "--json").ok().agent["state"] == "running"


def test_a_volume_that_was_made_larger_is_started_with_again(user: User):
    cluster = user.space.cluster
    (claim,) = user.get("pvc")
    name = claim["metadata"]["name"]
    grows = json.dumps({"allowVolumeExpansion": True})
    cluster.kubectl("patch", "storageclass", "local", "--patch", grows).ok()
    try:
        more = json.dumps({"spec": {"resources": {"requests": {"storage": "11Gi"}}}})
        user.space.kubectl("patch", "pvc", name, "--patch", more).ok()
        user.companion("restart").ok()
    finally:
        held = json.dumps({"allowVolumeExpansion": False})
        cluster.kubectl("patch", "storageclass", "local", "--patch", held).ok()
    (claim,) = user.get("pvc")
    assert claim["spec"]["resources"]["requests"]["storage"] == "11Gi"


def test_the_policies_of_a_pod_stay_until_it_is_gone(user: User):
    """Last: nothing is left of the sandbox afterwards."""
    pod = user.pod("agent")["metadata"]["name"]
    held = ("patch", "pod", pod, "--type=merge", "--patch")
    stays = json.dumps({"metadata": {"finalizers": ["test.companion.dev/node-is-down"]}})
    user.space.kubectl(*held, stays).ok()
    down = user.start("down")
    try:
        eventually(lambda: not user.get("secrets,configmaps"))
        for _ in range(20):
            assert len(user.get("networkpolicies")) == 2
            time.sleep(0.1)
        assert down.poll() is None
    finally:
        goes = json.dumps({"metadata": {"finalizers": None}})
        user.space.kubectl(*held, goes).ok()
    assert down.wait(60) == 0
    assert not user.get("pods,deployments,statefulsets,services,networkpolicies,configmaps,secrets")
