"""The other real agents, opencode and Gemini CLI: they work, and the key never gets to them."""

import os
import re
from collections.abc import Iterator

import pytest
from acp import over_ssh
from desk import make_desk
from model import TOLD
from sandboxes import wait_until
from test_agents import HELD, KEYS, Kind, World, agents_up, only_its_key_arrived

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long,
    pytest.mark.one_engine,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may serve on port 443"),
]

ASK = "RUN<<expr 6 '*' 7; id -un; hostname>>"
KINDS = (
    Kind(
        name="opencode",
        options='provider_keys: {anthropic: "${ANTHROPIC}"}',
        maker="ANTHROPIC",
        asked=("opencode", "run", ASK),
        adapter="opencode acp",
        greets="",
    ),
    Kind(
        name="gemini-cli",
        options='api_key: "${GOOGLE}"',
        maker="GOOGLE",
        asked=("gemini", "--yolo", "-p", ASK),
        adapter="gemini --acp",
        greets="",
    ),
)


@pytest.fixture(scope="module")
def world(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("more") / "home"
    with agents_up(engine, make_desk(home, engines=True), KINDS) as one:
        yield one


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_it_runs_a_command_for_its_model_and_no_key_is_inside(world: World, kind: Kind):
    world.arrived[kind.name].clear()
    for said in (world.execute(kind, *kind.asked), world.ssh(kind, *kind.asked)):
        assert "The command said:" in said
        assert all(word in said for word in ("42", "agent", kind.name))
    assert TOLD in world.arrived[kind.name]
    with over_ssh(world.desk, f"{kind.name}.sandbox", kind.adapter) as agent:
        assert agent.prompt("/home/agent", ASK) == "end_turn"
        held = world.ssh(kind, "sh", "-c", f"{{ {HELD}; }} | tr -cd '[:print:]'")
    assert "The command said:" in agent.said
    assert only_its_key_arrived(world, kind)
    assert "HOME=/home/agent" in held
    assert not [key for key in KEYS.values() if key in held]


def test_the_desktop_sees_that_gemini_cli_works_is_done_and_ended(world: World):
    kind = KINDS[1]
    world.execute(kind, *kind.asked)
    logs = ("-C", str(world.fleet), "logs", kind.name, "-v")
    wait_until(lambda: "attention-ended" in world.desk.companion(*logs).ok().out)
    words = re.findall(r"why=attention-(\w+)", world.desk.companion(*logs).ok().out)
    assert words.index("busy") < words.index("done") < words.index("ended")
