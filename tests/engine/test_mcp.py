"""An MCP server behind a real gateway: authorized once, its token renewed, never in the agent."""

import base64
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from connect_proxy import led
from desk import COMPANION, make_desk
from mcp_server import CANARY, give_browser, mcp_server
from sandboxes import FIRST_PORT, SERVICES, Box, trusted_authority, wait_until

from companion.reconcile import certificates

pytestmark = [pytest.mark.engine, pytest.mark.one_engine]

HOST, PORT = "host.containers.internal", 8463
URL = f"https://{HOST}:{PORT}/mcp"
CONFIG = f"""\
name: coder
runtime: {{{{base_image: "debian:bookworm-slim"}}}}
container_runtime: {{engine}}
egress: listed
features:
  - plugin: ssh
    port: {{port}}
  - plugin: mcp-oauth
    providers:
      notion: {{{{mcp_url: {URL}}}}}
"""
ASK = f"curl -sS -m 8 -H 'Authorization: Bearer mine' {URL}"


@pytest.fixture
def box(engine: str, tmp_path: Path) -> Iterator[Box]:
    desk = make_desk(tmp_path / "home", engines=True)
    authority = trusted_authority(desk)
    certificate = desk.home / "server.pem"
    certificate.write_text(certificates.issue(authority, HOST, datetime.now(UTC)))
    give_browser(desk)
    text = CONFIG.format(engine=engine, port=FIRST_PORT[engine] + 2)
    box = Box(engine, desk, desk.project(text), {})
    try:
        box.bring_up()
        yield box
    finally:
        box.companion("down", "--volumes")


def test_an_mcp_server_gets_the_token_and_the_agent_never_sees_one(box: Box, tmp_path: Path):
    certificate = box.desk.home / "server.pem"
    with (
        mcp_server(certificate, HOST, box.bridge, PORT) as mcp,
        led(box.desk, (box.bridge, PORT), f"{HOST}:{PORT}"),
        box.start("exec", "coder", "--", "sleep", "1000") as session,
    ):
        try:
            before = box.ids()
            told = "no valid token for notion: run `companion oauth notion` on the desktop"
            assert box.run(ASK) == f"gateway: {told}"
            assert not mcp.asked
            mcp.lifetime = 10
            box.companion("oauth", "notion").ok()
            (first,) = mcp.access
            assert "result" in box.run(ASK)
            assert mcp.bearers()[-1] == f"Bearer {first}"
            log = box.desk.home / "watch.log"
            with watching(box, log):
                wait_until(lambda: len(mcp.access) >= 2, tell=log.read_text)
                mcp.lifetime = 3600
                wait_until(
                    lambda: "renewed the token for notion" in log.read_text(),
                    30,
                    tell=log.read_text,
                )
                wait_until(lambda: newest(box) == list(mcp.access)[-1], tell=log.read_text)
            second = newest(box)
            assert "result" in box.run(ASK)
            assert mcp.bearers()[-1] == f"Bearer {second}" != f"Bearer {first}"
            assert "Bearer mine" not in mcp.bearers()
            assert box.ids() == before
            assert session.poll() is None
            is_nowhere(box, tmp_path, log)
        finally:
            session.kill()


@contextmanager
def watching(box: Box, log: Path) -> Iterator[None]:
    with log.open("w") as out:
        argv = [COMPANION, "watch"]
        child = subprocess.Popen(argv, env=box.desk.environment, stdout=out, stderr=out)
    try:
        yield
    finally:
        child.terminate()
        child.wait(timeout=60)


def _secret(box: Box) -> Path:
    (file,) = (box.agent_state / "secrets").glob("oauth.notion.*")
    return file


def newest(box: Box) -> str:
    return base64.b64decode(_secret(box).read_text()).decode()


def is_nowhere(box: Box, tmp_path: Path, log: Path) -> None:
    """Fail if a token can be found in the agent, or in what engine and companion show of it."""
    traces = (CANARY, base64.b64encode(CANARY.encode()).decode()[:12])
    assert traces[1] in _secret(box).read_text()
    inside = box.ssh(
        "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n';"
        f" grep -rsE '{'|'.join(f'{t[:-1]}[{t[-1]}]' for t in traces)}' /"
        " --exclude-dir=proc --exclude-dir=sys"
    ).out
    said = [inside, box.companion("logs", "coder", "-v").out, log.read_text()]
    said += [box.engine("inspect", box.container(s)) for s in SERVICES]
    state = box.desk.home / ".local/state/companion"
    files = [p for p in state.rglob("*") if p.is_file() and p.parent.name != "secrets"]
    files += [p for p in box.project.rglob("*") if p.is_file()]
    said += [path.read_text(errors="replace") for path in files]
    assert not [text for text in said for trace in traces if trace in text]
