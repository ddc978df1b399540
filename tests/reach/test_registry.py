"""A registry by the clients of both engines: what it holds, pushes, and how refusals are told."""

import io
import os
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from node import SCRIPT

from companion.engine.model import EngineChoice
from companion.engine.registry import Registry
from companion.errors import Code, EngineError

pytestmark = pytest.mark.reach
TAG = f"localhost/companion/registry-test-{os.getpid()}:1"
WORD = "correct-horse"
USER = "me:$2y$05$abcdefghijklmnopqrstuuZ0Fx87Pb/Aqb0E90lfvCwzXnaFKUHpS"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(program: Path, directory: Path, *, wants_login: bool) -> Iterator[str]:
    """Run a registry without TLS, which docker trusts on this address only; yield its host."""
    directory.mkdir()
    host = f"127.0.0.1:{free_port()}"
    (directory / "users").write_text(f"{USER}\n")
    auth = f"auth: {{htpasswd: {{realm: x, path: {directory}/users}}}}\n" if wants_login else ""
    (directory / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{host}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}}}}}\n{auth}"
    )
    argv = [program, "serve", directory / "config.yml"]
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen(argv, stdout=log, stderr=log) as it,
    ):
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", int(host.partition(":")[2]))) == 0:
                        break
                time.sleep(0.05)
            yield host
        finally:
            it.kill()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """An open registry, and one that wants a login."""
    if os.geteuid():
        pytest.skip("the registry is built as root")
    done = subprocess.run([*SCRIPT, "build"], capture_output=True, text=True, check=True)
    program = Path(done.stdout.strip(), "bin/docker-registry")
    directory = tmp_path_factory.mktemp("registries")
    with ExitStack() as running:
        yield (
            running.enter_context(serving(program, directory / "open", wants_login=False)),
            running.enter_context(serving(program, directory / "closed", wants_login=True)),
        )


@pytest.fixture(params=["docker", "podman"])
def registry(
    request: pytest.FixtureRequest,
    hosts: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Registry]:
    """Let an engine have a small image, and trust both registries."""
    trusted = "".join(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n' for host in hosts)
    (tmp_path / "registries.conf").write_text(trusted)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # where podman keeps logins
    address = os.environ.get("DOCKER_HOST", "")
    variables = (("DOCKER_HOST", address),) if request.param == "docker" and address else ()
    made = Registry(EngineChoice(request.param, shutil.which(request.param) or "", variables))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    made.call("import", "-", TAG, stdin=buffer.getvalue())
    yield made
    made.call("rmi", TAG)


def names(registry: Registry) -> str:
    return registry.call("images", "--format", "{{.Repository}}")


def test_what_was_pushed_is_held_and_nothing_else_under_no_other_name_here(
    registry: Registry, hosts: tuple[str, str]
):
    image = f"{hosts[0]}/{registry.choice.name}/small:1"
    other = f"{hosts[0]}/{registry.choice.name}/small:2"
    assert registry.held([image, other]) == frozenset()
    lines: list[str] = []
    registry.push(TAG, image, lines.append)
    assert lines
    assert registry.held([image, other]) == {image}
    assert hosts[0] not in names(registry)


def test_without_a_login_it_is_said_how_to_log_in_and_with_one_it_is_pushed(
    registry: Registry, hosts: tuple[str, str]
):
    host, name = hosts[1], registry.choice.name
    image = f"{host}/{name}/small:1"
    for attempt in (
        lambda: registry.held([image]),
        lambda: registry.push(TAG, image, lambda _: None),
    ):
        with pytest.raises(EngineError, match=f"registry {host} refuses ") as refused:
            attempt()
        assert f"`{name} login {host}`" in refused.value.problems[0].hint
        assert refused.value.problems[0].code is Code.ENGINE_DENIED
    registry.call("login", "--username=me", "--password-stdin", host, stdin=WORD)
    assert registry.held([image]) == frozenset()
    registry.push(TAG, image, lambda _: None)
    assert registry.held([image]) == {image}


def test_a_registry_that_does_not_run_or_is_not_trusted_is_named(registry: Registry):
    image = f"127.0.0.1:{free_port()}/small:1"
    with pytest.raises(EngineError, match=r"the registry 127.0.0.1:\d+ does not answer: "):
        registry.push(TAG, image, lambda _: None)
    with pytest.raises(EngineError, match=r"the registry 127.0.0.1:\d+ does not answer: "):
        registry.held([image])
