"""What happens at named points of a change: between two attempts, and while a failure is told."""

from collections.abc import Callable
from pathlib import Path

import pytest
from desk import AGENT, make_desk
from fake_project import Fake, config
from fake_sshd import answering, answering_all
from ports import block

from companion.errors import CompanionError, StoppedError
from companion.project import discovery
from companion.project.model import AgentRef
from companion.reconcile import allocate, run, teardown
from companion.system import network


def on_docker(command: str = "2") -> str:
    return config(command=command).replace("podman", "docker")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A project whose engine is also the one of calls in this process.

    It is docker, which ends a build that nobody wants at once.
    """
    desk = make_desk(tmp_path / "home")
    fake = Fake(desk, desk.project(on_docker()), "docker")
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name in ("PATH", "FAKE_ENGINE"):
        monkeypatch.setenv(name, fake.desk.environment[name])
    return fake


def reconcile(fake: Fake, at: dict[str, Callable[[], object]]) -> list[str]:
    """Reconcile; at the first line of progress with a text, do what `at` has for it."""
    said: list[str] = []
    left = dict(at)

    def progress(line: str) -> None:
        said.append(line)
        for text in [text for text in left if text in line]:
            left.pop(text)()

    try:
        run.reconcile(fake.desk.paths, AgentRef(discovery.project(fake.project)), progress)
    finally:
        assert not left, said
    return said


def stop(fake: Fake) -> None:
    project = discovery.project(fake.project)
    teardown.request_stop(fake.desk.paths.project(project.id).agent("coder"))


def test_a_port_that_the_engine_cannot_have_is_replaced_at_once(tmp_path: Path):
    """It seems to be free: it was until now, or the engine is in a virtual machine."""
    desk = make_desk(tmp_path / "home")
    fake = Fake(desk, desk.project(AGENT), "docker")
    fake.companion("doctor")
    with answering_all(desk) as silent:
        port = allocate.choose_port((), network.port_is_free)
        silent.add(port)
        silent.add(second := allocate.choose_port({port}, network.port_is_free))
        fake.set(taken=[port, second])
        done = fake.companion("up", "--json").ok()
    assert done.agent["ssh_port"] > second
    assert done.err.count("trying again") == 2


def test_a_published_port_that_the_engine_cannot_have_changes_no_other_one(tmp_path: Path):
    desk = make_desk(tmp_path / "home")
    published = block(24_000)
    ports = f"  - plugin: custom-runtime\n    ports: ['{published}:3000']\n"
    fake = Fake(desk, desk.project(AGENT + ports), "docker")
    fake.companion("doctor")
    fake.set(taken=[published])
    failed = fake.companion("up")
    assert f"port {published} is taken by" in failed.err
    assert "trying again" not in failed.err


def test_a_login_may_take_long_on_a_busy_machine(fake: Fake):
    with answering(fake, seconds=1.5):
        fake.companion("up").ok()


def test_a_stop_between_two_attempts_with_changing_files_is_heeded(fake: Fake):
    fake.companion("up").ok()

    def save(command: str) -> None:
        (fake.project / "agent.yaml").write_text(on_docker(command))

    save("3")
    fake.set(hold=["build"])

    def stop_then() -> None:
        fake.set(hold=[])
        stop(fake)

    with pytest.raises(StoppedError):
        reconcile(fake, {"building": lambda: save("4"), "starting over": stop_then})


def test_a_stop_while_a_conflict_is_resolved_is_heeded(fake: Fake):
    fake.companion("up").ok()
    fake.companion("down").ok()
    fake.set(forget="coder-gateway")  # the images are gone once that one has started
    with pytest.raises(StoppedError):
        reconcile(fake, {"image not known": lambda: stop(fake)})


def test_a_failure_is_told_though_the_engine_fails_while_it_is_told(fake: Fake):
    with pytest.raises(CompanionError, match=r"network failed \(Error: exec is refused\)"):
        reconcile(fake, {"starting coder-net": lambda: fake.set(refuse=["exec", "ps"])})
