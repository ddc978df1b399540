"""The real Claude Code on a subscription: it works, and the token never gets to it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from desk import make_desk
from internet import tell_address
from model import PROTOCOLS, serving
from sandboxes import FIRST_PORT, Box, trusted_authority
from test_agents import HELD

from companion.reconcile import certificates

pytestmark = [
    pytest.mark.engine,
    pytest.mark.one_engine,
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may serve on port 443"),
]

HOST, TOKEN = "api.anthropic.com", "sk-ant-oat01-canary-8d27"
CONFIG = """\
name: coder
runtime: claude-code
container_runtime: {engine}
egress: listed
features:
  - plugin: ssh
    port: {port}
  - plugin: claude-code
    oauth_token: ${{CLAUDE_CODE_OAUTH_TOKEN}}
"""
ASK = "claude -p 'RUN<<echo $((6*7))>>' --allowedTools Bash"


@pytest.fixture
def box(engine: str, tmp_path: Path) -> Iterator[Box]:
    """A sandbox of its own: no other one may reach a host that pretends to be Anthropic's."""
    desk = make_desk(tmp_path / "home", engines=True)
    text = CONFIG.format(engine=engine, port=FIRST_PORT[engine] + 9)
    box = Box(engine, desk, desk.project(text), {})
    try:
        yield box
    finally:
        box.companion("down", "--volumes")


def test_claude_code_works_on_a_subscription_whose_token_it_never_sees(box: Box):
    certificate = box.desk.home / "vendor.pem"
    authority = trusted_authority(box.desk)
    certificate.write_text(certificates.issue(authority, HOST, datetime.now(UTC)))
    box.bring_up()
    tell_address(box, HOST, box.bridge)
    revoked: set[str] = set()
    with serving(box.bridge, {HOST: certificate}, revoked) as arrived:
        told = "403 gateway: CLAUDE_CODE_OAUTH_TOKEN has no value: run `companion login`"
        assert told in box.ssh(ASK).out
        assert not arrived
        before = box.ids()
        where = ("-C", str(box.project))
        box.desk.companion(*where, "login", "coder", "--untested", stdin=TOKEN).ok()
        assert box.ids() == before, "it was restarted"
        assert "The command said: 42" in box.run(ASK)
        assert [path for path, _ in arrived if path.startswith(tuple(PROTOCOLS))]
        assert {key for _, keys in arrived for key in keys} == {TOKEN}
        held = box.run(f"{{ {HELD}; }} | tr -cd '[:print:]'")
        assert "CLAUDE_CODE_OAUTH_TOKEN=dummy" in held
        assert TOKEN not in held
        revoked.add(TOKEN)
        refused = box.ssh(ASK)
        assert refused.code == 1
        assert "401 Invalid bearer token" in refused.out + refused.err
