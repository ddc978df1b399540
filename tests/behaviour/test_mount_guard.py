"""What an agent does to its directories while its container is replaced, at a named point."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from desk import Desk, make_desk
from fake_project import Fake, config

from companion.daemon import worker
from companion.daemon.guards import Guards
from companion.daemon.view import AgentView
from companion.engine.model import Condition, Health
from companion.errors import CompanionError
from companion.operations import unprotected
from companion.project import discovery
from companion.project.model import AgentRef, Project
from companion.project.record import AgentRecord, ConfigSummary
from companion.reconcile import git_baseline, git_facts, run
from companion.reconcile.comparison import Restarts
from companion.reconcile.git_obeys import Effort
from companion.reconcile.steps import Change
from companion.sandbox.allocation import Allocation
from companion.system import files
from companion.system.project_paths import AgentPaths

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


EVIL = "core.fsmonitor"


def setting(top: Path, name: str = EVIL, value: str = "./evil") -> None:
    """Write what an agent can once the desktop has replaced the configuration."""
    subprocess.run(["git", "config", "-f", top / ".git/config", "--add", name, value], check=True)


def paths(fake: Fake) -> AgentPaths:
    return fake.desk.paths.project(discovery.project(fake.project).id).agent("coder")


def said(agent_paths: AgentPaths) -> list[str]:
    """Return what git newly obeys, as `status`, `watch` and the tray say it."""
    return [one.what for one in unprotected.changed("coder", agent_paths).problems]


def new(top: Path, name: str = EVIL) -> str:
    return f"{top}/.git/config: git obeys {name}, which is new"


def test_what_an_agent_wrote_stays_new_until_its_user_restarts_it(desk: Desk, top: Path):
    """A reload renews the copies that are mounted, and the watcher replaces what broke."""
    init(top)
    setting(top, "alias.mine", "!true")
    fake = agent(desk, top)
    fake.companion("up", "--yes").ok()
    assert said(paths(fake)) == []
    setting(top)
    ref, config = AgentRef(discovery.project(fake.project)), fake.project / "agent.yaml"
    text = config.read_text()
    config.write_text(text.replace("h0.test", "other.test"))
    assert run.reload(fake.desk.paths, ref, print).change is Change.RELOAD
    assert said(paths(fake)) == [new(top)]
    run.reconcile(fake.desk.paths, ref, print, restarts=Restarts.ALL)
    assert said(paths(fake)) == [new(top)]
    assert new(top) in fake.companion("up").ok().err
    assert new(top) in fake.companion("restart").ok().err
    assert said(paths(fake)) == []


def test_what_an_agent_left_is_told_after_its_end_and_what_its_user_does_then_is_not(
    desk: Desk, top: Path
):
    init(top)
    fake = agent(desk, top)
    fake.companion("up", "--yes").ok()
    ref = AgentRef(discovery.project(fake.project))
    replaced_while(fake, lambda: setting(top))
    assert said(paths(fake)) == [new(top)]
    fake.companion("down").ok()
    setting(top, "alias.later", "!true")
    problems = fake.companion("status").ok().problems
    assert [one for one in problems if new(top) in one], problems
    fake.companion("up").ok()
    news = worker.exposure(fake.desk.paths, AgentView(ref, "coder"))
    assert [one.what for one in news.problems] == said(paths(fake)) == [new(top)]
    subprocess.run(["git", "config", "-f", top / ".git/config", "--unset", EVIL], check=True)
    assert said(paths(fake)) == []


@pytest.fixture
def mounted(top: Path) -> AgentPaths:
    """A repository with a hook, whose agent has started."""
    init(top)
    edited = top / ".git/hooks/pre-push"
    edited.write_text("#!/bin/sh\n")
    edited.chmod(0o755)
    agent_paths = AgentPaths(top.with_name("agent"))
    files.make_private_dir(agent_paths.root)
    git_baseline.begin(agent_paths, [str(top)])
    assert said(agent_paths) == []
    return agent_paths


def hook(top: Path) -> None:
    path = top / ".git/hooks/post-checkout"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def edited_hook(top: Path) -> None:
    (top / ".git/hooks/pre-push").write_text("#!/bin/sh\nevil\n")


def of_worktrees(top: Path) -> None:
    (top / ".git/config.worktree").write_text("[core]\n\tfsmonitor = ./evil\n")


def another_work_tree(top: Path) -> None:
    setting(top, "core.worktree", "/home/me")


def old_remote(top: Path) -> None:
    (top / ".git/remotes").mkdir(exist_ok=True)
    (top / ".git/remotes/origin").write_text("URL: evil\n")


def exchanged(top: Path) -> None:
    (top / ".git/commondir").write_text("../evil\n")


@pytest.mark.parametrize(
    ("attack", "sign"),
    [
        (hook, ".git/hooks/post-checkout: git may run it, which is new"),
        (edited_hook, ".git/hooks/pre-push: git may run it, which is new"),
        (of_worktrees, ".git/config.worktree: git obeys core.fsmonitor, which is new"),
        (another_work_tree, ".git/config: git obeys core.worktree, which is new"),
        (old_remote, ".git/remotes/origin: `git push origin` and `git fetch origin` go where"),
        (exchanged, "has a .git/commondir, by which git obeys another directory"),
    ],
)
def test_all_that_git_obeys_is_compared(
    attack: Callable[[Path], None], sign: str, mounted: AgentPaths, top: Path
):
    attack(top)
    found, *others = said(mounted)
    assert sign in found
    assert not others or "has a .git/commondir" in found


def test_no_secret_of_a_setting_is_told(mounted: AgentPaths, top: Path):
    setting(top, "credential.https://me:s3cret@example.test.helper", "!echo password=s3cret")
    assert said(mounted) == [new(top, "credential.https://…@example.test.helper")]


def test_decoys_hide_nothing_and_forge_no_line(mounted: AgentPaths, top: Path):
    config = top / ".git/config"
    with config.open("a") as file:
        for number in range(1500):
            file.write(f'[filter "\x1b{number}{"x" * 400}"]\n\tclean = x\n')
        file.write("[core]\n\tfsmonitor = ./evil\n")
    (top / ".git/hooks/a\nweb: all is well").touch(mode=0o755)
    first, second, third, more = said(mounted)
    forged = f"{top}/.git/hooks/a web: all is well: git may run it, which is new"
    assert {first, second} == {new(top), forged}
    assert "\x1b" not in third
    assert more == "1499 more settings or hooks are new there, too"
    told = unprotected.at_restart(mounted, print)
    assert max(len(one.what) for one in told) < 450
    assert len(told) < 25
    assert "more settings or hooks are" in said(mounted)[-1], "unread, it was accepted"
    with config.open("a") as file:
        file.writelines(f"[alias]\n\tx{number} = !x\n" for number in range(3000))
    assert said(mounted)[-1] == f"{top}: not everything was looked at"


def test_what_could_not_be_looked_at_in_time_is_no_good_news(mounted: AgentPaths, top: Path):
    setting(top)
    effort = Effort(seconds=0)
    known = git_baseline.read(mounted).directories[str(top)]
    assert [*git_baseline.new(top, known, effort)] == []
    assert effort.is_spent
    mounted.git_baseline.write_text("{")
    assert said(mounted) == [f"{mounted.git_baseline} is damaged"]
    git_baseline.end(mounted)
    git_baseline.begin(mounted, [str(top)])
    assert said(mounted) == []


@contextmanager
def ordinary_user(home: Path) -> Iterator[None]:
    """Be a user who may not read everything, and whose directory this is."""
    before = os.geteuid()
    if before == 0:
        own(home)
        os.seteuid(1000)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("hidden", ["app", "app/.git", "app/.git/hooks"])
def test_what_an_agent_hides_until_its_end_is_found_later(hidden: str):
    with TemporaryDirectory(dir="/tmp") as name:
        home, top, agent_paths = Path(name), Path(name, "app"), AgentPaths(Path(name, "agent"))
        init(top)
        agent_paths.root.mkdir()
        with ordinary_user(home):
            _hides(home / hidden, top, agent_paths)


def _hides(hidden: Path, top: Path, agent_paths: AgentPaths) -> None:
    git_baseline.begin(agent_paths, [str(top)])
    hook(top)
    hidden.chmod(0)
    git_baseline.end(agent_paths)
    assert said(agent_paths)[-1] == f"{top}: not everything was looked at"
    hidden.chmod(0o700)
    assert said(agent_paths) == [f"{top}/.git/hooks/post-checkout: git may run it, which is new"]


def test_a_repository_that_an_agent_made_unreadable_ends_no_command():
    found = git_facts.find(Path("/", "x" * 400))  # the system refuses this to every user
    assert found
    assert "cannot be read" in found.obstacle


def test_the_watcher_looks_when_an_agent_may_have_written_and_once_at_a_time(
    mounted: AgentPaths, top: Path
):
    guarded = {f"/srv/app/.git/{name}": f"{top}/.git/{name}" for name in ("config", "hooks")}
    allocation = Allocation("coder.sandbox", "10.1.0.0/28", "10.1.0.16/28")
    record = AgentRecord(allocation, config=ConfigSummary(guards=guarded))
    view = AgentView(AgentRef(Project(top, "p")), "coder", condition=Condition(Health.RUNNING))
    ended = replace(view, condition=Condition(Health.STOPPED, exit_code=1))
    guards = Guards()
    guards.follow(view.id, mounted, record)

    def looks(now: AgentView, *, is_whole: bool = True) -> bool:
        found = [*guards.changed([now])] == [now]
        guards.ended(view.id, is_whole=is_whole)
        return found

    assert not looks(replace(view, condition=Condition()))
    assert looks(view)
    assert not looks(view)
    setting(top)
    assert [*guards.changed([ended])] == [ended]
    edited_hook(top)
    assert [*guards.changed([ended])] == [], "two looks at once may report in another order"
    guards.ended(view.id, is_whole=True)
    assert looks(ended, is_whole=False)
    assert looks(ended)
    assert not looks(ended)
    unprotected.at_restart(mounted, print)
    assert looks(ended)
