"""Compose sees what companion made, and makes the same from the file that companion renders."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, make_desk
from sandboxes import FIRST_PORT, SERVICES, Box

from companion.spec.identity import PROXIES

pytestmark = pytest.mark.engine
BIN = Path(sys.executable).parent
CONFIG = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim", cmd: [sleep, infinity]}}
container_runtime: {engine}
egress: listed
limits: {{memory: 512m, pids: 256, cpus: "0.5"}}
features:
  - plugin: ssh
    port: {port}
  - plugin: custom-runtime
    runtime_volumes: ["./work:/srv/work", "cache:/srv/cache", "kept:/srv/kept:ro"]
    env: ["COLOUR=green"]
"""


def with_compose(desk: Desk) -> Desk:
    return Desk(desk.home, desk.environment | {"PATH": f"{BIN}:{desk.environment['PATH']}"})


def test_compose_sees_what_companion_made(box: Box):
    desk = with_compose(box.desk)

    def compose(*arguments: str):
        return desk.companion("-C", str(box.project), "compose", *arguments)

    listed = compose("ps").ok().out
    assert all(f"{box.id}-{name}" in listed for name in SERVICES)
    assert set(SERVICES) <= set(compose("config", "--services").ok().out.split())
    assert compose("exec", "-T", "coder", "id", "-un").ok().out.strip() == "agent"
    assert compose("exec", "-T", "coder", "sh", "-c", "exit 7").code == 7
    assert "Loading success" in compose("logs", "coder-gateway").ok().out
    before = box.ids()
    for verb, instead in (("up", "companion up"), ("down", "companion down"), ("rm", "down")):
        refused = compose(verb)
        assert refused.code == 1
        assert instead in refused.err
    for words in (("pause",), ("--", "--ansi", "never", "down"), ("scale", "coder=2"), ()):
        assert compose(*words).code == 2
    assert box.ids() == before


def looked_at(engine: str, project: str) -> dict[str, Any]:
    """Return what makes a container what it is, for each of the three."""
    argv = [engine, "inspect", *(f"{project}-{name}" for name in SERVICES)]
    found = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    ids = {data["Id"]: data["Name"].lstrip("/") for data in found}
    return {data["Name"].lstrip("/"): essence(data, ids) for data in found}


def counts(variable: str) -> bool:
    """A hostname is the engine's; an empty proxy is none, whoever says so."""
    name, _, value = variable.partition("=")
    return name != "HOSTNAME" and (name not in PROXIES or bool(value))


def essence(data: Any, ids: dict[str, str]) -> dict[str, Any]:
    host, networks = data["HostConfig"], data["NetworkSettings"]["Networks"]
    mode, mounts = host["NetworkMode"], data["Mounts"]
    shared = mode.startswith("container:")
    return {
        "user": data["Config"]["User"],
        "command": data["Config"]["Cmd"],
        "environment": sorted(e for e in data["Config"]["Env"] if counts(e)),
        "added": sorted(c.removeprefix("CAP_") for c in host["CapAdd"] or []),
        "dropped": sorted(c.removeprefix("CAP_") for c in host["CapDrop"] or []),
        "security": sorted(host["SecurityOpt"] or []),
        "read only": host["ReadonlyRootfs"],
        "mounts": sorted((m["Type"], m["Destination"], m["RW"], m["Source"]) for m in mounts),
        "scratch": sorted(host["Tmpfs"] or {}),
        "network of": ids.get(mode.removeprefix("container:"), "") if shared else "",
        "addresses": {} if shared else {n: v["IPAddress"] for n, v in networks.items()},
        "ports": host["PortBindings"] or {},
        "memory": host["Memory"],
        "processes": host["PidsLimit"],
        "cpus": host["NanoCpus"],
        "restart": host["RestartPolicy"]["Name"],
        "hosts": sorted(host["ExtraHosts"] or []),
    }


def test_the_rendered_file_runs_by_itself_and_gives_the_same_sandbox(
    engine: str, tmp_path_factory: pytest.TempPathFactory
):
    desk = make_desk(tmp_path_factory.mktemp(f"compose-{engine}") / "home", engines=True)
    project = desk.project(CONFIG.format(engine=engine, port=FIRST_PORT[engine] + 3))
    file = project / ".build/coder/docker-compose.yml"

    def compose(*arguments: str) -> None:
        argv = [BIN / f"{engine}-compose", "-f", file, *arguments]
        done = subprocess.run(
            argv, env=desk.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    try:
        desk.companion("-C", str(project), "up", "--yes").ok()
        state = desk.home / ".local/state/companion/projects"
        identity = next(p.parent.name for p in state.glob("*/project.json"))
        ours = looked_at(engine, identity)
        volumes = [mount[:3] for mount in ours[f"{identity}-coder"]["mounts"]]
        assert ("volume", "/srv/cache", True) in volumes
        assert ("volume", "/srv/kept", False) in volumes
        desk.companion("-C", str(project), "down").ok()
        compose("up", "-d")
        try:
            theirs = looked_at(engine, identity)
            for name, made in ours.items():
                assert theirs[name] == made, name
        finally:
            compose("down", "-v", "-t", "0")
    finally:
        desk.companion("-C", str(project), "down", "--volumes")
