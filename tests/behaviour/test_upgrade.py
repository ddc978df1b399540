"""How are agents' programs raised to newer versions? A registry on this machine tells which."""

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from desk import Desk

from companion.reconcile import certificates

NEWEST = {"@openai/codex": "9.10.0", "opencode-ai": "0.0.1", "pi-acp": "oops"}


class Tags(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.replace("%2F", "/")
        package = path.removeprefix("/-/package/").removesuffix("/dist-tags")
        version = NEWEST.get(package)
        body = json.dumps({"latest": version, "alpha": "99.0.0-alpha"}).encode()
        self.send_response(200 if version else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry(desk: Desk, tmp_path: Path) -> Iterator[str]:
    """Serve a registry that the desk's settings name."""
    authority = certificates.new_authority(datetime.now(UTC))
    pem, own = tmp_path / "registry.pem", tmp_path / "trusted.pem"
    pem.write_text(certificates.issue(authority, "localhost", datetime.now(UTC)))
    own.write_text(authority.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tags)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = desk.home / ".config/companion/settings.yaml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    known = settings.read_text() if settings.exists() else ""
    url = f"https://localhost:{server.server_port}"
    settings.write_text(f'{known}npm_registry: {url}\ntrusted_certificates: ["{own}"]\n')
    yield url
    server.shutdown()
    server.server_close()


def test_a_newer_version_is_written_into_agent_yaml_and_older_ones_are_not(
    desk: Desk, registry: str
):
    keys = "provider_keys: {openai: '${A}'}"
    text = f"name: coder\nruntime: codex   # mine\nfeatures: [{{plugin: opencode, {keys}}}]\n"
    project = desk.project(text)
    run = ("-C", str(project), "upgrade")
    seen = desk.companion(*run, "--check", "--json")
    assert seen.code == 4
    assert [(u["package"], u["after"]) for u in seen.data["upgrades"]] == [
        ("@openai/codex", "9.10.0")
    ]
    assert (project / "agent.yaml").read_text() == text
    done = desk.companion(*run).ok()
    assert "coder: @openai/codex " in done.err
    assert "→ 9.10.0" in done.err
    changed = text.replace("codex ", "{name: codex, version: 9.10.0} ", 1)
    assert (project / "agent.yaml").read_text() == changed
    assert desk.companion(*run).ok().out == "everything is current\n"
    desk.companion(*run, "coder", "--to", "0.170.0").ok()
    assert (project / "agent.yaml").read_text() == changed.replace("9.10.0", "0.170.0")


@pytest.mark.parametrize(
    ("runtime", "said"),
    [
        ("pi", "did not name a version of @earendil-works/pi-coding-agent (status 404)"),
        ("{base_image: debian}", "coder has no program whose version Companion could raise"),
    ],
)
def test_a_failure_is_one_message_and_changes_nothing(
    desk: Desk, registry: str, runtime: str, said: str
):
    text = f"name: coder\nruntime: {runtime}\n"
    project = desk.project(text)
    done = desk.companion("-C", str(project), "upgrade")
    assert done.code == 1
    assert said in done.err
    assert (project / "agent.yaml").read_text() == text


@pytest.mark.parametrize("version", ["", "1.2.3; id", "--version", "a b", "x" * 80])
def test_a_version_that_is_none_is_refused(desk: Desk, version: str):
    text = f"name: coder\nruntime: {{name: codex, version: '{version}'}}\n"
    done = desk.companion("-C", str(desk.project(text)), "validate")
    assert done.code == 1
    assert "'version' must be a version such as 1.2.3, or latest" in done.err
