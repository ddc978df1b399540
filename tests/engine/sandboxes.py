"""What do the engine tests share? One sandbox per engine, up once, with real upstreams."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ports
from desk import Desk, Done
from git_server import GitServer

from companion.reconcile import certificates
from companion.reconcile.host_facts import DEFAULT_UID
from companion.spec.containers import INGRESS

FIRST_PORT = {"podman": ports.block(2300), "docker": ports.block(2400)}
"""Engine → the first of the ports for sandboxes that live long. Its tests run beside the other's:
a port that is free for a moment, as its gateway is replaced, must not be chosen there."""
SERVICES = ("coder", "coder-net", "coder-gateway", "coder-ingress")
CONFIG = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: {engine}
egress:
  mode: listed
  allow: [listed.test, "*.wild.test"]
features:
  - plugin: ssh
    port: {port}
  - plugin: github-pat
    token: ${{THREE}}
    domains: [host.containers.internal]
  - plugin: git
    name: Ada Lovelace
    email: ada@example.com
    push: {{"host.containers.internal:8450": {{token: "${{ONE}}", kind: gitea}}}}
    sign: true
  - plugin: external-services
    services:
      - url: http://host.containers.internal:8000/v1
        headers: {{Authorization: "Bearer ${{ONE}}"}}
      - url: http://host.containers.internal:8001
        headers: {{X-Key: "${{TWO}}"}}
      - url: https://host.containers.internal:8443
        headers: {{Authorization: 'odd "%[env(X)]\\ ${{THREE}}'}}
      - url: https://host.containers.internal:8444
  - plugin: custom-runtime
    home_override: overlay
    runtime_volumes: ["./work:{{{{ .AGENT_HOME }}}}/work"]
"""


@dataclass
class Box:
    """A running sandbox on one engine."""

    name: str
    desk: Desk
    project: Path
    seen: dict[int, list[dict[str, str]]]
    git: GitServer | None = None
    alias: str = ""
    port: int = 0
    bridge: str = ""
    ingress: str = ""
    id: str = ""

    def bring_up(self) -> None:
        """Bring it up for the first time, and learn where it is."""
        data = self.companion("up", "--yes", "--json").ok().agent
        self.alias, self.port = data["alias"], data["ssh_port"]
        self.bridge = self.companion("status", "--json").ok().agent["host_address"]
        state = self.desk.home / ".local/state/companion/projects"
        self.id = next(p.parent.name for p in state.glob("*/project.json"))
        head, last = self.bridge.rsplit(".", 1)
        self.ingress = f"{head}.{int(last) + INGRESS - 1}"

    def companion(self, *arguments: str) -> Done:
        return self.desk.companion("-C", str(self.project), *arguments)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return self.desk.start("-C", str(self.project), *arguments)

    def ssh(self, command: str) -> Done:
        return self.desk.ssh(self.alias, command)

    def run(self, command: str) -> str:
        return self.ssh(command).ok().out.strip()

    def engine(self, *arguments: str) -> str:
        done = subprocess.run([self.name, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def container(self, service: str) -> str:
        return f"{self.id}-{service}"

    def inspect(self, service: str) -> Any:
        return json.loads(self.engine("inspect", self.container(service)))[0]

    def ids(self) -> dict[str, str]:
        """Return service → container id and start time."""
        found = {s: self.inspect(s) for s in SERVICES}
        return {s: data["Id"] + data["State"]["StartedAt"] for s, data in found.items()}

    def status_of(self, pid: int, service: str) -> dict[str, str]:
        text = self.engine("exec", self.container(service), "cat", f"/proc/{pid}/status")
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    @property
    def known_hosts(self) -> Path:
        return self.desk.home / ".local/share/companion/ssh/known_hosts"

    @property
    def agent_state(self) -> Path:
        return self.desk.home / ".local/state/companion/projects" / self.id / "coder"

    def config_text(self) -> str:
        return (self.project / "agent.yaml").read_text()

    @contextlib.contextmanager
    def changed(self, addition: str) -> Iterator[None]:
        """Add lines to the config for a while."""
        kept = self.config_text()
        (self.project / "agent.yaml").write_text(kept + addition)
        try:
            yield
        finally:
            (self.project / "agent.yaml").write_text(kept)


def make_repository(directory: Path) -> None:
    """Make a git repository that belongs to the agent's user."""
    subprocess.run(["git", "init", "-q", "-b", "main", directory], check=True)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", str(DEFAULT_UID), directory], check=True)


def trusted_authority(desk: Desk) -> certificates.Authority:
    """Make a CA that the desk's gateways trust for upstreams."""
    authority = certificates.new_authority(datetime.now(UTC))
    trusted = desk.home / "trusted.pem"
    trusted.write_text(authority.certificate)
    settings = desk.home / ".config/companion/settings.yaml"
    known = settings.read_text() if settings.exists() else ""
    settings.write_text(f'{known}trusted_certificates: ["{trusted}"]\n')
    return authority


def wait_until(
    condition: Callable[[], bool], seconds: float = 60, tell: Callable[[], str] = str
) -> None:
    """Wait; when it does not come true, fail with what `tell` has to say."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen in time: {tell()}"
        time.sleep(0.05)
