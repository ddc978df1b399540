"""An engine is its name and endpoint: pinned at a sandbox's first start, and named if silent."""

import json
from pathlib import Path

import pytest
from desk import Desk
from fake_project import Fake, config

from companion.engine.model import EngineChoice

HERE, OTHER = "unix:///var/run/docker.sock", "ssh://me@box"
HANGING = ["version", "ps", "inspect", "network", "image", "images"]


@pytest.fixture
def fake(desk: Desk) -> Fake:
    return Fake(desk, desk.project(config().replace("podman", "docker")), "docker")


def record_of(fake: Fake) -> Path:
    (file,) = fake.desk.home.glob("**/agent.json")
    return file


def endpoint(fake: Fake) -> str:
    return dict(json.loads(record_of(fake).read_text())["engine"]["environment"])["DOCKER_HOST"]


def test_another_context_moves_no_sandbox_and_up_says_where_it_stays(fake: Fake):
    fake.companion("up").ok()
    assert endpoint(fake) == HERE
    fake.set(context=OTHER)
    said = fake.companion("up").ok().err
    assert f"coder: still on docker at {HERE}, where it was first started; new" in said
    assert f"new sandboxes go to {OTHER}" in said
    assert endpoint(fake) == HERE
    fake.set(context=HERE)
    assert "still on docker" not in fake.companion("up").ok().err


def test_a_variable_of_the_shell_moves_no_sandbox(fake: Fake):
    fake.companion("up").ok()
    fake.desk.environment["DOCKER_HOST"] = OTHER
    assert f"new sandboxes go to {OTHER}" in fake.companion("up").ok().err
    assert endpoint(fake) == HERE


def test_a_record_without_an_endpoint_gets_one_and_nothing_moves(fake: Fake):
    fake.companion("up").ok()
    containers = fake.world["containers"].keys()
    record = json.loads(record_of(fake).read_text())
    record["engine"]["environment"] = []
    record_of(fake).write_text(json.dumps(record))
    assert "move from" not in fake.companion("plan").ok().out
    fake.companion("up").ok()
    assert endpoint(fake) == HERE
    assert fake.world["containers"].keys() == containers


@pytest.mark.parametrize("command", ["down", "status"])
def test_a_silent_endpoint_is_waited_for_once_and_named_and_nothing_is_removed(
    fake: Fake, command: str
):
    fake.desk.environment["DOCKER_HOST"] = OTHER
    fake.companion("up").ok()
    containers = fake.world["containers"]
    fake.set(hold=HANGING)
    done = fake.companion(command)
    assert len(fake.world["held"]) == 1, "it waited more than once"
    assert done.code == 1
    assert f"docker at {OTHER}" in done.err + done.out
    assert "does not answer" in done.err + done.out
    fake.set(hold=[])
    assert fake.world["containers"] == containers


def test_two_endpoints_are_two_engines_and_no_password_is_shown():
    here, box, unpinned = (
        EngineChoice("docker", "/docker", environment)
        for environment in ((("DOCKER_HOST", HERE),), (("DOCKER_HOST", OTHER),), ())
    )
    assert not here.is_same(box)
    assert here.is_same(unpinned)
    assert not here.is_same(EngineChoice("podman", "/podman"))
    for variables in ((("DOCKER_HOST", OTHER),), (("CONTAINER_HOST", "unix:///run/podman.sock"),)):
        podman = EngineChoice("podman", "/podman", variables)  # another engine's, or its own name
        assert podman.is_same(EngineChoice("podman", "/podman"))
        assert podman.label == "podman"
    secret = EngineChoice("podman", "/podman", (("CONTAINER_HOST", "ssh://me:secret@box:22/x"),))
    assert not secret.is_same(EngineChoice("podman", "/podman"))
    assert secret.label == "podman at ssh://me@box:22/x"
    assert (here.label, box.label) == ("docker", "docker at ssh://me@box")
