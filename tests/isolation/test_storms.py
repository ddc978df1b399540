"""Does the sandbox hold when its agent storms, or when a part of it dies? Seen from outside."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import floods
import pytest
import storm
from desk import make_desk
from sandboxes import FIRST_PORT, Box, wait_until

pytestmark = pytest.mark.engine
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may enter a network namespace; run as root"
)

ASKS = "curl -sS -m 8 http://host.containers.internal:8000/"
PROCESSES = "for n in $(seq 300); do sleep 3 & done; wait"
MEMORY = "head -c 2G /dev/zero | tail; echo ended with ${PIPESTATUS[1]}"
CONNECTIONS = """
ulimit -n 8192 2>/dev/null
end=$((SECONDS + 15))
for n in $(seq 3000); do
  exec {fd}<>/dev/tcp/192.0.2.1/80 && [ $SECONDS -lt $end ] || break
done 2>/dev/null
echo $n connections
"""
DIALS = """\
for n in $(seq 30); do
  timeout 1 bash -c 'exec 3<>/dev/tcp/BRIDGE/8099' 2>/dev/null && echo "direct"
done >~/window
echo tried >>~/window
"""


@pytest.fixture
def small(box: Box) -> Iterator[Box]:
    """The sandbox with limits that are soon reached."""
    with box.changed("limits: {memory: 300m, pids: 100}\n"):
        box.companion("up").ok()
        yield box
    box.companion("up").ok()


@pytest.mark.long
def test_storms_of_processes_and_memory_end_at_their_limits(small: Box):
    assert "Resource temporarily unavailable" in small.ssh(PROCESSES).err
    wait_until(lambda: small.ssh("true").code == 0)
    assert "ended with 137" in small.ssh(MEMORY).out
    assert small.run(ASKS) == "echo"


@pytest.mark.long
def test_a_storm_of_connections_keeps_nobody_out(box: Box):
    before = box.ids()
    said = box.ssh(CONNECTIONS)
    assert "connections" in said.out, said.err
    assert box.run("id -un") == "agent"
    assert box.run(ASKS) == "echo"
    assert box.ids() == before


def test_a_storm_of_log_lines_does_not_fill_the_disk(box: Box):
    """The agent's own output is what the engine keeps."""
    options = box.inspect("coder")["HostConfig"]["LogConfig"]
    assert options["Type"] in {"json-file", "k8s-file"}
    assert options.get("Size") or options["Config"]["max-size"]


def test_an_agent_that_dials_at_once_reaches_nobody(box: Box):
    (box.project / "dial.sh").write_text(DIALS.replace("BRIDGE", box.bridge))
    with box.changed("    entrypoint_hooks: [dial.sh]\n"):
        box.companion("up").ok()
        assert box.run("cat ~/window") == "tried"
    box.companion("up").ok()


@pytest.mark.parametrize("part", ["coder-net", "coder-gateway"])
def test_without_a_part_of_it_nothing_gets_out(box: Box, part: str):
    box.engine("kill", box.container(part))
    try:
        asks = "timeout 3 bash -c 'exec 3<>/dev/tcp/{}/8099' && echo out; true"
        for address in (box.bridge, "192.0.2.1"):
            argv = ("exec", box.container("coder"), "bash", "-c", asks.format(address))
            assert "out" not in box.engine(*argv)
    finally:
        box.companion("up").ok()
    assert box.run(ASKS) == "echo"


CONFIG = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: {engine}
egress: listed
features:
  - plugin: ssh
    port: {port}
  - plugin: external-services
    services:
      - url: http://host.containers.internal:8000
        headers: {{Authorization: "Bearer ${{ONE}}"}}
      - url: http://host.containers.internal:8001
        headers: {{Authorization: "Bearer ${{ONE}}"}}
"""
STALLED = "host.containers.internal:8001"


@pytest.fixture(scope="module")
def roomy(
    engine: str,
    tmp_path_factory: pytest.TempPathFactory,
    upstream: Callable[[str, int, Path | None], object],
) -> Iterator[Box]:
    """A sandbox whose containers may open as many files as on an ordinary machine."""
    top = tmp_path_factory.mktemp(f"roomy-{engine}")
    desk = make_desk(top / "home", engines=True)
    if known := os.environ.get("CONTAINERS_CONF"):
        text = Path(known).read_text().replace("nofile=1024:1024", "nofile=8192:8192")
        (top / "containers.conf").write_text(text)
        desk.environment["CONTAINERS_CONF"] = str(top / "containers.conf")
    text = CONFIG.format(engine=engine, port=FIRST_PORT[engine] + 3)
    box = Box(engine, desk, desk.project(text, name="stormy", __env="ONE=1\n"), {})
    try:
        box.bring_up()
        upstream(box.bridge, 8000, None)
        yield box
    finally:
        box.companion("down", "--volumes")


@contextmanager
def stalled(address: str, port: int) -> Iterator[None]:
    """Serve an upstream that takes connections, and nothing of what is sent."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        server.bind((address, port))
        server.listen(4096)
        yield


@contextmanager
def inside(box: Box, *program: str) -> Iterator[None]:
    """Run a program in the agent's network for a while."""
    holder = box.inspect("coder-net")["State"]["Pid"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    argv = ["nsenter", f"--net=/proc/{holder}/ns/net", *program]
    running = subprocess.Popen(argv, env=environment)
    try:
        yield
        assert running.poll() is None, "the storm ended by itself"
    finally:
        running.kill()
        running.wait()


@contextmanager
def session(box: Box) -> Iterator[None]:
    """Hold an SSH session that must answer at the end, too."""
    argv = ["ssh", "-F", box.desk.home / ".ssh/config", "-o", "BatchMode=yes", box.alias, "cat"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, bufsize=1) as running:
        said, heard = running.stdin, running.stdout
        assert said
        assert heard
        for word in ("before\n", "after\n"):
            said.write(word)
            assert heard.readline() == word
            if word == "before\n":
                yield


def logins(box: Box, seconds: float) -> tuple[int, int]:
    """Log in every half second; return how many logins were tried, and how many answered."""
    asked, answered, end = 0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        asked += 1
        with suppress(subprocess.TimeoutExpired):
            answered += box.ssh("true").code == 0
        time.sleep(0.5)
    return asked, answered


@needs_root
@pytest.mark.one_engine
def test_a_storm_of_unfinished_requests_ends_neither_the_gateway_nor_ssh(roomy: Box):
    box, before = roomy, roomy.ids()
    program = (sys.executable, storm.__file__, "192.0.2.1", "8001", STALLED)
    with stalled(box.bridge, 8001), session(box):
        with inside(box, *program):
            asked, answered = logins(box, 15)
            assert answered == asked
            refused = box.run(
                f"curl -sS -m 8 -w ' %{{http_code}} %{{time_total}}' http://{STALLED}/"
            )
        assert re.fullmatch(r"gateway: too much at once, .*\n 503 [01]\.\d+", refused)
        wait_until(lambda: box.run(ASKS) == "echo")
    assert box.ids() == before


def test_ssh_outlives_the_gateway(box: Box):
    before = box.ids()
    with session(box):
        box.engine("kill", box.container("coder-gateway"))
        assert box.run("id -un") == "agent"
        assert box.companion("status", "--json").ok().agent["state"] == "broken"
        box.companion("up").ok()
    assert box.run(ASKS) == "echo"
    after = box.ids()
    assert {service for service in before if after[service] != before[service]} == {"coder-gateway"}


@needs_root
@pytest.mark.long
@pytest.mark.parametrize("kind", floods.FLOODS)
def test_a_flood_of_any_kind_keeps_nobody_out(roomy: Box, kind: str):
    box, before = roomy, roomy.ids()
    with session(box), inside(box, sys.executable, floods.__file__, kind):
        asked, answered = logins(box, 20)
    assert answered == asked
    wait_until(lambda: box.run(ASKS) == "echo")
    assert box.ids() == before


@pytest.mark.long
def test_an_agent_that_burns_all_its_time_keeps_nobody_out(box: Box):
    burn = "for _ in $(seq 32); do timeout 25 yes >/dev/null & done; wait"
    with session(box), box.start("exec", "coder", "--", "bash", "-c", burn):
        asked, answered = logins(box, 20)
    assert answered == asked
