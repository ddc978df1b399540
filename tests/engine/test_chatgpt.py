"""The real Codex on a ChatGPT plan: OpenAI's servers stand on this machine, by their names."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from chatgpt_server import CANARY, OpenAI, openai_servers
from desk import make_desk
from internet import tell_address
from mcp_server import give_browser
from sandboxes import FIRST_PORT, SERVICES, Box

pytestmark = [
    pytest.mark.engine,
    pytest.mark.one_engine,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may serve on port 443"),
]

CONFIG = """\
name: coder
runtime: codex
container_runtime: {engine}
egress: listed
features:
  - plugin: ssh
    port: {port}
  - {{plugin: codex, login: chatgpt}}
"""
ASK = "codex exec --skip-git-repo-check 'Say hello.'"
MINE = (
    "curl -sS -m 8 -H 'Authorization: Bearer mine' -H 'ChatGPT-Account-Id: mine'"
    " https://api.openai.com/v1/models"
)
TRACES = (CANARY, base64.b64encode(CANARY.encode()).decode()[:12])


@pytest.fixture
def box(engine: str, tmp_path: Path) -> Iterator[Box]:
    """A sandbox of its own: no other one may reach a host that pretends to be OpenAI's."""
    desk = make_desk(tmp_path / "home", engines=True)
    text = CONFIG.format(engine=engine, port=FIRST_PORT[engine] + 8)
    box = Box(engine, desk, desk.project(text), {})
    give_browser(desk)
    try:
        yield box
    finally:
        box.companion("down", "--volumes")


def test_codex_works_on_a_chatgpt_plan_whose_tokens_it_never_sees(box: Box):
    box.bring_up()
    with openai_servers(box.desk, box.bridge, 443) as openai:
        tell_address(box, "api.openai.com", box.bridge)
        before = box.ids()
        assert "no valid token for ChatGPT: run `companion login`" in box.run(MINE)
        assert not openai.asked
        box.companion("login", "coder").ok()
        assert '"slug": "m"' in box.run(MINE)
        assert "Hello." in box.ssh(ASK).ok().out
        assert openai.unfit == []
        assert {turn["authorization"] for turn in openai.turns()} == bearers(openai)
        named = {name for _, headers, _ in openai.asked for name in headers}
        assert "chatgpt-account-id" not in named
        assert "Bearer mine" not in {h.get("authorization") for _, h, _ in openai.asked}
        assert box.ids() == before
        is_nowhere(box)


def bearers(openai: OpenAI) -> set[str]:
    return {f"Bearer {token}" for token in openai.access}


def is_nowhere(box: Box) -> None:
    """Fail if a token can be found in the agent, or in what engine and companion show of it."""
    patterns = "|".join(f"{trace[:-1]}[{trace[-1]}]" for trace in TRACES)
    inside = box.ssh(
        "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n';"
        f" grep -rsE '{patterns}' / --exclude-dir=proc --exclude-dir=sys; ls ~/.codex"
    ).out
    assert "sessions" in inside, "what Codex keeps of its session was not seen"
    assert "auth.json" not in inside
    said = [inside, box.companion("logs", "coder", "-v").out]
    said += [box.engine("inspect", box.container(s)) for s in SERVICES]
    assert not [text for text in said for trace in TRACES if trace in text]
