"""What the watcher does where the system is in its way; without an engine."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from desk import AGENT, COMPANION, Desk
from fake_project import Fake, fresh

from companion.system import mount_table

NO_INOTIFY = 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"'
POLLING = ("unshare", "-Ur", "sh", "-c", NO_INOTIFY, "sh")
OVERLAY = f"{AGENT}  - plugin: custom-runtime\n    home_override: home\n"


@contextmanager
def watching(
    desk: Desk, *before: str, wait_for_first: tuple[str, int] = ("not started", 1)
) -> Iterator[Path]:
    log = desk.home / "watch.log"
    with log.open("w") as out:
        argv = [*before, COMPANION, "watch"]
        child = subprocess.Popen(argv, env=desk.environment, stdout=out, stderr=out)
    try:
        wait_for(log, *wait_for_first)
        yield log
    finally:
        child.terminate()
        child.wait(timeout=60)


def wait_for(log: Path, word: str, count: int) -> None:
    end = time.monotonic() + 60
    while log.read_text().count(word) < count:
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def test_where_the_system_gives_no_watches_it_looks_now_and_then_and_says_so(desk: Desk):
    project = desk.project()
    desk.companion("add", str(project)).ok()
    with watching(desk, *POLLING) as log:
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
        wait_for(log, "other: its files are valid", 2)
        (one / "agent.yaml").write_text(AGENT)
        wait_for(log, "one: its files are valid", 2)
        assert "bug" not in log.read_text()
        assert command not in log.read_text()


def test_a_state_directory_that_cannot_be_read_for_a_while_is_told_once_and_ends_no_watch(
    desk: Desk,
):
    project, later = desk.project(), desk.project(name="later")
    desk.companion("add", str(project)).ok()
    away = desk.paths.projects.with_name("away")
    with watching(desk) as log:
        desk.paths.projects.rename(away)
        desk.paths.projects.symlink_to(desk.paths.projects)
        wait_for(log, "new and removed projects are not noticed", 1)
        desk.paths.projects.unlink()
        away.rename(desk.paths.projects)
        desk.companion("add", str(later)).ok()
        wait_for(log, "later: ", 1)
        (project / "agent.yaml").write_text(AGENT.replace("coder", "co der"))
        wait_for(log, "agent.yaml:1:7: 'name' must be", 1)
        assert log.read_text().count("are not noticed") == 1


def test_a_huge_tree_is_refused_in_a_sentence_and_does_not_hold_the_watcher_up(desk: Desk):
    project = desk.project(OVERLAY)
    for number in range(110):
        for other in range(100):
            (project / f"home/{number}/{other}").mkdir(parents=True)
    desk.companion("add", str(project)).ok()
    assert "holds more than 10,000 files" in desk.companion("-C", str(project), "validate").err
    log = desk.home / "watch.log"
    with log.open("w") as out:
        child = subprocess.Popen([COMPANION, "watch"], env=desk.environment, stdout=out, stderr=out)
    try:
        wait_for(log, "holds more than 10,000 files", 1)
        (project / "agent.yaml").write_text(AGENT)
        wait_for(log, "not started", 1)
    finally:
        child.terminate()
        child.wait(timeout=60)


def test_what_settings_bring_is_watched_but_not_what_agents_on_the_desktop_write(desk: Desk):
    fake = fresh(desk)
    own, settings = desk.home / ".claude", desk.home / ".config/companion/settings.yaml"
    (own / "projects").mkdir(parents=True)
    (own / "CLAUDE.md").write_text("Be brief.\n")
    settings.write_text(settings.read_text() + "bring: [~/.claude]\n")
    fake.companion("up").ok()
    with watching(desk, wait_for_first=("nothing to do", 1)) as log:
        for number in range(20):
            (own / f"projects/{number}.jsonl").write_text("what was said\n")
        (own / "CLAUDE.md").write_text("Be very brief.\n")
        wait_for(log, "reloaded, ready", 1)
        (own / "skills").mkdir()
        (own / "skills/new.md").write_text("Be bold.\n")
        wait_for(log, "reloaded, ready", 2)
        assert log.read_text().count("nothing to do") <= 3, log.read_text()
    assert "reload coder" not in fake.companion("plan").ok().out


def test_a_project_behind_a_symlink_is_the_project_itself(desk: Desk):
    project = desk.project()
    (desk.home / "link").symlink_to(project)
    desk.companion("add", str(desk.home / "link")).ok()
    with watching(desk) as log:
        (desk.home / "link/agent.yaml").write_text(AGENT.replace("coder", "co der"))
        wait_for(log, "agent.yaml:1:7: 'name' must be", 1)
        assert len(desk.companion("list", "--json").ok().data) == 1


def made_again(directory: Path) -> None:
    """As a checkout does it: the new one may even get the old one's inode."""
    away = directory.parent.parent / "away"
    shutil.copytree(directory, away)
    shutil.rmtree(directory)
    shutil.copytree(away, directory)


def exchanged(directory: Path) -> None:
    """As a deployment does it: the old one lives on somewhere else."""
    new, old = directory.with_name("new"), directory.with_name("old")
    shutil.copytree(directory, new)
    directory.rename(old)
    new.rename(directory)


def gone_for_a_while(directory: Path) -> None:
    """As one does it who looks at another branch."""
    away = directory.parent.parent / "away"
    shutil.copytree(directory, away)
    shutil.rmtree(directory)
    time.sleep(3)
    shutil.copytree(away, directory)


HOOK, HOME_FILE = "hooks/deep/start.sh", "home/f"


@pytest.mark.parametrize(
    ("directory", "replace", "saved", "before"),
    [
        ("hooks", made_again, HOOK, ()),
        ("hooks", gone_for_a_while, HOOK, ()),
        ("home", made_again, HOME_FILE, ()),
        ("home", exchanged, HOME_FILE, ()),
        (".", made_again, "agent.yaml", ()),
        ("hooks", exchanged, HOOK, ()),
        (".", gone_for_a_while, HOOK, ()),
        (".", exchanged, "agent.yaml", ()),
        (".", exchanged, HOME_FILE, ()),
        ("hooks", gone_for_a_while, HOOK, POLLING),
    ],
)
def test_saves_are_seen_in_a_directory_that_took_the_place_of_another(
    desk: Desk, directory: str, replace: Callable[[Path], None], saved: str, before: tuple[str, ...]
):
    project = desk.project(f"{OVERLAY}    entrypoint_hooks: [{HOOK}]\n")
    for name in (HOOK, HOME_FILE):
        (project / name).parent.mkdir(parents=True)
        (project / name).write_text("true\n")
    desk.companion("add", str(project)).ok()
    with watching(desk, *before) as log:
        replace(project / directory)
        wait_for_silence(log, 5 if before else 1)
        reactions = log.read_text().count("not started")
        (project / saved).write_text(f"# saved\n{(project / saved).read_text()}")
        wait_for(log, "not started", reactions + 1)


def test_saves_are_seen_behind_a_link_and_in_all_hooks(desk: Desk):
    hooks = "    entrypoint_hooks: [hooks/start.sh]\n    root_hooks: [root.sh]\n"
    project = desk.project(f"{OVERLAY}{hooks}", root__sh="true\n")
    for directory in ("home", "scripts"):
        (project / directory).mkdir()
    (project / "scripts/start.sh").write_text("true\n")
    (project / "hooks").symlink_to("scripts")
    desk.companion("add", str(project)).ok()
    with watching(desk) as log:
        for number, saved in enumerate(("root.sh", "scripts/start.sh", "hooks/start.sh")):
            wait_for_silence(log, 1)
            assert log.read_text().count("not started") == number + 1
            (project / saved).write_text(f"echo {number}\n")
            wait_for(log, "not started", number + 2)


def test_a_link_on_the_way_to_a_file_may_lead_elsewhere_afterwards(desk: Desk):
    for release in ("one", "two"):
        desk.project(name=f"releases/{release}")
    current, ahead = desk.home / "current", desk.home / "ahead"
    current.symlink_to("releases/one")
    shared = desk.home / "shared"
    shared.symlink_to("current")
    project = desk.project(name="project")
    (project / "agent.yaml").unlink()
    (project / "agent.yaml").symlink_to(shared / "agent.yaml")
    desk.companion("add", str(project)).ok()
    with watching(desk) as log:
        ahead.symlink_to("releases/two")
        ahead.rename(current)
        wait_for(log, "not started", 2)
        (desk.home / "releases/two/agent.yaml").write_text(AGENT.replace("coder", "co der"))
        wait_for(log, "agent.yaml:1:7: 'name' must be", 1)


def test_where_a_file_system_tells_nothing_it_is_polled_and_that_is_said(
    desk: Desk, tmp_path: Path
):
    server, mount = tmp_path / "server", desk.home / "mount"
    for directory in (server, mount):
        directory.mkdir()
    if not shutil.which("bindfs"):
        pytest.skip("needs a FUSE file system: install bindfs")
    subprocess.run(["bindfs", server, mount], check=True)
    try:
        saved = desk.project().rename(server / "project") / "agent.yaml"
        desk.companion("add", str(mount / "project")).ok()
        with watching(desk) as log:
            said = f"the file system at {mount} does not report changes made elsewhere"
            assert log.read_text().count(said) == 1
            saved.write_text(AGENT.replace("coder", "co der"))
            wait_for(log, "agent.yaml:1:7: 'name' must be", 1)
            saved.write_text(AGENT)
            wait_for(log, "not started", 2)
    finally:
        subprocess.run(["umount", mount], check=True)


MOUNTS = b"""\
27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 27 0:50 / /mnt/c rw,noatime - 9p C:\\134 rw,dirsync,aname=drvfs
31 27 0:51 / /home/ada/far\\040away rw master:3 - fuse.sshfs far: rw
32 27 8:2 / /media/disk rw - fuseblk /dev/sdb1 rw
33 31 0:52 / /home/ada/far\\040away/near rw - tmpfs tmpfs rw
34 27 0:53 / /mnt/latin rw - fuse.d\xe9j\xe0 far: rw
"""


@pytest.mark.parametrize(
    ("path", "point", "remote"),
    [
        ("/home/ada/project", "/", False),
        ("/mnt/c/Users/ada", "/mnt/c", True),
        ("/mnt/cellar", "/", False),
        ("/home/ada/far away/project", "/home/ada/far away", True),
        ("/home/ada/far away/near", "/home/ada/far away/near", False),
        ("/media/disk/project", "/media/disk", False),
        ("/mnt/latin/project", "/mnt/latin", True),
    ],
)
def test_remote_file_systems_are_known_by_the_mount_table(path: str, point: str, remote: bool):
    found = mount_table.mount_of(mount_table.parse(MOUNTS), path)
    assert found
    assert (found.point, mount_table.is_remote(found)) == (point, remote)


def wait_for_silence(log: Path, seconds: float) -> None:
    """Wait until the watcher has said nothing for so long."""
    said, since = "", time.monotonic()
    while time.monotonic() < since + seconds:
        if log.read_text() != said:
            said, since = log.read_text(), time.monotonic()
        time.sleep(0.05)


def test_a_checkout_of_500_files_is_not_looked_at_file_by_file(desk: Desk):
    project = desk.project(OVERLAY)
    (project / "home").mkdir()
    desk.companion("add", str(project)).ok()
    with watching(desk) as log:
        for number in range(500):
            (project / f"home/file-{number}").write_text("x")
        wait_for(log, "not started", 2)
        (project / "agent.yaml").write_text("a mistake")
        wait_for(log, "not changed: agent.yaml:", 1)
        assert log.read_text().count("not started") < 100


def test_an_engine_is_listened_to_only_while_an_agent_is_on_it(desk: Desk):
    fake = fresh(desk)
    fake.companion("up", "--yes").ok()
    fake.set(follows=True)
    log = desk.home / "watch.log"
    with log.open("w") as out:
        child = subprocess.Popen([COMPANION, "watch"], env=desk.environment, stdout=out, stderr=out)
    try:
        wait_until(lambda: listeners(child.pid) == 1)
        fake.companion("remove", str(fake.project)).ok()
        wait_until(lambda: listeners(child.pid) == 0)
    finally:
        child.terminate()
        child.wait(timeout=60)


def listeners(watcher: int) -> int:
    """Return how many `events` processes of the engine's client a watcher has."""
    argv = ["ps", "-ww", "-o", "args=", "--ppid", str(watcher)]
    said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    return sum(" events " in f"{line} " for line in said.splitlines())


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


COUNT_LISTINGS = """
import sys
from companion.daemon.following import Following
from companion.daemon.view import View
from companion.system.paths import Paths

listings = []
sys.addaudithook(lambda event, _: event in ("os.listdir", "os.scandir") and listings.append(event))
following = Following(Paths.of_user(), None, None, View, *[print] * 3)  # there is nothing to follow
for _ in range(3):
    following.look_at_registry()
    print(len(listings))
"""


def test_a_first_up_that_failed_early_does_not_have_the_registry_read_over_and_over(desk: Desk):
    (desk.home / ".local/state/companion/projects/other-0000/coder").mkdir(parents=True)
    argv = [sys.executable, "-c", COUNT_LISTINGS]
    environment = os.environ | desk.environment
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    first, *later = map(int, done.stdout.split())
    assert first > 0
    assert later == [first, first]


def builds(project: Path) -> list[bytes]:
    """Return the command lines of the builds of a project that run now."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(file.read_bytes())
    return [line for line in found if b"\0build\0" in line and bytes(project) in line]


def test_a_build_ends_with_the_watch_that_began_it(desk: Desk):
    config = AGENT.partition("features")[0]
    project = desk.project(config)
    fake = Fake(desk, project, "docker")
    fake.companion("up").ok()
    fake.set(gather=["build", 99], gathered=0)
    (project / "agent.yaml").write_text(config.replace("bookworm-slim", "12"))
    with subprocess.Popen([COMPANION, "watch"], env=desk.environment) as child:
        try:
            wait_until(lambda: bool(builds(project)))
        finally:
            child.terminate()
            child.wait(timeout=60)
            left = builds(project)
            fake.set(gather=["", 0])
    assert not left
