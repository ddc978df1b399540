"""A project on the engine of fake_engine.py."""

import fcntl
import json
import random
import sys
from pathlib import Path
from typing import Any

import fake_engine
from desk import Desk

FAKE = Path(__file__).parent / "fake_engine.py"


class Fake:
    """A project on the engine of fake_engine.py, which is podman, or what it is called."""

    def __init__(self, desk: Desk, project: Path, name: str = "podman") -> None:
        self.desk, self.project = desk, project
        self.file = desk.home / f"world.{name}.json"
        programs = desk.home / "programs"
        programs.mkdir(exist_ok=True)
        text = FAKE.read_text().replace("#!/usr/bin/env python3", f"#!{sys.executable} -IS", 1)
        self.program = programs / name
        self.program.write_text(text)
        self.program.chmod(0o755)
        for endpoint in ("DOCKER_HOST", "CONTAINER_HOST"):
            desk.environment.pop(endpoint, None)  # that one is another test's
        desk.environment |= {
            "PATH": f"{programs}:{desk.environment['PATH']}",
            "FAKE_ENGINE": str(desk.home / "world"),
        }

    @property
    def world(self) -> Any:
        return json.loads(self.file.read_text())

    def companion(self, *arguments: str):
        return self.desk.companion("-C", str(self.project), *arguments)

    def set(self, **values: object) -> None:
        """Change the world between two calls, also while somebody calls."""
        with self.file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fake_engine.save(self.file, self.world | values)

    def crash(self) -> None:
        """Have every agent end with a failure."""
        ended = {"Running": False, "Status": "exited", "ExitCode": 3, "StartedAt": ""}
        containers = self.world["containers"]
        agents = {n: c | {"State": ended} for n, c in containers.items() if n.endswith("-coder")}
        self.set(containers=containers | agents)

    def is_whole(self) -> None:
        """Fail unless the engine holds the sandbox, the whole sandbox and nothing but it."""
        world = self.world
        project = next(n for n in world["networks"] if "-internal" in n).partition("_")[0]
        services = ("coder", "coder-gateway", "coder-net")
        assert sorted(world["containers"]) == [f"{project}-{name}" for name in services]
        assert all(c["State"]["Running"] for c in world["containers"].values())
        networks = [f"{project}_coder-default", f"{project}_coder-internal"]
        assert sorted(world["networks"]) == networks
        agent, holder = (world["containers"][f"{project}-{n}"] for n in ("coder", "coder-net"))
        assert agent["HostConfig"]["NetworkMode"] == f"container:{holder['Id']}"
        assert agent["State"]["StartedAt"] > holder["State"]["StartedAt"]
        plan = self.companion("plan", "--json").ok().agent
        assert plan["change"] == "none", plan


def fresh(desk: Desk) -> Fake:
    return Fake(desk, desk.project(config(random.Random(0)), __env="KEY=one\n"))


def config(chance: random.Random) -> str:
    """Return one of many configs: what differs between two is of every class of change."""
    hosts = ", ".join(f"h{n}.test" for n in range(chance.randint(0, 3)))
    custom = [f'    env: ["N={chance.randint(0, 2)}"]']
    if chance.random() < 0.4:
        custom.append(f'    commands: ["echo {chance.randint(0, 2)}"]')
    service = f"""
  - plugin: external-services
    services:
      - url: http://s{chance.randint(0, 1)}.test:8000
        headers: {{Authorization: "${{KEY}}"}}"""
    return f"""\
name: coder
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: podman
egress: {{mode: listed, allow: [{hosts}]}}
limits: {{pids: {chance.choice([512, 1024])}}}
features:
  - plugin: custom-runtime
{chr(10).join(custom)}{service if chance.random() < 0.6 else ""}
"""
