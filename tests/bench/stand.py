"""What is measured: a sandbox that is watched, on an engine whose every call is written down."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from desk import COMPANION, Desk, make_desk
from panel import until
from sandboxes import SERVICES

from ssh import probe
from ssh.connection import by_tcp

CONFIG = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim", cmd: [sleep, infinity]}}
container_runtime: {engine}
egress: listed
features:
  - plugin: ssh
  - plugin: external-services
    services:
      - url: http://host.containers.internal:8000
        headers: {{Authorization: "${{KEY}}"}}
  - plugin: custom-runtime
    commands: ["true"]
"""


@dataclass
class Stand:
    """A sandbox that is watched, on an engine whose every call is written down."""

    engine: str
    desk: Desk
    project: Path
    calls: Path
    log: Path
    alias: str
    port: int
    watcher: "subprocess.Popen[bytes]"

    @property
    def config(self) -> Path:
        return self.project / "agent.yaml"

    def save(self, path: Path, text: str) -> float:
        """Save as editors do; return when."""
        new = path.with_suffix(".new")
        new.write_text(text)
        now = time.time()
        new.replace(path)
        return now

    def counted(self, word: str) -> int:
        return self.log.read_text().count(word)

    def after(self, word: str, act: Callable[[], float]) -> float:
        """Do something and return the seconds until the watcher says a word once more."""
        before, begin = self.counted(word), act()
        until(lambda: self.counted(word) > before, 300)
        return time.time() - begin

    def run(self, *arguments: str) -> float:
        begin = time.perf_counter()
        subprocess.run([self.engine, *arguments], check=True, capture_output=True)
        return time.perf_counter() - begin

    def login(self) -> None:
        """Log in as companion does when it looks whether a sandbox is ready."""
        data = self.desk.home / ".local/share/companion/ssh"
        pins = (line.split(None, 1) for line in (data / "known_hosts").read_text().splitlines())
        pin = next(key for name, key in pins if name == self.alias)
        key = data / "keys" / self.alias
        where = by_tcp("127.0.0.1", self.port)
        probe.wait_for_login(where, "agent", key, pin, deadline=time.monotonic() + 30)


@contextmanager
def stand(engine: str, top: Path) -> Iterator[Stand]:
    """Bring a sandbox up and watch it."""
    desk, calls = make_desk(top / "home", engines=True), top / "calls"
    wrapper, real = top / "bin" / engine, shutil.which(engine)
    wrapper.parent.mkdir()
    script = f'#!/bin/sh\n{{ printf "%s\\037" "$@"; echo; }} >>{calls}\nexec {real} "$@"\n'
    wrapper.write_text(script)
    wrapper.chmod(0o755)
    desk.environment["PATH"] = f"{wrapper.parent}:{desk.environment['PATH']}"
    project = desk.project(CONFIG.format(engine=engine), __env="KEY=first\n")
    there = ("-C", str(project))
    try:
        up = desk.companion(*there, "up", "--yes", "--json").ok().agent
        log = top / "watch.log"
        with log.open("wb") as out:
            argv = [COMPANION, "watch"]
            watcher = subprocess.Popen(argv, env=desk.environment, stdout=out, stderr=out)
        made = Stand(engine, desk, project, calls, log, up["alias"], up["ssh_port"], watcher)
        try:
            until(lambda: made.counted("nothing to do"), 60)
            time.sleep(3)  # the witness's early look
            yield made
        finally:
            watcher.terminate()
            watcher.wait()
    finally:
        desk.companion("remove", str(project), "--volumes")


def ident(here: Stand) -> str:
    return next((here.desk.home / ".local/state/companion/projects").iterdir()).name


def started(here: Stand) -> str:
    names = [f"{ident(here)}-{service}" for service in SERVICES]
    argv = [here.engine, "inspect", "--format", "{{.State.StartedAt}}", *names]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def calls_of(here: Stand) -> list[list[str]]:
    return [line.split("\037")[:-1] for line in here.calls.read_text().splitlines()]


def build_arguments(here: Stand) -> dict[str, str]:
    """Return the build arguments of the agent's last build."""
    call = next(c for c in reversed(calls_of(here)) if c[:1] == ["build"])
    pairs = [call[i + 1] for i, word in enumerate(call) if word == "--build-arg"]
    return dict(pair.split("=", 1) for pair in pairs)


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fastest(argv: list[str], environment: Mapping[str, str] = os.environ) -> float:
    compiled = {k: v for k, v in environment.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def once() -> float:
        begin = time.perf_counter()
        subprocess.run(argv, env=compiled, check=True, capture_output=True)
        return time.perf_counter() - begin

    return min(once() for _ in range(10))
