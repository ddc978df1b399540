"""What the record says an agent may write is true of the containers that run."""

import json
from pathlib import Path

import pytest
from desk import Desk
from fake_project import Fake, config, fresh


@pytest.fixture
def fake(desk: Desk) -> Fake:
    """An agent that runs and may write to a directory beside its project."""
    (desk.home / "shared").mkdir()
    fake = Fake(desk, desk.project(mounting(desk)))
    fake.companion("up").ok()
    return fake


def mounting(desk: Desk, command: str = "2") -> str:
    return config(command=command) + f'    runtime_volumes: ["{desk.home}/shared:/srv/shared"]\n'


def writes(fake: Fake) -> list[str]:
    state = fake.desk.home / ".local/state/companion"
    (path,) = state.glob("projects/*/coder/agent.json")
    found: list[str] = json.loads(path.read_text())["config"]["writes"]
    return found


def test_generate_leaves_what_is_recorded_of_a_running_sandbox(fake: Fake):
    before = writes(fake)
    assert [Path(path).name for path in before] == ["shared"]
    (fake.project / "agent.yaml").write_text(config())
    fake.companion("generate").ok()
    assert writes(fake) == before


def test_after_a_rollback_the_record_is_that_of_what_runs(fake: Fake):
    before = writes(fake)
    (fake.project / "agent.yaml").write_text(config(command="3"))
    fake.set(refuse=["build"])
    assert fake.companion("up").code == 1
    assert writes(fake) == before


def test_a_mount_that_is_removed_is_recorded_once_it_is_gone(fake: Fake):
    (fake.project / "agent.yaml").write_text(config())
    fake.companion("up").ok()
    assert writes(fake) == []


def test_status_shows_the_egress_of_what_runs_until_another_one_is_applied(desk: Desk):
    fake = fresh(desk)
    config, listed = fake.project / "agent.yaml", "mode: listed, allow: [h0.test, h1.test, h2.test]"
    closed = config.read_text()
    config.write_text(closed.replace(listed, "mode: open"))
    fake.companion("up").ok()
    config.write_text(closed)
    assert fake.companion("status").ok().out.splitlines()[1].endswith("open, listed after `up`")
    assert fake.companion("status", "--json").ok().agent["egress"] == "open"
    fake.companion("up").ok()
    assert fake.companion("status").ok().out.splitlines()[1].endswith(" listed")
    config.write_text("name: [")
    assert fake.companion("status").out.splitlines()[1].endswith(" listed")
    config.write_text(closed)
    fake.companion("down").ok()
    config.write_text(closed.replace(listed, "mode: open"))
    assert fake.companion("status").ok().out.splitlines()[1].endswith(" open")


def test_status_does_not_guess_the_egress_of_what_an_earlier_version_started(desk: Desk):
    fake = fresh(desk)
    fake.companion("up").ok()
    for name in ("agent", "good"):
        (path,) = (desk.home / ".local/state/companion").glob(f"projects/*/coder/**/{name}.json")
        record = json.loads(path.read_text())
        del record["config"]["egress"]
        path.write_text(json.dumps(record))
    unknown = "unknown, listed after `up`"
    assert fake.companion("status").ok().out.splitlines()[1].endswith(unknown)
    config = fake.project / "agent.yaml"
    config.write_text(config.read_text() + "log_level: debug\n")
    fake.set(refuse=["exec", "cp", "run", "create", "build"])
    assert fake.companion("up").code == 1
    assert fake.companion("status").ok().out.splitlines()[1].endswith(unknown)
    fake.set(refuse=[])
    fake.companion("up").ok()
    assert fake.companion("status").ok().out.splitlines()[1].endswith(" listed")
