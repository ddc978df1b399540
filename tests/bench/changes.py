"""How long changes take: nothing, a reload, a restart and a rebuild (B1 to B5)."""

import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

from panel import until
from rows import Row, at_most, beside
from stand import Stand, build_arguments, calls_of, cpu, ident, started

from companion.daemon.scheduler import DEBOUNCE

URL = "http://host.containers.internal:8000"
# One curl asks again and again on one connection as long as that lives; the others make new ones.
CLIENT = f"""
urls() {{ for _ in $(seq 5000); do echo "url = {URL}/open"; done; }}
while :; do urls | curl -s -K - --rate 40/s -o /dev/null; done &
while :; do curl -s -o /dev/null {URL}/new; sleep 0.02; done
"""


def none(here: Stand) -> Iterator[Row]:
    """B4: saves that mean nothing."""
    text, saves = here.config.read_text(), 20
    before, calls = cpu(here.watcher.pid), here.calls.read_text().count("\n")
    for number in range(saves):
        here.after("nothing to do", lambda n=number: here.save(here.config, f"# {n}\n{text}"))
    spent = (cpu(here.watcher.pid) - before) / saves * 1000
    made = here.calls.read_text().count("\n") - calls
    yield at_most("B4", here.engine, "CPU of a save that means nothing", spent, "ms", 50)
    yield at_most("B4", here.engine, "engine calls in 20 such saves", made, "calls", 0)


def reload(here: Stand) -> Iterator[Row]:
    """B1: a new secret (told to a running process) and a new header (a new process takes over).

    Until the upstream sees it, on new and on open connections.
    """
    address = here.desk.companion("-C", str(here.project), "status", "--json").agent["host_address"]
    seen: dict[tuple[str, str], float] = {}

    class Upstream(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.setdefault((self.path, self.headers["Authorization"]), time.time())
            self.send_response(200)
            self.send_header("Content-Length", "1")
            self.end_headers()
            self.wfile.write(b"x")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((address, 8000), Upstream)
    server.handle_error = lambda *_: None  # a connection that ends is what we measure
    threading.Thread(target=server.serve_forever, daemon=True).start()
    session = subprocess.Popen(
        ["ssh", "-F", here.desk.home / ".ssh/config", here.alias, "bash"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    session.stdin.write(CLIENT.encode())
    session.stdin.flush()
    until(lambda: ("/open", "first") in seen and ("/new", "first") in seen, 20)
    before = started(here)
    gateway = f"{ident(here)}-coder-gateway"
    floor = statistics.median(here.run("exec", gateway, "true") for _ in range(7))
    budget = 0.25 if floor <= 0.07 else 3.5 * floor  # seconds
    text = here.config.read_text()

    def secret(number: int) -> tuple[str, float]:
        return f"key-{number}", here.save(here.project / ".env", f"KEY=key-{number}\n")

    def header(number: int) -> tuple[str, float]:
        new = text.replace('"${KEY}"', f'"{number} ${{KEY}}"')
        return f"{number} key-9", here.save(here.config, new)

    for what, change in (("secret", secret), ("header", header)):
        waits: dict[str, list[float]] = {"/new": [], "/open": []}
        for number in range(10):
            value, begin = change(number)
            until(lambda v=value: ("/open", v) in seen and ("/new", v) in seen, 20)
            for path, found in waits.items():
                found.append(seen[path, value] - begin)
            time.sleep(0.5)
        for path, found in waits.items():
            said = f"new {what} counts on {path[1:]} connections, worst of 10, with debounce"
            yield beside("B1", here.engine, said, max(found), floor, round(budget / floor, 2))
    here.save(here.config, text)
    broken = int(session.poll() is not None) + int(started(here) != before)
    text = "sessions broken or containers restarted"
    yield at_most("B1", here.engine, text, broken, "", 0)
    session.kill()
    server.shutdown()


def recreate(here: Stand) -> Iterator[Row]:
    """B2, B3: a new environment variable and a new command, beside the engine's own rm and run."""
    text, values, gaps, floors, floor_gaps, lists = here.config.read_text(), [], [], [], [], []
    mine = ("--filter", f"label=dev.companion.project={ident(here)}")
    for number in range(5):
        changed = f'{text}    env: ["N={number}"]\n'
        with _gaps(here.port) as gap:
            took = here.after("restarted, ready", lambda t=changed: here.save(here.config, t))
            time.sleep(0.3)
        values.append(took - DEBOUNCE)
        gaps.append(max(gap))
        lists.append(here.run("ps", "--all", "--quiet", *mine))
        name = f"{ident(here)}-coder"
        create = next(c for c in reversed(calls_of(here)) if c[:1] == ["create"] and name in c)
        with _gaps(here.port) as gap:
            begin = time.perf_counter()
            at_once = ("--time", "0") if here.engine == "podman" else ()
            here.run("rm", "--force", *at_once, name)
            here.run(*create)
            here.run("start", name)
            here.login()
            floors.append(time.perf_counter() - begin)
            time.sleep(0.3)
        floor_gaps.append(max(gap))
    value, floor = statistics.median(values), statistics.median(floors) + statistics.median(lists)
    down, floor_down = statistics.median(gaps), statistics.median(floor_gaps)
    text = "new variable, until SSH login works, without debounce"
    yield beside("B2", here.engine, text, value, floor, 1.5)
    text = "longest time without an answer on the SSH port"
    yield beside("B2", here.engine, text, down, floor_down, 1.2)
    with _gaps(here.port) as gap:
        new = here.config.read_text().replace('"true"', f'"echo {time.time()}"')
        built = here.after("rebuilt, ready", lambda: here.save(here.config, new))
        time.sleep(0.3)
    text = f"the same while an image is built ({built:.1f} s)"
    yield beside("B3", here.engine, text, max(gap), floor_down, 1.2)
    yield from reference(here, value + DEBOUNCE)


def reference(here: Stand, ours: float) -> Iterator[Row]:
    """B5: remove everything and `compose up --build -d`, with an agent that ignores TERM."""
    tool = Path(sys.executable).parent / f"{here.engine}-compose"
    build = here.project / ".build/coder"
    base = "localhost/companion/debian:bookworm-slim"
    service = {"entrypoint": ["sleep", "infinity"]}
    compose = {
        "services": {
            "gateway": {
                "build": {"context": str(build / "gateway"), "args": {"BASE": base}}, **service,
            },
            "agent": {
                "build": {"context": str(build / "agent"), "args": build_arguments(here)},
                "depends_on": ["gateway"], **service,
            },
        }
    }  # fmt: skip
    file = here.project / "reference.json"
    file.write_text(json.dumps(compose))
    command = [tool, "-p", f"{ident(here)}-reference", "-f", file]

    def act(*arguments: str) -> None:
        subprocess.run([*command, *arguments], check=True, capture_output=True)

    try:
        act("up", "--build", "-d")
        begin = time.perf_counter()
        act("down")
        act("up", "--build", "-d")
        took = time.perf_counter() - begin
    finally:
        act("down", "-t", "0")
    text = "the same change by remove-all and compose up --build -d"
    yield Row(
        "B5", here.engine, text, took * 1000, "ms", ours * 1000, ">= 8 x ours", took >= 8 * ours
    )


@contextmanager
def _gaps(port: int) -> Iterator[list[float]]:
    """Ask the SSH port for its banner every 20 ms; the list gets the seconds between answers.

    Each question has a thread of its own: one that hangs must not delay the next.
    """
    gaps: list[float] = []
    answered: list[float] = []
    asking: list[threading.Thread] = []
    stop = threading.Event()

    def ask() -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as call:
            if call.recv(8).startswith(b"SSH-2.0"):
                answered.append(time.perf_counter())

    def go_on() -> None:
        while not stop.wait(0.02):
            asking.append(threading.Thread(target=ask))
            asking[-1].start()

    thread = threading.Thread(target=go_on)
    thread.start()
    time.sleep(0.2)
    try:
        yield gaps
    finally:
        stop.set()
        thread.join()
        for one in asking:
            one.join()
        gaps += (later - earlier for earlier, later in pairwise(sorted(answered)))
