"""A command that needs a running sandbox starts a stopped one, and none that was not agreed to."""

from pathlib import Path

import pytest
from desk import AGENT, Desk, make_desk
from fake_project import CHANGING, Fake, agree, config, fresh


def changing(fake: Fake) -> set[str]:
    return {kind for kind, _ in fake.met()} & CHANGING


def test_a_stopped_sandbox_is_started_with_one_line_that_says_so(desk: Desk):
    fake = fresh(desk)
    fake.companion("up").ok()
    assert fake.companion("exec", "coder", "true").ok().err == ""
    fake.companion("down").ok()
    first, *_ = fake.companion("exec", "coder", "true").ok().err.splitlines()
    assert first == "coder is stopped; starting it"
    fake.is_whole()
    fake.crash()
    first, *_ = fake.companion("exec", "coder", "true").ok().err.splitlines()
    assert first == "coder is crashed; starting it"
    fake.is_whole()


def test_a_command_inside_needs_no_repair_of_what_is_around(desk: Desk):
    fake = fresh(desk)
    fake.companion("up").ok()
    without = {n: c for n, c in fake.world["containers"].items() if not n.endswith("-gateway")}
    fake.set(containers=without, met={})
    fake.companion("exec", "coder", "true").ok()
    assert changing(fake) == {"exec"}


@pytest.mark.parametrize("command", ["exec coder true", "cp coder:x .", "ssh coder", "port 3000"])
def test_what_was_never_started_is_not_started(desk: Desk, command: str):
    fake = fresh(desk)
    done = fake.companion(*command.split())
    assert done.code == 1
    assert "start it with `companion up`" in done.problems[0]
    assert not fake.file.exists() or not changing(fake)


def test_what_asks_for_more_than_was_agreed_is_not_started(tmp_path: Path):
    owner = make_desk(tmp_path / "home", trusting=False)
    fake = Fake(owner, owner.project(config(), __env="KEY=one\n"))
    agree(fake).ok()
    fake.companion("up").ok()
    fake.companion("down").ok()
    (fake.project / "agent.yaml").write_text(f"{config()}    root_hooks: [setup.sh]\n")
    (fake.project / "setup.sh").write_text("id\n")
    fake.set(met={})
    done = fake.companion("exec", "coder", "true")
    assert done.code == 1
    assert "opens more than you agreed to" in done.err
    assert "companion trust" in done.err
    assert not changing(fake)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("cp a b", "neither path is in a sandbox; write `AGENT:PATH`, or `:PATH` if there is"),
        ("cp coder:a coder:b", "both paths are in sandboxes; copy to the desktop first"),
        ("cp coder:a", "two paths are needed; `companion cp SRC AGENT:PATH`, or the reverse"),
        ("port coder 70000", "'70000' is not a port; ports are numbers from 1 to 65535"),
        ("port 3000:0", "'3000:0' is not a port; ports are numbers from 1 to 65535"),
        ("port coder 3000 4000", "unexpected argument '4000'; name one agent and one port"),
    ],
)
def test_places_and_ports_that_mean_nothing_are_usage_errors(
    desk: Desk, command: str, problem: str
):
    project = desk.project(AGENT)
    done = desk.companion("-C", str(project), *command.split())
    assert done.code == 2
    assert done.problems[0].startswith(problem)
