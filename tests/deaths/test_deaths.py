"""A companion that is killed at any moment is repaired by the next: on an engine of a few lines."""

import copy
import itertools
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk import COMPANION, RENAMES, Desk, killed_at
from fake_project import CHANGING, Fake, Moment, config, fresh
from sandboxes import wait_until

LONG = pytest.mark.long


@pytest.fixture
def fake(desk: Desk) -> Fake:
    fake = fresh(desk)
    fake.companion("up").ok()
    return fake


CHANGES = {
    "a first start": ("", config(), "up"),
    "a reload": (config(), config(hosts=2, service="s0"), "up"),
    "a restart": (config(), config(), "restart"),
    "a build": (config(), config(command="3", pids=512), "up"),
    "an end": (config(), config(), "down"),
}
"""What was up before, what is wanted then, and how it is asked for."""
MANY = ("a reload", "a build")
changes = pytest.mark.parametrize(
    "change", [pytest.param(c, marks=LONG) if c in MANY else c for c in CHANGES]
)
"""The ordinary run does without what the others contain."""


def begun(desk: Desk, change: str) -> tuple[Fake, str]:
    """Return a project just before a change, and the command that asks for it."""
    before, after, verb = CHANGES[change]
    fake = fresh(desk)
    if before:
        (fake.project / "agent.yaml").write_text(before)
        fake.companion("up").ok()
    else:
        subprocess.run([fake.program, "version"], env=desk.environment, check=True)
    (fake.project / "agent.yaml").write_text(after)
    return fake, verb


@changes
def test_a_companion_that_is_killed_at_a_call_is_repaired_by_the_next(
    desk: Desk, change: str, request: pytest.FixtureRequest
):
    """The ordinary run takes the last call of each kind that changes something."""
    everything = request.config.getoption("--long")
    fake, verb = begun(desk, change)
    begin = Moment.of(desk)
    calls = fake.calls_of(verb)
    for call in calls if everything else dict(c for c in calls if c[0] in CHANGING).items():
        for moment in ("before", "after") if everything else ("after",):
            begin.back()
            fake.dies(call, moment, verb)
            fake.companion("up").ok()
            fake.is_whole()


@changes
def test_a_companion_that_is_killed_at_a_file_is_repaired_by_the_next(
    desk: Desk, change: str, request: pytest.FixtureRequest
):
    """Each file of ours is replaced by one system call; the ordinary run takes every ninth."""
    fake, verb = begun(desk, change)
    begin = Moment.of(desk)
    for number in itertools.count(1, 1 if request.config.getoption("--long") else 9):
        begin.back()
        done = killed_at(desk, RENAMES, number, "-C", str(fake.project), verb)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        fake.companion("up").ok()
        fake.is_whole()
    assert number > 1


@LONG
def test_a_repair_that_is_killed_too_is_repaired_by_the_next(desk: Desk):
    fake, verb = begun(desk, "a restart")
    begin = Moment.of(desk)
    for call in [c for c in fake.calls_of(verb) if c[0] in CHANGING]:
        begin.back()
        fake.dies(call, "after", verb)
        half = Moment.of(desk)
        for other in [c for c in fake.calls_of("up") if c[0] in CHANGING]:
            half.back()
            fake.dies(other, "after", "up")
            fake.companion("up").ok()
            fake.is_whole()
        half.forget()


def test_what_happens_is_what_was_planned(fake: Fake):
    """The engine itself is the witness."""
    for text, change in (
        (config(), "none"),
        (config(hosts=1), "reload"),
        (config(hosts=1, number=2, service="s0"), "recreate"),
        (config(hosts=1, number=2, service="s0", pids=512, command="3"), "rebuild"),
        (f"# a comment\n{config(hosts=1, number=2, service='s0', pids=512, command='3')}", "none"),
        (config(), "rebuild"),
    ):
        (fake.project / "agent.yaml").write_text(text)
        plan = fake.companion("plan", "--json").ok().agent
        fake.set(calls=[])
        done = fake.companion("up", "--json").ok().agent
        assert plan["change"] == change
        assert done["steps"] == [step["step"] for step in plan["steps"]]
        assert happened(fake) == planned(done["steps"]), plan


def planned(steps: list[str]) -> list[str]:
    """Return what the engine is asked to change if exactly these steps are taken."""
    changes = [step for step in steps if not step.startswith("reload")]
    return sorted(change.replace(" the network", "") for change in changes)


def happened(fake: Fake) -> list[str]:
    """Return what the engine was asked to change, in the words of steps."""
    project = next(n for n in fake.world["networks"] if "-internal" in n).partition("_")[0]
    words = []
    for call in fake.world["calls"]:
        match call:
            case ["start" | "rm", name] if "-build-" in name:
                pass  # what fences a build in ends with it
            case ["start", name]:
                words.append(f"start {name.removeprefix(f'{project}-')}")
            case ["rm", name]:
                words.append(f"remove {name}")
            case ["build", context]:
                words.append(f"build the {Path(context).name} image")
            case ["network", verb, name]:
                verb = {"create": "create", "rm": "remove"}[verb]
                words.append(f"{verb} {name.rpartition('_')[2]}")
            case _:
                assert call[0] in {"create", "network", "rmi"}, call
    return sorted(words)


def test_an_image_that_somebody_removes_meanwhile_is_built_again(fake: Fake):
    fake.companion("down").ok()
    fake.set(forget="coder-net")
    assert "image not known" in fake.companion("up").ok().err
    fake.is_whole()


@pytest.mark.parametrize("text", ["{", '{"engine": {}, "target": {"images": 7}}', "\xff"])
def test_a_damaged_snapshot_restores_nothing_and_is_reported_beside_the_failure(
    fake: Fake, text: str
):
    (place,) = (fake.desk.home / ".local/state/companion").glob("projects/*/coder")
    snapshot = place / "last_good/good.json"
    snapshot.write_bytes(text.encode("latin-1"))
    (fake.project / "agent.yaml").write_text(config(number=2, hosts=1))
    fake.set(refuse=["create"])
    done = fake.companion("up")
    assert done.code == 1
    assert "create is refused" in done.err
    assert "no version to roll back to" in done.err
    assert str(snapshot) in done.err
    old, new = ((parent / "gateway/hosts.map").read_text() for parent in (snapshot.parent, place))
    assert new != old, "files of a snapshot that cannot be read were put back"
    fake.set(refuse=[])
    fake.companion("up").ok()
    fake.is_whole()


@pytest.mark.parametrize("network", ["default", "internal"])
def test_an_address_that_is_held_ends_no_agent_that_can_go_on(fake: Fake, network: str):
    """The gateway is on both networks, the agent on one; nobody asked the watcher to end it."""
    before = fake.world["containers"]
    kept = {n: c for n, c in before.items() if not n.endswith("-gateway")}
    fake.set(containers=kept, ghost=f"-{network}")
    with watching(fake.desk) as (_, said):
        outcome = "restarted, ready" if network == "default" else "not changed: podman start"
        wait_until(lambda: outcome in said(), tell=said)
    (agent,) = (name for name in before if name.endswith("-coder"))
    assert fake.world["containers"][agent]["Id"] == before[agent]["Id"]
    fake.companion("up").ok()
    fake.is_whole()


def test_networks_of_others_that_vanish_while_they_are_listed_fail_no_first_start(desk: Desk):
    fake = fresh(desk)
    subprocess.run([fake.program, "version"], env=desk.environment, check=True)
    fake.set(vanishing=["of-a-test-run"])
    fake.companion("up").ok()
    fake.is_whole()


@contextmanager
def watching(desk: Desk) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """Run companion watch; yields the process and what tells what it said."""
    log = desk.home / "watch.log"
    with log.open("w") as out:
        child = subprocess.Popen([COMPANION, "watch"], env=desk.environment, stdout=out, stderr=out)
    try:
        yield child, log.read_text
    finally:
        child.terminate()
        child.wait(timeout=60)


@pytest.mark.parametrize("known", [True, False])
def test_a_watcher_hears_of_a_first_start_by_somebody_else(desk: Desk, known: bool):
    fake = fresh(desk)
    if known:
        desk.companion("add", str(fake.project)).ok()
    with watching(desk) as (_, said):
        wait_until(lambda: "not started" in said() or not known)
        fake.companion("up").ok()
        wait_until(lambda: "project: nothing to do" in said(), tell=said)
        (fake.project / "agent.yaml").write_text(f"# saved\n{config()}")
        wait_until(lambda: said().count("project: nothing to do") > 1, tell=said)


@pytest.mark.parametrize("begun", ["before", "after"])
def test_what_cannot_be_read_of_one_sandbox_is_its_problem_and_ends_no_watch(
    fake: Fake, begun: str
):
    other = fake.desk.project(config(), name="other", __env="KEY=one\n")
    fake.desk.companion("add", str(other)).ok()
    (record,) = (fake.desk.home / ".local/state/companion").glob("projects/*/coder/agent.json")
    good = record.read_text()
    if begun == "after":
        record.write_text("{")
    with watching(fake.desk) as (_, said):
        wait_until(lambda: "project: watching" in said(), tell=said)
        if begun == "before":
            wait_until(lambda: "project: nothing to do" in said(), tell=said)
            record.write_text("{")
            (fake.project / "agent.yaml").write_text(f"# saved\n{config()}")
        wait_until(lambda: "agent.json is damaged; remove it" in said(), tell=said)
        (other / "agent.yaml").write_text(f"# saved\n{config()}")
        wait_until(lambda: said().count("other: its files are valid") > 1, tell=said)
        before = said().count("project: nothing to do")
        record.write_text(good)
        wait_until(lambda: said().count("project: nothing to do") > before, tell=said)
        assert said().count("is damaged") <= 2


def test_a_watcher_that_slept_takes_in_what_was_saved_meanwhile(fake: Fake):
    """A suspended machine, as far as the watcher can tell."""
    with watching(fake.desk) as (child, said):
        wait_until(lambda: "project: nothing to do" in said(), tell=said)
        child.send_signal(signal.SIGSTOP)
        (fake.project / "agent.yaml").write_text(config(number=2))
        child.send_signal(signal.SIGCONT)
        wait_until(lambda: "after the save" in said(), tell=said)
    fake.is_whole()


@pytest.mark.parametrize("verb", ["down", "remove"])
def test_a_watcher_does_not_bring_back_what_is_just_being_stopped(fake: Fake, verb: str):
    with watching(fake.desk) as (_, said):
        wait_until(lambda: "project: nothing to do" in said(), tell=said)
        fake.set(hold=["rm"])
        argv = [COMPANION, "-C", fake.project, verb, *([fake.project] if verb == "remove" else [])]
        with subprocess.Popen(argv, env=fake.desk.environment, stderr=subprocess.PIPE) as stopping:
            assert stopping.stderr
            stopping.stderr.readline()  # it has begun
            (fake.project / "agent.yaml").write_text(config(number=2))
            wait_until(lambda: "waiting for another companion" in said(), tell=said)
            fake.set(hold=[])
            assert stopping.wait() == 0
        wait_until(lambda: "it is not started" in said(), tell=said)
    assert not fake.world["containers"]


def test_after_down_a_failing_up_starts_nothing_of_before(fake: Fake):
    fake.companion("down").ok()
    (fake.project / "agent.yaml").write_text(f"{config()}workdir: /srv\n")
    fake.set(refuse=["start"])
    done = fake.companion("up")
    assert done.code == 1
    assert "what ran before" not in done.err
    fake.set(refuse=[])
    assert not [c for c in fake.world["containers"].values() if c["State"]["Running"]]
    fake.companion("up").ok()
    fake.is_whole()


def test_an_engine_that_could_not_be_started_once_is_asked_again(fake: Fake):
    program = fake.desk.home / "programs/podman"
    with watching(fake.desk) as (_, said):
        wait_until(lambda: "project: nothing to do" in said(), tell=said)
        program.chmod(0o644)
        wait_until(
            lambda: f"{program} could not be started: it is not a program" in said(), tell=said
        )
        program.chmod(0o755)
        wait_until(lambda: said().count("project: nothing to do") > 1, tell=said)
        assert "Traceback" not in said()


def test_an_engine_that_says_what_nobody_understands_is_asked_again(fake: Fake):
    good = fake.world
    with watching(fake.desk) as (_, said):
        wait_until(lambda: "project: nothing to do" in said(), tell=said)
        strange = {"State": {"ExitCode": "many"}}
        fake.set(containers={n: c | strange for n, c in good["containers"].items()})
        wait_until(lambda: "podman: this is a bug in companion: " in said(), tell=said)
        fake.set(containers=good["containers"])
        wait_until(lambda: said().count("project: nothing to do") > 1, tell=said)
        assert "Traceback" not in said()


def test_of_two_engines_of_one_name_each_is_listened_to(fake: Fake):
    desk, remote = fake.desk, copy.copy(fake)
    remote.file = desk.home / "remote.podman"
    remote.project = desk.project(config(), name="far", __env="KEY=one\n")
    remote.desk = Desk(desk.home, desk.environment | {"CONTAINER_HOST": f"{desk.home}/remote"})
    remote.companion("up").ok()
    with watching(desk) as (_, said):
        wait_until(lambda: said().count("nothing to do") > 1, tell=said)
        fake.crash()
        remote.crash()
        for name in ("project", "far"):
            crash = f"{name}: crashed (exit code 3)"
            wait_until(lambda crash=crash: crash in said(), tell=said)


def test_a_way_back_that_fails_says_so_and_the_next_up_repairs_it(fake: Fake):
    (fake.project / "agent.yaml").write_text(f"{config()}workdir: /srv\n")
    fake.set(refuse=["start"])
    done = fake.companion("up")
    assert done.code == 1
    assert "start is refused; the rollback failed, too: " in done.err
    fake.set(refuse=[])
    fake.companion("up").ok()
    fake.is_whole()


def test_without_a_compose_front_end_the_message_says_what_to_install(fake: Fake):
    fake.desk.environment["PATH"] = f"{fake.desk.home / 'programs'}:/bin"
    fake.set(refuse=["compose"])
    done = fake.companion("compose", "ps")
    assert done.code == 1
    assert "podman-compose" in done.err


@LONG
def test_an_engine_that_hangs_is_said_in_bounded_time(fake: Fake):
    fake.set(hang=True)
    done = fake.companion("up")
    assert done.code == 1
    assert "podman does not answer" in done.err


def test_a_container_of_another_version_hides_none_of_ours_and_is_replaced(fake: Fake):
    """A newer Companion may have containers for purposes that this one does not know."""
    (ours,) = (n for n in fake.world["containers"] if n.endswith("-coder-ingress"))
    containers = fake.world["containers"]
    labels = containers[ours]["Config"]["Labels"]
    role = next(label for label in labels if label.endswith(".role"))
    service = next(label for label in labels if label.endswith(".service"))
    strange = copy.deepcopy(containers[ours])
    strange["Config"]["Labels"] |= {role: "telescope", service: "coder-telescope"}
    strange |= {"Id": "f" * 64, "Name": ours.replace("ingress", "telescope")}
    fake.set(containers=containers | {strange["Name"]: strange})
    assert fake.companion("status", "--json").ok().agent["state"] == "running"
    fake.companion("up").ok()
    fake.is_whole()
