"""The real agents in sandboxes of ours: they work, and the key never gets to them."""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from acp import over_ssh
from desk import COMPANION, Desk, make_desk
from internet import tell_address
from model import PROTOCOLS, TOLD, serving
from sandboxes import Box, trusted_authority, wait_until

from companion.reconcile import certificates

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may serve on port 443"),
]

KEYS = {
    "OPENAI": "sk-canary-openai-51f0",
    "ANTHROPIC": "sk-canary-anthropic-8d27",
    "GOOGLE": "sk-canary-google-77c1",
}
HOSTS = {
    "OPENAI": "api.openai.com",
    "ANTHROPIC": "api.anthropic.com",
    "GOOGLE": "generativelanguage.googleapis.com",
}
FLEET = """\
agents: [{agents}]
shared:
  container_runtime: {engine}
  egress: listed
  features:
    - {{plugin: ssh}}
    - {{plugin: mcp-oauth, providers: {{notes: {{mcp_url: "https://mcp.test/notes"}}}}}}
"""
CONFIG = """\
name: {name}
runtime: {name}
features:
  - {{plugin: {name}, {options}}}
"""
ASK = "RUN<<echo $((6*7)) by $(id -un) in $(hostname)>>"
ASK_FIRST = "RUN<<touch ~/made-by-permission>>"
HELD = "cat /proc/[0-9]*/environ 2>/dev/null; find ~ -type f -exec cat {} +"
WHERE = "\x1b[6n"
"""How a program asks a terminal where its cursor is; some do not go on without an answer."""
CONTROLS = re.compile(r"\x1b\[[0-9;?<>=]*[ -/]*[a-zA-Z]|\x1b\][^\x07\x1b]*(\x07|\x1b\\\\)|\x1b.")


@dataclass(frozen=True)
class Kind:
    """One of the agents: its options, how it is asked once, and what it shows when it starts.

    In an editor it is asked in a mode, where its usual one wants another model besides.
    """

    name: str
    options: str
    maker: str
    asked: tuple[str, ...]
    adapter: str
    greets: str
    mode: str = ""


KINDS = (
    Kind(
        name="codex",
        options='api_key: "${OPENAI}"',
        maker="OPENAI",
        asked=("codex", "exec", "--skip-git-repo-check", ASK),
        adapter="codex-acp",
        greets="Ask Codex to do anything",
    ),
    Kind(
        name="claude-code",
        options='api_key: "${ANTHROPIC}"',
        maker="ANTHROPIC",
        asked=("claude", "-p", ASK, "--allowedTools", "Bash"),
        adapter="claude-agent-acp",
        greets="Yes, I trust this folder",
        mode="default",  # in "auto", a model decides what is allowed
    ),
    Kind(
        name="pi",
        options='providers: [openai], provider_keys: {openai: "${OPENAI}"}',
        maker="OPENAI",
        asked=("pi", "-p", ASK),
        adapter="pi-acp",
        greets="(auto) gpt",
    ),
)


@dataclass
class World:
    """A fleet of all agents, and the keys that arrived at their models."""

    desk: Desk
    fleet: Path
    arrived: dict[str, list[tuple[str, set[str]]]]

    def execute(self, kind: Kind, *command: str) -> str:
        run = ("-C", str(self.fleet), "exec", kind.name, "--", *command)
        return self.desk.companion(*run).ok().out

    def ssh(self, kind: Kind, *command: str) -> str:
        return self.desk.ssh(f"{kind.name}.sandbox", shlex.join(command)).ok().out

    def shell(self, kind: Kind, *command: str) -> str:
        """Type it into a login shell on a terminal."""
        line = f"{shlex.join(command)}; exit\n"
        argv = ["ssh", "-tt", "-F", self.desk.home / ".ssh/config", f"{kind.name}.sandbox"]
        typed = {"input": line, "capture_output": True, "text": True, "timeout": 60}
        return subprocess.run(argv, check=True, env=self.desk.environment, **typed).stdout


@pytest.fixture(scope="module")
def world(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Bring all agents up once, with models on this machine under the names of the real ones."""
    home = tmp_path_factory.mktemp(f"agents-{engine}") / "home"
    with agents_up(engine, make_desk(home, engines=True)) as one:
        yield one


@contextmanager
def agents_up(engine: str, desk: Desk, kinds: Sequence[Kind] = KINDS) -> Iterator[World]:
    """Bring agents up, each with models under the names of the real ones."""
    shown = certificates_of(desk)
    fleet = desk.home / "team"
    for kind in kinds:
        (fleet / kind.name).mkdir(parents=True)
        text = CONFIG.format(name=kind.name, options=kind.options)
        (fleet / kind.name / "agent.yaml").write_text(text)
    (fleet / "fleet.yaml").write_text(
        FLEET.format(engine=engine, agents=", ".join(k.name for k in kinds))
    )
    (fleet / ".env").write_text("".join(f"{maker}={key}\n" for maker, key in KEYS.items()))
    with ExitStack() as stack:
        stack.callback(desk.companion, "-C", str(fleet), "down", "--volumes")
        desk.companion("-C", str(fleet), "up", "--yes").ok()
        (project,) = (desk.home / ".local/state/companion/projects").iterdir()
        box, arrived = Box(engine, desk, fleet, {}, id=project.name), {}
        for one in desk.companion("-C", str(fleet), "status", "--json").ok().data["agents"]:
            name, address = one["agent"], one["host_address"]
            tell_address(box, " ".join(HOSTS.values()), address, name)
            arrived[name] = stack.enter_context(serving(address, shown))
        yield World(desk, fleet, arrived)


def certificates_of(desk: Desk) -> dict[str, Path]:
    """Return host → its certificate, of a CA that the desk's gateways trust."""
    authority = trusted_authority(desk)
    found = {host: desk.home / f"{host}.pem" for host in HOSTS.values()}
    for host, path in found.items():
        path.write_text(certificates.issue(authority, host, datetime.now(UTC)))
    return found


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest, world: World) -> Kind:
    kind: Kind = request.param
    world.arrived[kind.name].clear()
    return kind


def only_its_key_arrived(world: World, kind: Kind) -> bool:
    """Tell whether its model was asked, and every request had the key that the agent has not."""
    arrived = world.arrived[kind.name]
    asked = [path for path, _ in arrived if path.startswith(tuple(PROTOCOLS))]
    return bool(asked) and {key for _, keys in arrived for key in keys} == {KEYS[kind.maker]}


@pytest.mark.parametrize("way", [World.execute, World.ssh, World.shell], ids=lambda w: w.__name__)
def test_an_agent_runs_a_command_for_its_model(world: World, kind: Kind, way: Callable[..., str]):
    said = way(world, kind, *kind.asked)
    assert "The command said:" in said
    assert f"42 by agent in {kind.name}" in said
    assert TOLD in world.arrived[kind.name]
    assert only_its_key_arrived(world, kind)


def test_an_editor_talks_with_it_and_no_key_is_inside_meanwhile(world: World, kind: Kind):
    with over_ssh(world.desk, f"{kind.name}.sandbox", kind.adapter) as agent:
        assert agent.prompt("/home/agent", ASK, kind.mode) == "end_turn"
        held = world.ssh(kind, "sh", "-c", f"{{ {HELD}; }} | tr -cd '[:print:]'")
    assert "The command said:" in agent.said
    assert f"42 by agent in {kind.name}" in agent.said
    assert only_its_key_arrived(world, kind)
    assert "HOME=/home/agent" in held
    assert ASK in held, "what the agent keeps of its session was not seen"
    assert not [key for key in KEYS.values() if key in held]


def test_the_desktop_sees_that_it_is_done_and_that_it_ended(world: World, kind: Kind):
    with watched(world), over_ssh(world.desk, f"{kind.name}.sandbox", kind.adapter) as agent:
        assert agent.prompt("/home/agent", ASK, kind.mode) == "end_turn"
        wait_until(lambda: attention(world, kind) == "done")
        world.execute(kind, *kind.asked)
        wait_until(lambda: attention(world, kind) is None)


def test_the_desktop_sees_that_it_waits_for_a_permission(world: World):
    kind, seen = KINDS[1], []

    def look() -> None:
        wait_until(lambda: attention(world, kind) == "waiting")
        seen.append("waiting")

    with watched(world), over_ssh(world.desk, f"{kind.name}.sandbox", kind.adapter) as agent:
        agent.asked = look
        assert agent.prompt("/home/agent", ASK_FIRST, kind.mode) == "end_turn"
        wait_until(lambda: attention(world, kind) == "done")
    assert seen == ["waiting"]


@contextmanager
def watched(world: World) -> Iterator[None]:
    """Run companion watch, and wait until it has seen every agent."""
    log = world.desk.home / f"watch-{time.monotonic_ns()}.log"
    with log.open("w") as out:
        child = subprocess.Popen(
            [COMPANION, "watch"], env=world.desk.environment, stdout=out, stderr=out
        )
    try:
        wait_until(lambda: log.read_text().count("nothing to do") == len(KINDS))
        yield
    finally:
        child.terminate()
        child.wait(timeout=60)


def attention(world: World, kind: Kind) -> str | None:
    found = world.desk.companion("-C", str(world.fleet), "status", "--json").ok().data["agents"]
    return next(one["attention"] for one in found if one["agent"] == kind.name)


def test_it_starts_on_a_terminal_without_asking_for_an_account(world: World, kind: Kind):
    argv = ["ssh", "-tt", "-F", world.desk.home / ".ssh/config", f"{kind.name}.sandbox"]
    command = f"cd $(mktemp -d -p ~); stty rows 40 cols 110; {kind.asked[0]}"
    pipe, environment = subprocess.PIPE, world.desk.environment | {"TERM": "xterm-256color"}
    with subprocess.Popen([*argv, command], stdin=pipe, stdout=pipe, env=environment) as started:
        try:
            shown = until_it_shows(kind.greets, started)
        finally:
            started.kill()
    assert bare(kind.greets) in bare(shown)


def test_the_agents_know_the_mcp_servers_of_agent_yaml(world: World):
    for kind, program in ((KINDS[0], "codex"), (KINDS[1], "claude")):
        said = world.execute(kind, program, "mcp", "list")
        assert "notes" in said
        assert "https://mcp.test/notes" in said


def until_it_shows(text: str, started: "subprocess.Popen[bytes]") -> str:
    """Be the terminal of a program until it shows a text or time is up; return all it showed."""
    os.set_blocking(started.stdout.fileno(), False)
    raw, end = "", time.monotonic() + 20
    while bare(text) not in bare(raw) and time.monotonic() < end:
        time.sleep(0.1)
        new = (started.stdout.read() or b"").decode(errors="replace")
        raw += new
        if WHERE in new:
            started.stdin.write(b"\x1b[1;1R")
            started.stdin.flush()
    return raw


def bare(text: str) -> str:
    """Return what is seen of a terminal's output, without spaces: some are cursor movements."""
    return "".join(CONTROLS.sub("", text).split())
