"""What an agent does to its directories while its container is replaced, at a named point."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import Desk, make_desk
from fake_project import Fake, config

from companion.errors import CompanionError
from companion.project import discovery
from companion.project.model import AgentRef
from companion.reconcile import run
from companion.reconcile.comparison import Restarts

MOUNT = '  - plugin: custom-runtime\n    runtime_volumes: ["{}:/srv/app"]\n'


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = make_desk(tmp_path / "home")
    Fake(made, made.home, "docker")
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name in ("PATH", "FAKE_ENGINE"):
        monkeypatch.setenv(name, made.environment[name])
    return made


@pytest.fixture
def top(desk: Desk) -> Path:
    made = desk.home / "app"
    (made / "deep").mkdir(parents=True)
    own(made)
    return made


def own(tree: Path) -> None:
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "1000:1000", tree], check=True)


def init(where: Path) -> None:
    subprocess.run(["git", "init", "-q", where], check=True)
    own(where)


def agent(desk: Desk, directory: Path, name: str = "project") -> Fake:
    text = config().replace("podman", "docker") + MOUNT.format(directory)
    return Fake(desk, desk.project(text, name), "docker")


def replaced_while(fake: Fake, attack: Callable[[], object]) -> None:
    """Replace the containers; the attack comes after the check, before the old agent is gone."""
    left = [attack]

    def progress(line: str) -> None:
        if line.startswith("starting") and left:
            left.pop()()

    ref = AgentRef(discovery.project(fake.project))
    run.reconcile(fake.desk.paths, ref, progress, restarts=Restarts.ALL)


def binds(fake: Fake) -> dict[str, str]:
    """Return target → source of what the agent's container mounts of the desktop."""
    place = fake.desk.paths.project(discovery.project(fake.project).id).agent("coder").good
    services = json.loads((place / "good.json").read_text())["target"]["services"]
    mounted = next(s["binds"] for s in services if s["name"] == "coder")
    return {b["target"]: b["source"]["path"] for b in mounted if "path" in b["source"]}


def is_there(fake: Fake) -> bool:
    return any(name.endswith("-coder") for name in fake.world["containers"])


def linked(name: str, top: Path, victim: Path) -> None:
    place = top / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(victim)


@pytest.mark.parametrize("name", [".git", ".git/hooks", ".git/config"])
def test_nothing_is_opened_by_a_link_that_an_agent_makes_while_it_is_replaced(
    name: str, desk: Desk, top: Path
):
    fake, victim = agent(desk, top), desk.home / ".ssh"
    victim.mkdir(exist_ok=True)
    before = sorted(victim.iterdir())
    fake.companion("up", "--yes").ok()
    init(top)
    with pytest.raises(CompanionError, match=r"symbolic link|no plain file or directory"):
        replaced_while(fake, lambda: linked(name, top, victim))
    assert not is_there(fake)
    assert sorted(victim.iterdir()) == before
    (top / name).unlink()
    shutil.rmtree(top / ".git", ignore_errors=True)
    fake.companion("up").ok()


def test_a_mount_that_became_a_link_is_refused_by_a_rollback_too(desk: Desk, top: Path):
    fake, kept = agent(desk, top / "deep"), desk.home / "kept"
    fake.companion("up", "--yes").ok()

    def attack() -> None:
        (top / "deep").rename(kept)
        (top / "deep").symlink_to(desk.home)

    with pytest.raises(CompanionError, match=rf"leads to {desk.home} now.*rollback failed, too"):
        replaced_while(fake, attack)
    assert not is_there(fake)


def test_a_repository_that_appears_while_an_agent_is_replaced_is_protected(desk: Desk, top: Path):
    fake = agent(desk, top)
    fake.companion("up", "--yes").ok()
    replaced_while(fake, lambda: init(top))
    assert binds(fake)["/srv/app/.git/hooks"] == f"{top}/.git/hooks"


def test_a_repository_that_another_agent_could_exchange_is_not_mounted(desk: Desk, top: Path):
    """It was made after that one had started: in its sandbox nothing protects it."""
    one, two = agent(desk, top), agent(desk, top, "second")
    for fake in (one, two):
        fake.companion("up", "--yes").ok()
    init(top)
    done = one.companion("up")
    assert done.code == 1
    assert f"coder, another running agent, could replace {top}/.git" in done.err
    assert is_there(one)
    two.companion("down").ok()
    for fake in (one, two, one):
        fake.companion("restart").ok()
        assert binds(fake)["/srv/app/.git"] == f"{top}/.git"
