"""A project on the engine of fake_engine.py."""

import fcntl
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_engine
from desk import Desk, Done

Call = tuple[str, int]
"""A kind of call, and the how-manieth of its kind."""
CHANGING = {
    "build", "create", "exec", "network create", "network connect", "network rm", "rm", "start",
}  # fmt: skip
"""The kinds of calls that change something."""
PROGRAM = f"""\
#!{sys.executable} -IS
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from fake_engine import main
sys.exit(main(sys.argv[1:]))
"""
"""It imports the engine, because a module is compiled once."""


class Fake:
    """A project on the engine of fake_engine.py, which is podman, or what it is called."""

    def __init__(self, desk: Desk, project: Path, name: str = "podman") -> None:
        self.desk, self.project = desk, project
        self.file = desk.home / f"world.{name}"
        programs = desk.home / "programs"
        programs.mkdir(exist_ok=True)
        self.program = programs / name
        self.program.write_text(PROGRAM)
        self.program.chmod(0o755)
        for endpoint in ("DOCKER_HOST", "CONTAINER_HOST"):
            desk.environment.pop(endpoint, None)  # that one is another test's
        desk.environment |= {
            "PATH": f"{programs}:{desk.environment['PATH']}",
            "FAKE_ENGINE": str(desk.home / "world"),
        }

    @property
    def world(self) -> Any:
        return fake_engine.read(self.file)

    def companion(self, *arguments: str):
        return self.desk.companion("-C", str(self.project), *arguments)

    def set(self, **values: object) -> None:
        """Change the world between two calls, also while somebody calls."""
        with self.file.with_name(f"{self.file.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fake_engine.save(self.file, self.world | values)

    def crash(self) -> None:
        """Have every agent end with a failure."""
        ended = {"Running": False, "Status": "exited", "ExitCode": 3, "StartedAt": ""}
        containers = self.world["containers"]
        agents = {n: c | {"State": ended} for n, c in containers.items() if n.endswith("-coder")}
        self.set(containers=containers | agents)

    def is_whole(self, *, planned: bool = True) -> None:
        """Fail unless the engine holds the sandbox, the whole sandbox and nothing but it."""
        world = self.world
        project = next(n for n in world["networks"] if "-internal" in n).partition("_")[0]
        services = ("coder", "coder-gateway", "coder-ingress", "coder-net")
        assert sorted(world["containers"]) == [f"{project}-{name}" for name in services]
        assert all(c["State"]["Running"] for c in world["containers"].values())
        networks = [f"{project}_coder-default", f"{project}_coder-internal"]
        assert sorted(world["networks"]) == networks
        agent, holder = (world["containers"][f"{project}-{n}"] for n in ("coder", "coder-net"))
        assert agent["HostConfig"]["NetworkMode"] == f"container:{holder['Id']}"
        assert agent["State"]["StartedAt"] > holder["State"]["StartedAt"]
        if planned:
            plan = self.companion("plan", "--json").ok().agent
            assert plan["change"] == "none", plan

    def calls_of(self, *arguments: str) -> list[Call]:
        """Run a command to its end and return all the calls that it makes."""
        self.set(met={})
        self.companion(*arguments).ok()
        return self.met()

    def met(self) -> list[Call]:
        """Return the calls that were counted."""
        return [(k, n + 1) for k, count in self.world["met"].items() for n in range(count)]

    def dies(self, call: Call, moment: str, *arguments: str) -> None:
        """Run a command that is killed before or after the engine did its work at a call."""
        self.set(kill=[*call, moment], met={})
        done = self.companion(*arguments)
        assert done.code == -signal.SIGKILL, (call, moment, done.err)
        self.set(kill=None)


@dataclass(frozen=True)
class Moment:
    """A home as it was, to begin again from."""

    home: Path
    kept: Path

    @classmethod
    def of(cls, desk: Desk) -> "Moment":
        kept = next(p for n in range(9) if not (p := desk.home.with_name(f"kept-{n}")).exists())
        shutil.copytree(desk.home, kept, symlinks=True)
        return cls(desk.home, kept)

    def back(self) -> None:
        shutil.rmtree(self.home)
        shutil.copytree(self.kept, self.home, symlinks=True)

    def forget(self) -> None:
        shutil.rmtree(self.kept)


def digest(fake: Fake) -> str:
    return fake.companion("plan", "--json").ok().data["digest"]


def agree(fake: Fake) -> Done:
    return fake.companion("trust", "--digest", digest(fake))


def changes(fake: Fake) -> list[str]:
    """Return the calls to the engine that change something."""
    return [kind for kind, _ in fake.met() if kind in CHANGING] if fake.file.exists() else []


def fresh(desk: Desk) -> Fake:
    return Fake(desk, desk.project(config(), __env="KEY=one\n"))


def config(
    *, hosts: int = 3, pids: int = 1024, number: int = 1, command: str = "2", service: str = ""
) -> str:
    """Return a config; other hosts are a reload, other pids a restart, another command a build."""
    allowed = ", ".join(f"h{n}.test" for n in range(hosts))
    custom = [f'    env: ["N={number}"]']
    if command:
        custom.append(f'    commands: ["echo {command}"]')
    if service:
        custom.append(f"""\
  - plugin: external-services
    services:
      - url: http://{service}.test:8000
        headers: {{Authorization: "${{KEY}}"}}""")
    return f"""\
name: coder
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: podman
egress: {{mode: listed, allow: [{allowed}]}}
limits: {{pids: {pids}}}
features:
  - plugin: custom-runtime
{chr(10).join(custom)}
"""
