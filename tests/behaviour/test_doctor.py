"""companion doctor: what is wrong on this machine, and what --fix mends."""

import pytest
from desk import Desk
from fake_project import Fake, fresh


@pytest.fixture
def fake(desk: Desk) -> Fake:
    fake = fresh(desk)
    fake.companion("up").ok()
    return fake


def levels(fake: Fake, *arguments: str) -> dict[str, str]:
    done = fake.desk.companion("doctor", *arguments, "--json")
    found = {one["what"]: one["level"] for one in done.data}
    assert done.code == (1 if "failed" in found.values() else 0)
    return found


def test_a_healthy_machine_has_nothing_that_failed(fake: Fake):
    found = levels(fake)
    assert "failed" not in found.values()
    assert found["podman answers"] == "ok"
    assert found[f"coder in {fake.project} is running"] == "ok"


def test_fix_includes_the_sandboxes_and_makes_private_what_others_could_read(fake: Fake):
    own = fake.desk.home / ".ssh/config"
    own.write_text("Host mine\n")
    key = fake.desk.home / ".local/share/companion/ca/ca.key"
    key.chmod(0o644)
    found = levels(fake)
    assert found[f"others may read {key}"] == "failed"
    assert found[f"{own} does not include the sandboxes"] == "warning"
    mended = levels(fake, "--fix")
    assert "failed" not in mended.values()
    assert mended[f"{own} includes the sandboxes"] == "ok"
    assert key.stat().st_mode & 0o077 == 0
    assert own.read_text().endswith("Host mine\n")


def test_what_is_broken_is_named_with_what_to_do(fake: Fake):
    world = fake.world
    agent = next(c for n, c in world["containers"].items() if n.endswith("-coder"))
    agent["State"] |= {"Running": False, "Status": "exited", "ExitCode": 3}
    fake.set(containers=world["containers"])
    found = levels(fake)
    assert found[f"coder in {fake.project} is crashed (exit code 3)"] == "failed"
    (fake.project / "agent.yaml").write_text("name: [\n")
    assert any("agent.yaml:" in what and level == "warning" for what, level in levels(fake).items())
    fake.project.rename(fake.desk.home / "elsewhere")
    said = fake.desk.companion("doctor").out
    gone = (
        f"{fake.project} is gone, its project is known still\n         tip: run `companion remove"
    )
    assert gone in said


def test_an_engine_that_does_not_answer_is_no_crash(fake: Fake):
    fake.set(refuse=["version", "ps"])
    assert any("podman" in what for what, level in levels(fake).items() if level != "ok")
