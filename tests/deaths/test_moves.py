"""A sandbox that moves to another engine: built there first, with a way back, and nothing lost."""

import json
import subprocess

import pytest
from desk import Desk
from fake_project import CHANGING, Fake, Moment
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
    assert len(containers) in {0, 4}
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
    assert "the previous version is still running" in done.err
    assert runs(podman)
    assert not podman.world["calls"]
    assert where(podman) == ("podman", "running")
    (record,) = podman.desk.paths.projects.glob("*/coder/agent.json")
    started = json.loads(record.read_text())["applied"]["parts"]
    assert sorted(started) == ["coder", "coder-gateway", "coder-ingress", "coder-net"]
    docker.set(refuse=[])
    docker.companion("up").ok()
    assert not runs(podman)
    docker.is_whole()


@pytest.mark.parametrize(
    ("refused", "outcome"),
    [("create", "create is refused"), ("start", "the previous version is running again")],
)
def test_what_does_not_start_on_the_new_engine_is_back_on_the_old_one(
    pair: Pair, refused: str, outcome: str
):
    """An engine that can create nothing is not even moved to: it is tried first."""
    podman, docker = pair
    say(docker, "docker", build=1)
    docker.set(refuse=[refused])
    done = docker.companion("up")
    assert done.code == 1
    assert f"{refused} is refused" in done.err
    assert outcome in done.err
    assert runs(podman)
    assert not runs(docker)
    assert where(podman) == ("podman", "running")
    say(podman, "podman")
    podman.companion("up").ok()
    podman.is_whole()


def test_an_old_engine_that_is_silent_is_not_left_behind(pair: Pair):
    podman, docker = pair
    say(docker, "docker")
    podman.set(refuse=["version", "ps"])
    for verb in ("up", "plan", "down", "restart"):
        done = docker.companion(verb)
        assert done.code == 1
        assert "is on podman, which does not answer; start podman; if it is" in done.problems[0]
    assert not docker.world["images"]
    podman.set(refuse=[])
    docker.companion("up").ok()
    assert not runs(podman)
    docker.is_whole()


def test_an_engine_that_is_gone_for_good_can_be_abandoned_and_is_cleaned_if_it_is_back(pair: Pair):
    podman, docker = pair
    say(docker, "docker")
    gone = podman.program.rename(podman.program.with_suffix(".gone"))
    docker.companion("down", "--abandon").ok()
    docker.companion("up").ok()
    docker.is_whole()
    gone.rename(podman.program)
    assert runs(podman)
    stray = "podman holds containers of coder in ~/project, which is not on it"
    assert stray in docker.companion("doctor").out
    assert "take the sandbox off podman: it is on docker now" in docker.companion("plan").ok().out
    docker.companion("up").ok()
    assert not runs(podman)
    assert stray not in docker.companion("doctor").out
    docker.is_whole()


def test_doctor_takes_away_what_no_record_knows(pair: Pair):
    podman, docker = pair
    left = podman.world
    say(docker, "docker")
    docker.companion("up").ok()
    podman.set(containers=left["containers"], networks=left["networks"])
    podman.set(refuse=["ps"])  # its own trouble is not that of who left it
    docker.companion("up").ok()
    podman.set(refuse=[])
    docker.companion("doctor", "--fix")
    assert not runs(podman)
    docker.is_whole()


def test_remove_clears_every_engine_that_it_was_on(pair: Pair):
    _, docker = pair
    say(docker, "docker")
    docker.companion("up").ok()
    docker.companion("remove", str(docker.project), "--volumes").ok()
    for fake in pair:
        assert not runs(fake)
        assert not fake.world["volumes"]
        assert not [tag for tag in fake.world["images"] if "gateway" not in tag]


def test_uninstall_clears_every_engine_and_names_the_one_that_is_silent(pair: Pair):
    podman, docker = pair
    say(docker, "docker")
    docker.companion("up").ok()
    podman.set(refuse=["version", "ps"])
    done = docker.companion("uninstall", "--yes", "--purge")
    assert done.code == 1
    assert "podman does not answer; its volumes of coder remain" in done.err
    assert "not removed: what podman holds: podman ps failed" in done.out
    assert not docker.world["images"]
    assert podman.world["images"]


def test_uninstall_leaves_nothing_on_an_engine_of_before(pair: Pair):
    say(pair[1], "docker")
    pair[1].companion("up").ok()
    pair[1].companion("uninstall", "--yes", "--purge").ok()
    for fake in pair:
        assert not runs(fake)
        assert not fake.world["volumes"]
        assert not fake.world["images"]


def engines_of(pair: Pair) -> list[str]:
    """Return the engines that hold something of the sandbox."""
    return [fake.program.name for fake in pair if fake.world["containers"]]


@pytest.mark.parametrize("refused", [[], pytest.param(["start"], marks=pytest.mark.long)])
def test_a_move_that_is_killed_at_a_call_is_repaired_by_the_next_up(
    pair: Pair, refused: list[str], request: pytest.FixtureRequest
):
    """The ordinary run takes the last call of each kind that changes something on an engine."""
    everything = request.config.getoption("--long")
    podman, docker = pair
    say(docker, "docker", build=1)
    docker.set(refuse=refused)
    begin = Moment.of(docker.desk)
    for fake in pair:
        fake.set(met={})
    assert docker.companion("up").code == len(refused)
    calls = [(fake, call) for fake in pair for call in fake.met()]
    last = {(f, kind): (f, (kind, n)) for f, (kind, n) in calls if kind in CHANGING}
    for dying, call in calls if everything else last.values():
        for moment in ("before", "after") if everything else ("after",):
            begin.back()
            dying.dies(call, moment, "up")
            docker.set(refuse=[])
            assert engines_of(pair) in ([], [where(docker)[0]]), (call, moment)
            docker.companion("up").ok()
            docker.is_whole()
            assert not runs(podman)
    docker.companion("uninstall", "--yes", "--purge").ok()
    for held in ("containers", "images", "volumes"):
        assert not podman.world[held]
        assert not docker.world[held]


def test_a_watched_sandbox_moves_though_nothing_else_differs(pair: Pair):
    podman, docker = pair
    with watching(podman.desk) as (_, said):
        wait_until(lambda: "project: nothing to do" in said(), tell=said)
        say(docker, "docker")
        wait_until(lambda: "after the save" in said(), tell=said)
    assert not runs(podman)
    docker.is_whole()


def test_where_the_subnets_are_taken_on_the_new_engine_the_old_one_is_not_forgotten(pair: Pair):
    podman, docker = pair
    nets = podman.world["networks"].values()
    docker.set(networks={f"theirs-{n}": net | {"name": f"theirs-{n}", "labels": {}}
                         for n, net in enumerate(nets)})  # fmt: skip
    say(docker, "docker")
    assert "already used" in docker.companion("up").ok().err
    assert not runs(podman)
    assert len(docker.world["containers"]) == 4
    docker.companion("remove", str(docker.project), "--volumes").ok()
    assert not podman.world["volumes"]
