"""A desk with a repository, a forge for it, and stand-ins for the vendors of models."""

import json
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

from desk import Desk, make_desk
from git_server import GitServer
from internet import tell_address
from model import PROTOCOLS, serving
from sandboxes import Box, trusted_authority

from companion.reconcile import certificates
from companion.system import network

KEY, TOKEN, PUSHES = "sk-canary-openai-51f0", "sk-ant-oat01-canary-8d27", "ghp_canary5e11"
VENDORS = ("api.openai.com", "api.anthropic.com")
FORGE = "github.com"
LOOPBACK = "127.0.0.9"
SCRIPTS = {"test": "node test.js", "dev": "node server.js"}
PACKAGE = {"name": "app", "version": "1.0.0", "scripts": SCRIPTS}
PAGE = "<h1>It works</h1>"
SERVER = f"""\
const answer = (request, response) => response.end("{PAGE}");
require("http").createServer(answer).listen(3000, "127.0.0.1");
"""


@dataclass
class World:
    """A desk with a repository, and stand-ins for vendors."""

    desk: Desk
    top: Path
    pems: dict[str, Path]
    forge: GitServer
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
                tell_address(box, FORGE, self.forge.server_address[0], name)
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


@contextmanager
def newcomer(top: Path, place: Path) -> Iterator[World]:
    """Yield a world whose user has a home at a place, and end what runs in it."""
    with ExitStack() as stack:
        desk = make_desk(place, trusting=False, engines=True)
        stack.callback(shutil.rmtree, place)
        desk.environment["DOCKER_HOST"] = f"unix://{top}/nothing"  # podman alone answers
        authority = trusted_authority(desk)
        pems = {host: top / f"{host}.pem" for host in (*VENDORS, FORGE)}
        for host, pem in pems.items():
            pem.write_text(certificates.issue(authority, host, datetime.now(UTC)))
        forge = GitServer((network.outward_address(), 443), top / "forge", PUSHES, pems[FORGE])
        stack.callback(forge.shutdown)
        one = World(desk, repository(desk, forge), pems, forge, stack)
        served = serving(LOOPBACK, {host: pems[host] for host in VENDORS})
        one.arrived["desktop"] = stack.enter_context(served)
        proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        stack.callback(proxy.shutdown)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        desk.environment["HTTPS_PROXY"] = f"http://127.0.0.1:{proxy.server_port}"
        for name in ("app", "app-fix-login"):
            stack.callback(desk.companion, "remove", name, "--volumes", "--discard")
        stack.callback(desk.companion, "port", "app", "--stop")
        yield one


def repository(desk: Desk, forge: GitServer) -> Path:
    top = desk.home / "code/app"
    top.mkdir(parents=True)
    (desk.home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.com\n")
    (top / "package.json").write_text(json.dumps(PACKAGE, indent=2))
    (top / "test.js").write_text('console.log("3 tests passed");\n')
    (top / "server.js").write_text(SERVER)
    for words in (
        ("init", "-q", "-b", "main"),
        ("remote", "add", "origin", f"git@{FORGE}:ada/app.git"),
        ("add", "."),
        ("commit", "-qm", "Add the app"),
        ("push", "-q", str(forge.create("ada/app.git")), "main"),
    ):
        subprocess.run(["git", *words], cwd=top, env=desk.environment, check=True)
    subprocess.run(["chown", "-R", "1000:1000", top], check=True)
    return top
