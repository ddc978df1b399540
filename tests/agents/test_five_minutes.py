"""README's five minutes in your repository, for real: from nothing to an agent's first answer.

With `--update`, what the user types and sees is kept in docs/five-minutes.md.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from desk import ROOT, Desk, make_desk
from internet import tell_address
from model import PROTOCOLS, serving
from sandboxes import Box, trusted_authority
from shell import Shell, at_terminal

from companion.reconcile import certificates

pytestmark = [
    pytest.mark.engine,
    pytest.mark.one_engine,
    pytest.mark.long,  # tests/engine/test_terminal.py is the short form: no answer, no vendor
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may serve on port 443"),
]

KEY, TOKEN = "sk-canary-openai-51f0", "sk-ant-oat01-canary-8d27"
VENDORS = ("api.openai.com", "api.anthropic.com")
FORGE = "github.com"
LOOPBACK = "127.0.0.9"
ASK = "Run `npm test --silent` and tell me what it says"
GREET = "Greet me"
"""In its usual mode, Claude Code asks a second model about each command."""
PACKAGE = {"name": "app", "version": "1.0.0", "scripts": {"test": "node test.js"}}
PLACE = Path("/home/ada")


@dataclass
class World:
    """A desk with a repository, and stand-ins for vendors."""

    desk: Desk
    top: Path
    pems: dict[str, Path]
    stack: ExitStack
    arrived: dict[str, list[tuple[str, set[str]]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    pages: list[str] = field(default_factory=list)

    def keep(self, title: str, *shown: str, about: str = "") -> None:
        """Keep what was shown, without the empty lines that fill a screen."""
        texts = (re.sub(r"\n{3,}", "\n\n", text) for text in shown)
        said = [f"{about}\n"] if about else []
        self.pages += [f"## {title}\n", *said, *(f"```text\n{text}\n```\n" for text in texts)]

    def took(self, name: str, since: float) -> str:
        """Record how long an agent's first answer took, and say so."""
        self.seconds[name] = time.monotonic() - since
        return f"{self.seconds[name]:.0f} seconds from the command to the first answer of {name}."

    def assert_only(self, secret: str, name: str) -> None:
        """Fail unless a model of the sandbox was asked, with this credential and no other."""
        asked = [keys for path, keys in self.arrived[name] if path.startswith(tuple(PROTOCOLS))]
        assert asked
        assert set().union(*asked) == {secret}

    @contextmanager
    def vendors_for(self, name: str) -> Iterator[None]:
        """Serve the vendors to a sandbox as soon as its gateway is there."""
        ended, ready = threading.Event(), threading.Event()
        thread = threading.Thread(target=self._serve, args=(name, ended, ready), daemon=True)
        thread.start()
        try:
            yield
            assert ready.wait(60), f"the gateway of {name} was not told of the vendors"
        finally:
            ended.set()
            thread.join()

    def _serve(self, name: str, ended: threading.Event, ready: threading.Event) -> None:
        """Wait for a sandbox and serve; what is not there yet is tried again."""
        where = self.desk.home / ".config/companion/sandboxes" / name
        while not ended.wait(0.2):
            with suppress(LookupError, OSError, ValueError, TypeError, AssertionError):
                told = self.desk.companion("-C", str(where), "status", "--json").agent
                box = Box("podman", self.desk, where, {}, id=project_of(self.desk, where))
                if name not in self.arrived:
                    served = serving(told["host_address"], {h: self.pems[h] for h in VENDORS})
                    self.arrived[name] = self.stack.enter_context(served)
                tell_address(box, " ".join(VENDORS), told["host_address"], name)
                ready.set()
                return


def project_of(desk: Desk, where: Path) -> str:
    files = (desk.home / ".local/state/companion/projects").glob("*/project.json")
    (name,) = (file.parent.name for file in files if str(where) in file.read_text())
    return name


class Proxy(BaseHTTPRequestHandler):
    """The desktop's way to the vendors, as companies have one."""

    def do_CONNECT(self) -> None:
        with socket.create_connection((LOOPBACK, 443)) as vendor:
            self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=pump, args=(vendor, self.connection), daemon=True)
            back.start()
            pump(self.connection, vendor)

    def log_message(self, *_: object) -> None:
        pass


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    home = tmp_path / "home"
    with ExitStack() as stack:
        if request.config.getoption("--update"):
            home = PLACE
            PLACE.mkdir()
            stack.callback(shutil.rmtree, PLACE)
        desk = make_desk(home, trusting=False, engines=True)
        desk.environment["DOCKER_HOST"] = f"unix://{tmp_path}/nothing"  # podman alone answers
        authority = trusted_authority(desk)
        pems = {host: tmp_path / f"{host}.pem" for host in VENDORS}
        for host, pem in pems.items():
            pem.write_text(certificates.issue(authority, host, datetime.now(UTC)))
        top = repository(desk)
        one = World(desk, top, pems, stack)
        served = serving(LOOPBACK, {host: pems[host] for host in VENDORS})
        one.arrived["desktop"] = stack.enter_context(served)
        proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        stack.callback(proxy.shutdown)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        desk.environment["HTTPS_PROXY"] = f"http://127.0.0.1:{proxy.server_port}"
        for name in ("app", "app-fix-login"):
            stack.callback(desk.companion, "remove", name, "--volumes", "--discard")
        yield one


def repository(desk: Desk) -> Path:
    top = desk.home / "code/app"
    top.mkdir(parents=True)
    (desk.home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.com\n")
    (top / "package.json").write_text(json.dumps(PACKAGE, indent=2))
    (top / "test.js").write_text('console.log("3 tests passed");\n')
    for words in (
        ("init", "-q", "-b", "main"),
        ("remote", "add", "origin", f"git@{FORGE}:ada/app.git"),
        ("add", "."),
        ("commit", "-qm", "Add the app"),
    ):
        subprocess.run(["git", *words], cwd=top, env=desk.environment, check=True)
    subprocess.run(["chown", "-R", "1000:1000", top], check=True)
    return top


def test_a_repository_has_an_agent_at_work_within_five_minutes(
    engine: str, world: World, tmp_path: Path, request: pytest.FixtureRequest
):
    assert engine == "podman"
    with at_terminal(world.desk, world.top, tmp_path / "tmux") as shell:
        codex_answers(world, shell)
        claude_answers_on_a_branch(world, shell)
        two_side_by_side(world, shell)
    for name, seconds in world.seconds.items():
        measured = f"{name}: {seconds:.0f} s from the command to the first answer"
        print(measured)  # noqa: T201 - what was measured is to be seen
    assert max(world.seconds.values()) < 300
    text = "\n".join(world.pages)
    assert not [secret for secret in (KEY, TOKEN) if secret in text]
    if request.config.getoption("--update"):
        head = (ROOT / "docs/five-minutes.md").read_text().partition("\n## ")[0]
        (ROOT / "docs/five-minutes.md").write_text(f"{head}\n{text}")


def codex_answers(world: World, shell: Shell) -> None:
    """One command, no YAML: Codex with an API key."""
    begin = time.monotonic()
    shell.clear()
    with world.vendors_for("app"):
        shell.type("companion run codex", "Enter")
        shell.expect("Start it? [Y/n]")
        shell.type("", "Enter")
        shell.expect("Log in now? [Y/n]")
        shell.type("", "Enter")
        shell.expect("Which one? [1]")
        shell.type("", "Enter")
        shell.expect("it is not shown")
        shell.type(KEY, "Enter")
        shell.expect("Trust this folder?", 280)
    shell.type("", "Enter")
    shell.expect("Ask Codex to do anything")
    shell.type(ASK)
    shell.type("", "Enter")
    shell.expect("The command said")
    shell.expect("3 tests passed", count=2)
    about = world.took("Codex", begin)
    answered = shell.screen()
    shell.type("", "C-b", "d")
    shell.expect("detached")
    world.keep("One command", shell.transcript(), answered, about=about)
    world.assert_only(KEY, "app")


def claude_answers_on_a_branch(world: World, shell: Shell) -> None:
    """Claude Code with a subscription token, on a branch of its own."""
    begin = time.monotonic()
    shell.clear()
    with world.vendors_for("app-fix-login"):
        shell.type("companion run claude --branch fix-login", "Enter")
        shell.expect("Start it? [Y/n]")
        shell.type("", "Enter")
        shell.expect("Log in now? [Y/n]")
        shell.type("", "Enter")
        shell.expect("Which one? [1]")
        number = re.search(r"(\d)\. .*subscription", shell.transcript())
        assert number
        shell.type(number[1], "Enter")
        shell.expect("it is not shown")
        shell.type(TOKEN, "Enter")
        shell.expect("Yes, I trust this folder", 280)
    shell.type("", "Down", "Enter")
    shell.expect("auto mode on")
    shell.type(GREET)
    shell.type("", "Enter")
    shell.expect("Hello.")
    about = world.took("Claude Code", begin)
    answered = shell.screen()
    shell.type("", "C-b", "d")
    shell.expect("detached")
    world.keep("Another agent on a branch of its own", shell.transcript(), answered, about=about)
    world.assert_only(TOKEN, "app-fix-login")


def two_side_by_side(world: World, shell: Shell) -> None:
    shell.clear()
    shell.type("companion list", "Enter")
    shell.expect("fix-login")
    shell.expect("ada@desk", count=2)
    world.keep("Two branches side by side", shell.transcript())
    listed = {one["agent"]: one for one in world.desk.companion("list", "--json").ok().data}
    assert listed["app-fix-login"]["branch"] == "fix-login"
