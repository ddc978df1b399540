"""What the watcher does where the system is in its way; without an engine."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from desk import AGENT, COMPANION, Desk

NO_INOTIFY = 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"'
OVERLAY = f"{AGENT}  - plugin: custom-runtime\n    home_override: home\n"


@contextmanager
def watching(desk: Desk, *before: str) -> Iterator[Path]:
    log = desk.home / "watch.log"
    with log.open("w") as out:
        argv = [*before, COMPANION, "watch"]
        child = subprocess.Popen(argv, env=desk.environment, stdout=out, stderr=out)
    try:
        wait_for(log, "not started", 1)
        yield log
    finally:
        child.terminate()
        child.wait(timeout=10)


def wait_for(log: Path, word: str, count: int) -> None:
    end = time.monotonic() + 20
    while log.read_text().count(word) < count:
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def test_where_the_system_gives_no_watches_it_looks_now_and_then_and_says_so(desk: Desk):
    project = desk.project()
    desk.companion("add", str(project)).ok()
    with watching(desk, "unshare", "-Ur", "sh", "-c", NO_INOTIFY, "sh") as log:
        assert log.read_text().count("the system watches no more files for us") == 1
        (project / "agent.yaml").write_text(AGENT.replace("coder", "co der"))
        wait_for(log, "agent.yaml:1:7: 'name' must be", 1)
        (project / "agent.yaml").write_text(AGENT)
        wait_for(log, "not started", 2)


def test_a_save_with_what_is_no_path_is_that_projects_problem_and_ends_no_watch(desk: Desk):
    one, other = desk.project(name="one"), desk.project(name="other")
    for project in (one, other):
        desk.companion("add", str(project)).ok()
    with watching(desk) as log:
        wait_for(log, "not started", 2)
        command = "apt-get update && apt-get install -y ripgrep && " * 6
        (one / "agent.yaml").write_text(f"{AGENT}    authorized_keys: {command}true\n")
        wait_for(log, "one: not changed: agent.yaml:6:22: there is no file 'apt-get", 1)
        (other / "agent.yaml").write_text(f"# saved\n{AGENT}")
        wait_for(log, "other: its files are fine", 2)
        (one / "agent.yaml").write_text(AGENT)
        wait_for(log, "one: its files are fine", 2)
        assert "bug" not in log.read_text()
        assert command not in log.read_text()


def test_a_huge_tree_is_refused_in_a_sentence_and_does_not_hold_the_watcher_up(desk: Desk):
    project = desk.project(OVERLAY)
    for number in range(110):
        for other in range(100):
            (project / f"home/{number}/{other}").mkdir(parents=True)
    desk.companion("add", str(project)).ok()
    begin = time.monotonic()
    assert "holds more than 10,000 files" in desk.companion("-C", str(project), "validate").err
    assert time.monotonic() - begin < 5
    log = desk.home / "watch.log"
    with log.open("w") as out:
        child = subprocess.Popen([COMPANION, "watch"], env=desk.environment, stdout=out, stderr=out)
    try:
        wait_for(log, "holds more than 10,000 files", 1)
        (project / "agent.yaml").write_text(AGENT)
        wait_for(log, "not started", 1)
    finally:
        child.terminate()
        child.wait(timeout=10)


def test_a_project_behind_a_symlink_is_the_project_itself(desk: Desk):
    project = desk.project()
    (desk.home / "link").symlink_to(project)
    desk.companion("add", str(desk.home / "link")).ok()
    with watching(desk) as log:
        (desk.home / "link/agent.yaml").write_text(AGENT.replace("coder", "co der"))
        wait_for(log, "agent.yaml:1:7: 'name' must be", 1)
        assert len(desk.companion("list", "--json").ok().data) == 1


def test_a_checkout_of_500_files_is_one_reaction(desk: Desk):
    project = desk.project(OVERLAY)
    (project / "home").mkdir()
    desk.companion("add", str(project)).ok()
    with watching(desk) as log:
        for number in range(500):
            (project / f"home/file-{number}").write_text("x")
        (project / "agent.yaml").write_text(f"# checked out\n{OVERLAY}")
        wait_for(log, "not started", 2)
        time.sleep(1)
        assert log.read_text().count("not started") <= 3
