"""What do all tests share? A real throw-away home, the real command, the real engines."""

import os
import re
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import forked
import hypothesis
import pytest
from desk import CANARY, Desk, answering, make_desk
from git_server import GitServer
from sandboxes import CONFIG, FIRST_PORT, Box, make_repository, trusted_authority
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

from companion.reconcile import certificates

pytest_plugins = ["proxied"]
LONG = 1800
"""Seconds that a test of full counts may take, on a machine that does other work besides."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-engines", default="", help="engines whose absence is a failure")
    parser.addoption("--update", action="store_true", help="rewrite the expected files")
    parser.addoption("--long", action="store_true", help="run the full counts")
    parser.addoption("--reach", action="store_true", help="run what needs another machine")


hypothesis.settings.register_profile(
    "steady",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "searching", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)


hypothesis.settings.register_profile(
    "noticing",
    hypothesis.settings.get_profile("steady"),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    report_multiple_bugs=False,
)


def pytest_configure(config: pytest.Config) -> None:
    """Try the same examples each time; only the long run searches for new ones.

    `make mutants` wants to know that a test fails, not the simplest reason why. And let programs
    heed an interrupt, which a shell has those ignore that it starts in the background.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    usual = "searching" if config.getoption("--long") else "steady"
    hypothesis.settings.load_profile("noticing" if "MUTANT_UNDER_TEST" in os.environ else usual)
    forked.wanted = not config.getoption("--long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Fast tests first; long ones only when asked for, and then they may take their time."""
    items.sort(key=lambda item: "engine" in item.keywords)
    for item in items:
        if "long" in item.keywords:
            item.add_marker(pytest.mark.timeout(LONG))
    if not config.getoption("--long") and not config.getoption("--reach"):
        for item in items:
            if "reach" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="a second machine: run `make test-reach`"))
    if not config.getoption("--long"):
        reason = "a long count, or enough on one engine: run `make test-long`"
        # Docker answers several times as fast as Podman.
        other = "podman" if "docker" in config.getoption("--require-engines") else "docker"
        for item in items:
            is_second = "one_engine" in item.keywords and _engine(item) == other
            if "long" in item.keywords or is_second:
                item.add_marker(pytest.mark.skip(reason=reason))


class ByEngine(LoadScopeScheduling):
    """With `pytest -n`: all tests of one engine, or of the cluster, in one worker.

    There they share a sandbox. Those of the cluster switch off its policies, or fill a namespace.
    """

    def _split_scope(self, nodeid: str) -> str:
        if "reach/test_kubernetes_" in nodeid or "reach/test_cluster_" in nodeid:
            return "cluster"
        engine = re.search(r"[\[-](podman|docker)[\]-]", nodeid)
        return engine[1] if engine else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return ByEngine(config, log)


def _engine(item: pytest.Item) -> str | None:
    return item.callspec.params.get("engine") if hasattr(item, "callspec") else None


@pytest.fixture
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    needed = "engine" in request.keywords or "reach" in request.keywords
    return make_desk(tmp_path / "home", engines=needed)


@pytest.fixture(scope="session", params=["podman", "docker"])
def engine(request: pytest.FixtureRequest) -> str:
    """The name of an engine that answers; each test that wants one runs on both."""
    name: str = request.param
    if name not in answering():
        reason = f"{name} does not answer: see `make test`, which installs and starts it"
        if name in request.config.getoption("--require-engines").split(","):
            pytest.fail(reason)
        pytest.skip(reason)
    return name


class Echo(BaseHTTPRequestHandler):
    """An upstream that remembers each request; below /ticks it says something for ever."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        seen = {k.lower(): v for k, v in self.headers.items()} | {":path": self.path}
        self.server.seen.append(seen)  # type: ignore[attr-defined]
        if self.path.startswith("/ticks"):
            self._tick()
            return
        body = b"echo"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _tick(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b"tick\n")
                time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def upstream() -> Iterator[Callable[[str, int, Path | None], list[dict[str, str]]]]:
    """Start upstreams on addresses of this machine; returns the list of requests each has seen."""
    servers: list[ThreadingHTTPServer] = []

    def serve(address: str, port: int, certificate: Path | None) -> list[dict[str, str]]:
        server = ThreadingHTTPServer((address, port), Echo)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.seen = []  # type: ignore[attr-defined]
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.seen  # type: ignore[attr-defined,no-any-return]

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def box(
    engine: str,
    tmp_path_factory: pytest.TempPathFactory,
    upstream: Callable[..., list[dict[str, str]]],
) -> Iterator[Box]:
    """Bring a sandbox up, serve its upstreams, and take it down at the end."""
    desk = make_desk(tmp_path_factory.mktemp(engine) / "home", engines=True)
    authority = trusted_authority(desk)
    values = f"ONE={CANARY}-one\nTWO={CANARY}-two\nTHREE={CANARY}-three$\n"
    project = desk.project(CONFIG.format(engine=engine, port=FIRST_PORT[engine]), __env=values)
    overlay = project / "overlay/.config/tool"
    overlay.mkdir(parents=True)
    (overlay / "settings").write_text("from the project\n")
    make_repository(project / "work")
    box = Box(engine, desk, project, {})
    try:
        box.bring_up()
        _serve(box, upstream, authority, desk.home)
        yield box
    finally:
        if box.git:
            box.git.shutdown()
            box.git.server_close()
        box.companion("down", "--volumes")


def _serve(
    box: Box,
    upstream: Callable[..., list[dict[str, str]]],
    authority: certificates.Authority,
    home: Path,
) -> None:
    good, bad = home / "good.pem", home / "bad.pem"
    now = datetime.now(UTC)
    good.write_text(certificates.issue(authority, "host.containers.internal", now))
    bad.write_text(
        certificates.issue(certificates.new_authority(now), "host.containers.internal", now)
    )
    for port, certificate in (
        (81, None),
        (8000, None),
        (8001, None),
        (443, good),
        (8443, good),
        (8444, bad),
        (8099, None),
    ):
        box.seen[port] = upstream(box.bridge, port, certificate)
    (home / "git").mkdir()
    box.git = GitServer((box.bridge, 8450), home / "git", f"{CANARY}-one", good)
