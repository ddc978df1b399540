"""What an image is made of, and what its build may reach: what project and user say, no more."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from desk import CANARY, Desk, Done

pytestmark = pytest.mark.engine
CONFIG = """\
name: builder
runtime: {{base_image: "debian:bookworm-slim", cmd: [sleep, infinity]}}
container_runtime: {engine}
gateway: {gateway}
features:
  - plugin: custom-runtime
    commands: ['{command}']
"""
PROXY = f"http://me:{CANARY}@proxy.corp.example:3128"
VARIABLES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@contextmanager
def built(engine: str, desk: Desk, command: str, gateway: str = "false") -> Iterator[Path]:
    """Bring up a sandbox whose image runs a command that no earlier build has run."""
    command = f"{command} # {uuid4()}"
    project = desk.project(CONFIG.format(engine=engine, gateway=gateway, command=command))
    try:
        up(desk, project).ok()
        yield project
    finally:
        desk.companion("-C", str(project), "remove", "--volumes")


def up(desk: Desk, project: Path) -> Done:
    return desk.companion("-C", str(project), "up", "--yes")


def inside(desk: Desk, project: Path, *command: str) -> str:
    return desk.companion("-C", str(project), "exec", "builder", "--", *command).ok().out


def test_the_desktops_environment_enters_no_container_and_no_image(engine: str, desk: Desk):
    desk.environment |= dict.fromkeys(VARIABLES, PROXY) | {"DOCKER_CONTENT_TRUST": "1"}
    client = desk.home / ".docker/config.json"
    client.parent.mkdir()
    proxies = {"httpProxy": PROXY, "httpsProxy": PROXY, "noProxy": "corp.example"}
    client.write_text(json.dumps({"proxies": {"default": proxies}}))
    with built(engine, desk, "env >/built; cat /proc/*/environ >>/built") as project:
        for text in (inside(desk, project, "env"), inside(desk, project, "cat", "/built")):
            assert "PATH=" in text
            assert "proxy.corp" not in text
            assert "corp.example" not in text
        image = inside_engine(engine, "ps", "--filter", "label=dev.companion.agent=builder",
                              "--format", "{{.Image}}").split()[0]  # fmt: skip
        history = inside_engine(engine, "history", "--no-trunc", image)
        assert "env >/built" in history
        assert "proxy.corp" not in history


def test_what_containers_conf_adds_to_every_container_is_refused_by_name(engine: str, desk: Desk):
    if engine == "docker":
        pytest.skip("docker has no such file")
    known = Path(desk.environment.get("CONTAINERS_CONF", "/dev/null")).read_text()
    added = desk.home / "containers.conf"
    added.write_text(known.replace("[containers]", '[containers]\nvolumes = ["/etc/apt:/extra"]'))
    desk.environment["CONTAINERS_CONF"] = str(added)
    project = desk.project(CONFIG.format(engine=engine, gateway="false", command="true"))
    try:
        done = up(desk, project)
        if done.code == 0:  # podman 4.5 or later
            assert "/extra" not in inside(desk, project, "cat", "/proc/mounts")
        else:
            assert f"adds `volumes` of {added} to every container" in done.err
            assert not inside_engine(
                engine, "ps", "-aq", "--filter", "label=dev.companion.agent=builder"
            )
    finally:
        desk.companion("-C", str(project), "remove", "--volumes")


def inside_engine(engine: str, *arguments: str) -> str:
    return subprocess.run([engine, *arguments], capture_output=True, text=True, check=True).stdout
