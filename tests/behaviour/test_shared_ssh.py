"""All calls of Docker's client to an engine behind SSH share a connection of the user's own ssh."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from desk import Desk

from companion.engine.client import Engine
from companion.engine.model import EngineChoice

FAR = "ssh://me@build.example"


def seen(name: str = "docker", host: str = FAR) -> list[str]:
    """Return the arguments with which the ssh is called that a client of an engine would start."""
    variable = {"docker": "DOCKER_HOST", "podman": "CONTAINER_HOST"}[name]
    engine = Engine(EngineChoice(name, f"/usr/bin/{name}", ((variable, host),)))
    path = engine.environment.get("PATH") or os.environ["PATH"]
    found = shutil.which("ssh", path=path)
    assert found
    argv = [found, "-T", "build.example", "docker system dial-stdio"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.fixture(autouse=True)
def _user(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "it's my bin"
    programs.mkdir()
    (programs / "ssh").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (programs / "ssh").chmod(0o755)
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere/short")


PLAIN = ["-T", "build.example", "docker system dial-stdio"]


def test_dockers_ssh_shares_a_connection_that_ends_soon_after_its_use_or_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sockets = Path("/tmp") / f"c {os.getpid()}%h"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(sockets))
    try:
        options = seen()
        assert (sockets / "companion").stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    assert options[-3:] == PLAIN
    assert options[:-3:2] == ["-o"] * 5
    given = dict(option.split("=", 1) for option in options[1:-3:2])
    assert given["ControlMaster"] == "auto"
    assert given["ControlPath"] == f"{sockets}/companion/%C".replace("%h", "%%h")
    assert int(given["ControlPersist"]) <= 60
    assert int(given["ServerAliveInterval"]) * int(given["ServerAliveCountMax"]) <= 10


def test_other_engines_and_paths_that_are_too_long_for_a_socket_keep_the_users_ssh(
    monkeypatch: pytest.MonkeyPatch,
):
    assert seen("podman", f"{FAR}:22/run/podman.sock") == PLAIN
    assert seen(host="unix:///var/run/docker.sock") == PLAIN
    assert seen(host="tcp://build.example:2376") == PLAIN
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp/" + "x" * 60)
    assert seen() == PLAIN
