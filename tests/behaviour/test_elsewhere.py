"""An engine elsewhere sees no file of this desktop: found out by trying, once for each endpoint."""

import json
import os

import pytest
from desk import Desk
from fake_project import Fake, config

from companion.operations import engine_checks
from companion.operations.findings import Check


def fake(desk: Desk, name: str, **world: object) -> Fake:
    made = Fake(desk, desk.project(config().replace("podman", name)), name)
    made.companion("plan").ok()
    made.set(met={}, **world)
    return made


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_an_engine_is_tried_once_and_a_second_agent_asks_nothing(desk: Desk, name: str):
    one = fake(desk, name)
    one.companion("up").ok()
    one.set(met={})
    one.companion("up").ok()
    probing = {"import", "create", "info", "rmi"}
    assert not probing & set(one.world["met"])
    two = Fake(desk, desk.project(config().replace("podman", name), "other"), name)
    one.set(met={})
    two.companion("up").ok()
    assert "import" not in one.world["met"]


def test_a_directory_of_the_desktop_is_refused_where_it_is_asked_for(desk: Desk):
    one = fake(desk, "docker", elsewhere=True)
    text = (one.project / "agent.yaml").read_text()
    (one.project / "agent.yaml").write_text(f'{text}    runtime_volumes: ["./work:/work"]\n')
    done = one.companion("up")
    line = text.count("\n") + 1
    said = f"error: agent.yaml:{line}:23: ./work is on this desktop, and docker cannot mount it"
    assert done.code == 1
    assert said in done.err
    assert not one.world["containers"]


def test_doctor_finds_and_removes_secrets_that_were_left_elsewhere(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    one = fake(desk, "docker")
    one.companion("up").ok()
    one.companion("down").ok()
    (file,) = desk.home.glob("**/agent.json")
    record = json.loads(file.read_text())
    record["engine"]["shares_files"] = False
    file.write_text(json.dumps(record))
    left = f"{file.parents[1].name}_coder.secrets"
    one.set(volumes=["another_volume", left])
    for name in os.environ.keys() - desk.environment.keys():
        monkeypatch.delenv(name)
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    (found,) = (f for f in engine_checks.examine(desk.paths) if f.check is Check.STRAYS)
    assert found.what == f"docker holds secrets of coder in {one.project}, which is stopped"
    assert found.repair
    found.repair()
    assert one.world["volumes"] == ["another_volume"]
    one.set(volumes=[left])
    one.companion("down").ok()
    assert one.world["volumes"] == []
