"""A sandbox that moves to another engine: built there first, with a way back, and nothing lost."""

import random
import subprocess

import pytest
from desk import Desk
from fake_project import Fake
from sandboxes import wait_until
from test_deaths import watching

CONFIG = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: {on}
egress: listed
features:
  - plugin: custom-runtime
    commands: ["echo {build}"]
    runtime_volumes: ["cache:/srv/cache"]
"""
Pair = tuple[Fake, Fake]


@pytest.fixture
def pair(desk: Desk) -> Pair:
    """A sandbox that runs on podman, and docker."""
    podman = Fake(desk, desk.project(CONFIG.format(on="podman", build=0)))
    docker = Fake(desk, podman.project, "docker")
    subprocess.run([docker.program, "version"], env=desk.environment, check=True)
    podman.companion("up").ok()
    return podman, docker


def say(fake: Fake, on: str, build: int = 0) -> None:
    (fake.project / "agent.yaml").write_text(CONFIG.format(on=on, build=build))


def runs(fake: Fake) -> bool:
    """Tell whether the whole sandbox runs on an engine; half of one is a failure."""
    containers = fake.world["containers"].values()
    assert len(containers) in {0, 3}
    assert len(fake.world["networks"]) == (2 if containers else 0)
    assert all(c["State"]["Running"] for c in containers)
    return bool(containers)


def where(fake: Fake) -> tuple[str, str]:
    agent = fake.companion("status", "--json").ok().agent
    return agent["engine"], agent["state"]


def test_a_move_is_planned_and_then_done_as_planned(pair: Pair):
    podman, docker = pair
    say(docker, "docker")
    said = docker.companion("plan").ok().out
    assert said.startswith("move from podman to docker: images are built first, volumes stay")
    assert "take the sandbox off podman: it moves to docker; volumes stay behind" in said
    assert where(docker) == ("podman", "running")
    planned = docker.companion("plan", "--json").ok().agent["steps"]
    assert docker.companion("up", "--json").ok().agent["steps"] == [s["step"] for s in planned]
    assert not runs(podman)
    docker.is_whole()
    assert where(docker) == ("docker", "running")
    assert podman.world["volumes"]


def test_images_are_built_on_the_new_engine_while_the_old_one_has_the_sandbox(pair: Pair):
    podman, docker = pair
    say(docker, "docker")
    docker.set(refuse=["build"])
    podman.set(calls=[])
    done = docker.companion("up")
    assert done.code == 1
    assert "could not be built" in done.err
    assert "the sandbox that ran before is back" in done.err
    assert runs(podman)
    assert not podman.world["calls"]
    assert where(podman) == ("podman", "running")
    docker.set(refuse=[])
    docker.companion("up").ok()
    assert not runs(podman)
    docker.is_whole()


@pytest.mark.parametrize("refused", ["create", "start"])
def test_what_does_not_start_on_the_new_engine_is_back_on_the_old_one(pair: Pair, refused: str):
    podman, docker = pair
    say(docker, "docker", build=1)
    docker.set(refuse=[refused])
    done = docker.companion("up")
    assert done.code == 1
    assert f"{refused} is refused" in done.err
    assert "the sandbox that ran before is back" in done.err
    assert runs(podman)
    assert not runs(docker)
    assert where(podman) == ("podman", "running")
    say(podman, "podman")
    podman.companion("up").ok()
    podman.is_whole()


def test_a_watched_sandbox_moves_though_nothing_else_differs(pair: Pair):
    podman, docker = pair
    with watching(podman.desk) as (_, said):
        wait_until(lambda: "project: nothing to do" in said(), tell=said)
        say(docker, "docker")
        wait_until(lambda: "after the save" in said(), tell=said)
    assert not runs(podman)
    docker.is_whole()
