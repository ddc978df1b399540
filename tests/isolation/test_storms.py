"""Does the sandbox hold when its agent storms, or when a part of it dies? Seen from outside."""

from collections.abc import Iterator

import pytest
from sandboxes import Box, wait_until

pytestmark = pytest.mark.engine

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
