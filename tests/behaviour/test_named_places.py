"""Places: engines that the user's settings name; a project may name one, and defines none."""

import json
import subprocess
from pathlib import Path
from typing import Any

import fake_engine
import pytest
from desk import Desk, make_desk
from fake_project import Fake, agree, config

FREE = config().replace("container_runtime: podman\n", "")
"""It chooses no engine."""


def define(desk: Desk, places: str) -> None:
    old = desk.paths.settings.read_text().partition("places:")[0]
    desk.paths.settings.write_text(f"{old}places: {places}\n")


def choose(fake: Fake, name: str) -> None:
    (fake.project / "agent.yaml").write_text(f"{FREE}container_runtime: {name}\n")


def engine_of(fake: Fake) -> Any:
    (file,) = fake.desk.home.glob("**/agent.json")
    return json.loads(file.read_text())["engine"]


def containers_at(desk: Desk, place: str) -> list[str]:
    return list(fake_engine.read(desk.home / f"{place}.podman")["containers"])


def problem(fake: Fake, *arguments: str) -> str:
    done = fake.companion(*arguments)
    assert done.code in {1, 2}
    assert done.err.count("error: ") == 1, done.err
    return done.err


@pytest.fixture
def fake(desk: Desk) -> Fake:
    """Docker here, and podman at the place `box`; the project chooses neither."""
    made = Fake(desk, desk.project(FREE), "docker")
    Fake(desk, made.project, "podman")
    define(desk, f"{{box: {{podman: 'unix://{desk.home}/box'}}}}")
    return made


def test_up_on_a_place_moves_there_and_stays_until_another_one_is_chosen(fake: Fake):
    fake.companion("up").ok()
    said = fake.companion("up", "--on", "box").ok().err
    assert "leaving docker: it moves to box (podman)" in said
    assert len(containers_at(fake.desk, "box")) == 4
    assert not fake.world["containers"]
    assert "leaving" not in fake.companion("up").ok().err
    assert engine_of(fake)["place"] == "box"
    choose(fake, "box")
    define(fake.desk, f"{{box: {{podman: 'unix://{fake.desk.home}/new'}}}}")
    assert "leaving box (podman)" in fake.companion("up").ok().err
    assert not containers_at(fake.desk, "box")
    assert len(containers_at(fake.desk, "new")) == 4


def test_a_plan_shows_a_move_and_makes_none(fake: Fake):
    fake.companion("up").ok()
    told = fake.companion("plan", "--on", "box").ok().out
    assert "move from docker to box (podman): images are built first, volumes stay" in told
    assert "take the sandbox off docker: it moves to box (podman)" in told
    assert fake.companion("plan", "--on", "docker", "--check").code == 0
    assert not containers_at(fake.desk, "box")
    assert engine_of(fake)["name"] == "docker"
    assert fake.companion("plan", "--check").code == 0
    assert "your settings have no place 'bix'" in problem(fake, "plan", "--on", "bix")


def test_a_project_names_a_place_and_only_settings_define_it(fake: Fake):
    choose(fake, "bex")
    said = problem(fake, "up")
    line = FREE.count("\n") + 1
    assert f"agent.yaml:{line}:20: your settings have no place 'bex'" in said
    assert "known are: docker, podman, box; define it below `places:` in" in said
    choose(fake, "box")
    assert "'box', so it cannot run on 'docker'" in problem(fake, "up", "--on", "docker")
    assert "your settings have no place 'bix'" in problem(fake, "up", "--on", "bix")
    assert not list(fake.desk.home.glob("*.podman")), "no engine was asked"


def test_a_connection_is_pinned_with_its_key_and_an_unknown_one_is_named(fake: Fake):
    podman = fake.desk.home / "world.podman"
    fake.companion("-C", str(fake.desk.project(config(), "other")), "plan").ok()
    table = f"old\tunix:///gone\t\nlab*\tunix://{fake.desk.home}/lab\t/home/me/.ssh/id\n"
    fake_engine.save(podman, fake_engine.read(podman) | {"connections": table})
    define(fake.desk, "{lab: {podman: lab}, gone: {docker: gone}}")
    fake.companion("up", "--on", "lab").ok()
    pinned = dict(engine_of(fake)["environment"])
    assert pinned["CONTAINER_HOST"] == f"unix://{fake.desk.home}/lab"
    assert pinned["CONTAINER_SSHKEY"] == "/home/me/.ssh/id"
    assert "CONTAINER_CONNECTION" not in pinned
    said = problem(fake, "up", "--on", "gone")
    assert "the place gone is docker's context gone, which docker does not know" in said
    assert "`docker context ls` shows its names; correct places.gone in settings.yaml" in said


def test_a_place_is_a_power_that_is_asked_for_whoever_wrote_it(tmp_path: Path):
    desk = make_desk(tmp_path, trusting=False)
    one = Fake(desk, desk.project(FREE), "docker")
    define(desk, "{box: {docker: 'ssh://me@build.example'}}")
    agree(one).ok()
    choose(one, "box")
    said = problem(one, "up")
    assert "opens more than you agreed to" in said
    assert "runs on your place box (docker at ssh://me@build.example), not here" in said


def test_a_clone_that_names_a_place_has_nothing_asked_there_before_its_user_agreed(tmp_path: Path):
    desk = make_desk(tmp_path, trusting=False)
    clone = Fake(desk, desk.project(FREE), "podman")
    define(desk, f"{{box: {{podman: 'unix://{desk.home}/box'}}}}")
    choose(clone, "box")
    place = desk.home / "box.podman"
    assert clone.companion("plan", "--json").ok().agent["asked"] is False
    told = clone.companion("plan").ok().out
    assert "box (podman) is not asked what it holds before you agree to it" in told
    assert clone.companion("status", "--json").ok().agent["state"] == "stopped"
    refused = problem(clone, "plan", "--on", "podman")
    assert "'box', so it cannot run on 'podman'" in refused
    for command in ("up", "audit", "doctor", "exec", "down", "list"):
        clone.companion(command, *(["coder", "true"] if command == "exec" else ()))
    assert not [*desk.home.glob("box*")], "the place was asked"
    agree(clone).ok()
    assert clone.companion("plan", "--json").ok().agent["asked"] is True
    assert not fake_engine.read(place)["images"], "nothing is tried by a plan"
    assert not {"import", "run", "create"} & set(fake_engine.read(place)["met"])


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_plan_for_a_place_that_only_its_client_knows_expects_no_mount(
    tmp_path: Path, engine: str
):
    desk = make_desk(tmp_path, trusting=False)
    one = Fake(desk, desk.project(FREE), engine)
    define(desk, f"{{lab: {{{engine}: lab}}}}")
    choose(one, "lab")
    assert one.companion("plan", "--json").ok().agent["asked"] is False
    text = '    runtime_volumes: ["./work:/work"]\ncontainer_runtime: lab\n'
    (one.project / "agent.yaml").write_text(FREE + text)
    assert f"./work is on this desktop, and lab ({engine}) cannot mount it" in problem(one, "plan")


@pytest.mark.parametrize(
    ("places", "what"),
    [
        ("{box: {}}", "'box' must have one key: docker, podman or"),
        ("{box: {docker: a, podman: b}}", "'box' must have one key: docker, podman or"),
        ("{docker: {podman: b}}", "'docker' must not be the name of an engine"),
        ("{box: {docker: '-v'}}", "'docker' must be a context of docker, or an address such as"),
        ("{box: {docker: 'ssh://me:pw@box'}}", "'docker' must be a context of docker, or an"),
        ("{box: {docker: 'ssh://-oProxyCommand=x'}}", "'docker' must be a context of docker"),
        ("{box: {podman: 'ssh://box'}}", "must name podman's socket, too: ssh://box/run/podman"),
    ],
)
def test_a_place_that_cannot_be_is_one_message(fake: Fake, places: str, what: str):
    define(fake.desk, places)
    assert what in problem(fake, "validate")


def test_run_at_an_unknown_place_makes_nothing(fake: Fake):
    define(fake.desk, "{box: {docker: box}}")
    where = fake.desk.home / "app"
    subprocess.run(["git", "init", "-q", where], check=True)
    done = fake.desk.companion("run", "codex", str(where), "--on", "bix", "--yes")
    assert done.code == 1, done.err
    assert "your settings have no place 'bix'" in done.err
    assert not [*fake.desk.home.glob("**/sandboxes/*")]
