"""After an update of Companion, no agent's work ends before its user wants that."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk import Desk
from fake_project import Fake, changes, config, fresh
from fake_sshd import answering_all
from other_version import beginning, checkout, newer, update
from sandboxes import wait_until
from test_elsewhere import mounting
from test_watching import wait_for

from ssh import keys

WAITS = "the update of Companion takes effect at the next restart"


@contextmanager
def watching(desk: Desk, program: Path) -> Iterator[Path]:
    log = desk.home / "watch.log"
    with log.open("w") as out:
        argv = [sys.executable, "-m", "companion", "watch"]
        environment = desk.environment | {"PYTHONPATH": str(program)}
        child = subprocess.Popen(
            argv, env=environment, cwd=program, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield log
    finally:
        child.terminate()
        child.wait(timeout=60)


def test_a_watcher_that_was_updated_restarts_no_agent_whose_files_are_the_same(desk: Desk):
    fake = fresh(desk)
    fake.companion("up").ok()
    fake.set(met={})
    there = update(desk)
    said = newer(fake, there, "status").ok()
    assert f"coder | {WAITS}: `companion restart coder`" in said.out
    with watching(desk, there) as log:
        wait_for(log, WAITS, 1)
        assert changes(fake) == []
        assert newer(fake, there, "status", "--json").ok().agent["update_waits"]
        newer(fake, there, "allow", "h9.test", "--once").ok()
        (fake.project / "agent.yaml").write_text(config(hosts=4))
        wait_for(log, "reloaded, ready", 1)
        assert set(changes(fake)) == {"exec"}
        (fake.project / "agent.yaml").write_text(config(hosts=4, pids=999))
        wait_for(log, "rebuilt, ready", 1)
        assert "the update of Companion is applied, too" in log.read_text()
    assert not newer(fake, there, "status", "--json").ok().agent["update_waits"]


def started(desk: Desk, *, by_0_1: bool) -> Fake:
    """Start a sandbox; version 0.1 kept in its record only what it had started."""
    fake = fresh(desk)
    fake.companion("up").ok()
    (good,) = desk.paths.state.rglob("good.json")
    if by_0_1:
        good.write_text(json.dumps(json.loads(good.read_text()) | {"parts": {}}))
    return fake


@pytest.mark.parametrize("by_0_1", [False, True])
def test_a_reload_that_fails_before_the_restart_ends_no_agent(desk: Desk, *, by_0_1: bool):
    fake = started(desk, by_0_1=by_0_1)
    fake.set(met={}, refuse=["exec"])
    with watching(desk, update(desk)) as log:
        wait_for(log, WAITS, 1)
        (fake.project / "agent.yaml").write_text(config(hosts=4))
        wait_for(log, "the rollback failed, too", 1)
        fake.set(refuse=[])
        (fake.project / "agent.yaml").write_text(config(hosts=5))
        wait_for(log, "reloaded, ready", 1)
    assert set(changes(fake)) == {"exec"}
    fake.is_whole(planned=False)


@pytest.mark.parametrize("by_0_1", [False, True])
def test_a_build_that_fails_ends_no_agent(desk: Desk, *, by_0_1: bool):
    fake = started(desk, by_0_1=by_0_1)
    fake.set(met={}, refuse=["build"])
    there = update(desk)
    failed = newer(fake, there, "up")
    assert "the previous version is still running" in failed.err
    assert newer(fake, there, "status", "--json").ok().agent["update_waits"]
    assert set(changes(fake)) <= {"build", "exec"}
    fake.is_whole(planned=False)


@pytest.mark.parametrize("end", ["killed", "interrupted", "interrupted at once"])
def test_an_up_that_applies_an_update_is_finished_unless_its_user_interrupted_it(
    desk: Desk, end: str
):
    fake = fresh(desk)
    fake.companion("up").ok()
    there = update(desk)
    if end != "interrupted at once":
        with watching(desk, there) as log:
            wait_for(log, WAITS, 1)
    if end == "killed":
        fake.set(kill=["build", 1, "after"], met={})
        newer(fake, there, "up")
        fake.set(kill=None, met={})
    else:
        fake.set(hold=["build"], met={})
        with beginning(fake, there, "up") as child:
            wait_until(lambda: fake.world["held"] == ["build"])
            child.send_signal(signal.SIGINT)
            fake.set(hold=[])
            assert child.wait(timeout=60) == 130
        fake.set(met={})
    is_announced = newer(fake, there, "status", "--json").ok().agent["update_waits"]
    assert is_announced == (end != "killed")
    (fake.project / "agent.yaml").write_text(config(hosts=4))
    with watching(desk, there) as log:
        wait_for(log, "reloaded" if is_announced else "rebuilt, ready", 1)
    assert ("create" in changes(fake)) != is_announced
    fake.is_whole(planned=False)


def test_an_update_waits_on_after_an_interrupt_while_a_directory_is_copied(desk: Desk):
    fake, _ = mounting(desk)
    text = (fake.project / "agent.yaml").read_text()
    mount = '    runtime_volumes: ["./work:/work"]\n'
    (fake.project / "agent.yaml").write_text(text.replace(mount, ""))
    fake.companion("up", "--on", "box").ok()
    (fake.project / "agent.yaml").write_text(text)
    there = update(desk)
    fake.set(hold=["cp"], held=[])
    with beginning(fake, there, "up") as child:
        wait_until(lambda: fake.world["held"] == ["cp"])
        child.send_signal(signal.SIGINT)
        fake.set(hold=[])
        assert child.wait(timeout=60) == 130
    assert newer(fake, there, "status", "--json").ok().agent["update_waits"]


def test_what_is_lost_beside_an_agent_is_started_again_without_the_update(desk: Desk):
    fake = fresh(desk)
    fake.companion("up").ok()
    there = update(desk)
    kept = {n: c for n, c in fake.world["containers"].items() if not n.endswith("-ingress")}
    fake.set(met={}, containers=kept)
    with watching(desk, there) as log:
        wait_for(log, WAITS, 1)
        fake.is_whole(planned=False)
        now = fake.world["containers"]
        assert all(now[name]["Id"] == container["Id"] for name, container in kept.items())
        fake.set(met={})
        (fake.project / "agent.yaml").write_text(config(hosts=4))
        wait_for(log, "reloaded, ready", 1)
    assert set(changes(fake)) == {"exec"}


@pytest.mark.parametrize("command", [("run", "--yes", "--on", "podman"), ("ssh", "app", "true")])
def test_a_terminal_of_a_broken_sandbox_repairs_it_without_the_update(
    desk: Desk, command: tuple[str, ...]
):
    fake = Fake(desk, repository(desk))
    with answering_all(desk):
        fake.companion("run", "codex", "--yes").ok()
        kept = {n: c for n, c in fake.world["containers"].items() if not n.endswith("-ingress")}
        fake.set(met={}, containers=kept)
        said = newer(fake, update(desk), *command).err
    assert f"{WAITS}: `companion restart app`" in said
    now = fake.world["containers"]
    assert [name.partition("-app-")[2] for name in now.keys() - kept.keys()] == ["ingress"]
    assert all(now[name] == container for name, container in kept.items())


def repository(desk: Desk) -> Path:
    """Make a repository that agents may change."""
    top = desk.home / "code/app"
    top.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", top], check=True)
    subprocess.run(["chown", "-R", "1000:1000", top], check=os.geteuid() == 0)
    return top


def test_a_save_before_the_first_look_after_an_update_ends_no_agent_and_its_user_learns_that(
    desk: Desk,
):
    fake = fresh(desk)
    fake.companion("up").ok()
    fake.set(met={})
    there, yaml = update(desk), fake.project / "agent.yaml"
    yaml.write_text(config(hosts=4, pids=999))
    told = f"{WAITS}, as do your changes to egress, limits that need one: `companion restart"
    assert told in newer(fake, there, "status").ok().out
    with watching(desk, there) as log:
        wait_for(log, told, 1)
        assert "project: reloaded, ready" in log.read_text()
        yaml.write_text(config(hosts=5, pids=999))
        wait_for(log, told, 2)
    assert told in newer(fake, there, "status").ok().out
    assert set(changes(fake)) <= {"exec"}


def test_an_update_that_changes_no_sandbox_is_not_announced(desk: Desk):
    fake = fresh(desk)
    fake.companion("up").ok()
    there = checkout(desk)
    assert not newer(fake, there, "status", "--json").ok().agent["update_waits"]


def test_a_change_that_was_interrupted_is_not_taken_for_what_ran_before_it(desk: Desk):
    fake = fresh(desk)
    fake.companion("up").ok()
    there = update(desk)
    (fake.project / "agent.yaml").write_text(config(pids=999))
    fake.set(kill=["start", 4, "after"], met={})
    newer(fake, there, "up")
    fake.set(kill=None, met={})
    (fake.project / "agent.yaml").write_text(config())
    with watching(desk, there) as log:
        wait_for(log, "ready", 1)
    assert "create" in changes(fake)
    fake.is_whole(planned=False)


def test_changed_keys_reach_an_engine_elsewhere_before_the_restart_and_are_tried_again(desk: Desk):
    fake = Fake(desk, desk.project(config().replace("podman", "docker")), "docker")
    fake.companion("plan").ok()
    fake.set(elsewhere=True)
    fake.companion("up").ok()
    before, there = running(fake), update(desk)
    (file,) = desk.home.glob(".local/state/companion/projects/*/coder/gateway/hosts.map")
    written = file.read_bytes()
    key = keys.generate("other").public
    file.write_bytes(b"one")  # as keys are replaced where sshd runs, which it does not here
    newer(fake, there, "keys", "add", "coder", key).ok()
    assert carried(fake, file) == b"one"
    file.write_bytes(b"two")
    fake.set(refuse=["cp"])
    assert newer(fake, there, "keys", "remove", "coder", key).code == 1
    fake.set(refuse=[])
    with watching(desk, there) as log:
        wait_for(log, WAITS, 1)
    assert carried(fake, file) == written
    assert running(fake) == before


def carried(fake: Fake, file: Path) -> bytes:
    """Return a file as the engine's volume holds it."""
    ending = f".{file.parent.name}"
    (held,) = (files for name, files in fake.world["files"].items() if name.endswith(ending))
    return held[file.name]


def running(fake: Fake) -> set[str]:
    return {c["Id"] for c in fake.world["containers"].values() if c["State"]["Running"]}
