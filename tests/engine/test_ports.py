"""Ports on demand: servers inside are noticed, and forwarded to on a command only."""

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ports
import pytest
from sandboxes import Box, wait_until
from servers import SERVER, fetched, serving

from companion.system import listeners

pytestmark = pytest.mark.engine


def bound(port: int) -> set[str]:
    """Return the addresses of this machine, as the kernel spells them, that listen on a port."""
    tables = "".join(Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
    return set(re.findall(rf"\d+: ([0-9A-F]+):{port:04X} 0+:0000 0A", tables))


def test_a_server_on_a_sandboxs_loopback_is_reached_across_restarts(box: Box):
    with ports.reserved() as port:
        with serving(box, 3000):
            offer = "listens on 3000; to open it: `companion port coder 3000`"
            assert offer in box.companion("status").ok().out
            assert not bound(3000)
            pair = ("port", f"{port}:3000")
            done = box.companion(*pair, "--background", "--json").ok()
            (made,) = done.data["forwards"]
            assert "nothing listens" not in done.err
            assert made["url"] == f"http://coder.localhost:{port}"
            assert fetched(port) == "from inside"
            assert bound(port) == {"0100007F"}
            by_name = ["curl", "-sS", made["url"]]
            said = subprocess.run(by_name, capture_output=True, text=True, check=True)
            assert said.stdout == "from inside"
            shown = box.companion("status").ok().out
            assert f"{made['url']} is forwarded to port 3000" in shown
            assert offer not in shown
            refused = box.companion("port", f"{port}:3001")
            assert "nothing listens on port 3001 of coder yet" in refused.err
            assert "already" in refused.problems[0]
        box.companion("restart").ok()
        with serving(box, 3000):
            wait_until(lambda: fetched(port) == "from inside")
        assert box.companion("port", "--stop", "--json").ok().data == {"ended": [port]}
        assert not bound(port)
        assert box.companion("port", "--stop", "--json").ok().data == {"ended": []}


@pytest.mark.one_engine
def test_a_browser_opens_the_address_that_status_shows(box: Box, tmp_path: Path):
    with ports.reserved() as port, serving(box, 3000):
        box.companion("port", f"{port}:3000", "--background").ok()
        (address,) = re.findall(r"http://\S+", box.companion("status").ok().out)
        argv = ["chromium", "--headless", "--no-sandbox", f"--user-data-dir={tmp_path}"]
        argv += ["--dump-dom", address]
        seen = subprocess.run(argv, capture_output=True, text=True, check=False)
        box.companion("port", "--stop").ok()
    assert "from inside" in seen.stdout


def test_a_forward_in_the_foreground_ends_with_its_process_and_with_the_sandbox(box: Box):
    with ports.reserved() as port, serving(box, 3000):
        running = box.start("port", "coder", f"{port}:3000")
        assert running.stdout is not None
        assert running.stdout.readline().startswith(f"http://coder.localhost:{port} is forwarded")
        assert fetched(port) == "from inside"
        running.kill()
        running.wait(30)
        wait_until(lambda: not bound(port))
        assert box.companion("port", "--json").ok().data["forwards"] == []
        running = box.start("port", "coder", f"{port}:3000")
        assert running.stdout is not None
        assert running.stdout.readline().startswith(f"http://coder.localhost:{port} is forwarded")
        box.companion("down").ok()
        try:
            running.wait(60)
            assert not bound(port)
        finally:
            box.companion("up").ok()


def test_a_port_that_is_taken_is_refused_with_what_has_it(box: Box):
    sandboxs = box.companion("port", f"{box.port}:3000").problems
    assert len(sandboxs) == 1
    assert f"port {box.port} is taken by the sandbox {box.alias}; choose another" in sandboxs[0]
    with socket.socket(socket.AF_INET6) as mine:
        mine.bind(("::1", 0))
        mine.listen()
        port = mine.getsockname()[1]
        assert "(process " in box.companion("port", f"{port}:3000").problems[0]
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        mine.listen()
        port = mine.getsockname()[1]
        with box.changed(f'    ports: ["{port}:3000"]\n'):
            failed = box.companion("up")
        assert failed.code == 1
        assert f"port {port} is taken by {listeners.owner(port)}" in failed.err
        assert not re.search("[0-9a-f]{64}", failed.err)
        assert failed.err.count(" is taken by ") == 1
    assert box.run("id -un") == "agent"


def test_a_published_port_whose_server_is_for_the_inside_only_is_explained(box: Box):
    with ports.reserved() as port, box.changed(f'    ports: ["{port}:3000"]\n'):
        box.companion("up").ok()
        with serving_published(box):
            assert fetched(port) == ""
            (problem,) = box.companion("status").ok().problems
            assert problem.startswith(f"port {port} is published to port 3000 of coder, but")
            assert "`companion port coder 3000`" in problem
    box.companion("up").ok()


@contextmanager
def serving_published(box: Box) -> Iterator[None]:
    server = box.start("exec", "coder", "--", "perl", "-e", SERVER, "127.0.0.1", "3000")
    try:
        wait_until(lambda: bool(box.companion("status").ok().problems))
        yield
    finally:
        box.ssh("pkill -f LocalAddr")
        server.wait(30)
