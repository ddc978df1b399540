"""How quick is companion, beside what the engine itself needs for the same? Run by `make bench`.

Prints a table and writes build/bench.json. Each value stands beside its floor, taken in the same
run on the same machine, because only the ratio means something on another one.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "desktop"), str(HERE.parent / "engine")]

from desk import AGENT, COMPANION, ROOT, Desk, answering, make_desk  # noqa: E402
from internet import descendants  # noqa: E402
from panel import until  # noqa: E402
from rows import Row, at_most, beside  # noqa: E402
from sandboxes import SERVICES  # noqa: E402
from throughput import memory, throughput  # noqa: E402
from trays import tray  # noqa: E402

from companion.daemon.scheduler import DEBOUNCE  # noqa: E402
from companion.engine.client import Engine  # noqa: E402
from companion.engine.detection import detect  # noqa: E402
from companion.project import discovery, store  # noqa: E402
from companion.project.model import AgentRef  # noqa: E402
from companion.reconcile.compare import preview  # noqa: E402
from companion.system.paths import Paths  # noqa: E402
from ssh import probe  # noqa: E402
from ssh.connection import by_tcp  # noqa: E402

CONFIG = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim", cmd: [sleep, infinity]}}
container_runtime: {engine}
egress: listed
features:
  - plugin: ssh
  - plugin: external-services
    services:
      - url: http://host.containers.internal:8000
        headers: {{Authorization: "${{KEY}}"}}
  - plugin: custom-runtime
    commands: ["true"]
"""
CONFIG_OF_MANY = 'name: {name}\nruntime: {{base_image: "debian:bookworm-slim"}}\n'
PROGRAM = b"sleep\0infinity\0"
"""The command line of the program in CONFIG, which is not ours."""
URL = "http://host.containers.internal:8000"
# One curl asks again and again on one connection as long as that lives; the others make new ones.
CLIENT = f"""
urls() {{ for _ in $(seq 5000); do echo "url = {URL}/open"; done; }}
while :; do urls | curl -s -K - --rate 40/s -o /dev/null; done &
while :; do curl -s -o /dev/null {URL}/new; sleep 0.02; done
"""


@dataclass
class Stand:
    """A sandbox that is watched, on an engine whose every call is written down."""

    engine: str
    desk: Desk
    project: Path
    calls: Path
    log: Path
    alias: str
    port: int
    watcher: "subprocess.Popen[bytes]"

    @property
    def config(self) -> Path:
        return self.project / "agent.yaml"

    def save(self, path: Path, text: str) -> float:
        """Save as editors do; return when."""
        new = path.with_suffix(".new")
        new.write_text(text)
        now = time.time()
        new.replace(path)
        return now

    def counted(self, word: str) -> int:
        return self.log.read_text().count(word)

    def after(self, word: str, act: Callable[[], float]) -> float:
        """Do something and return the seconds until the watcher says a word once more."""
        before, begin = self.counted(word), act()
        until(lambda: self.counted(word) > before, 300)
        return time.time() - begin

    def run(self, *arguments: str) -> float:
        begin = time.perf_counter()
        subprocess.run([self.engine, *arguments], check=True, capture_output=True)
        return time.perf_counter() - begin

    def login(self) -> None:
        """Log in as companion does when it looks whether a sandbox is ready."""
        data = self.desk.home / ".local/share/companion/ssh"
        pins = (line.split(None, 1) for line in (data / "known_hosts").read_text().splitlines())
        pin = next(key for name, key in pins if name == self.alias)
        key = data / "keys" / self.alias
        where = by_tcp("127.0.0.1", self.port)
        probe.wait_for_login(where, "agent", key, pin, deadline=time.monotonic() + 30)


@contextmanager
def stand(engine: str, top: Path) -> Iterator[Stand]:
    """Bring a sandbox up and watch it."""
    desk, calls = make_desk(top / "home", engines=True), top / "calls"
    wrapper, real = top / "bin" / engine, shutil.which(engine)
    wrapper.parent.mkdir()
    script = f'#!/bin/sh\n{{ printf "%s\\037" "$@"; echo; }} >>{calls}\nexec {real} "$@"\n'
    wrapper.write_text(script)
    wrapper.chmod(0o755)
    desk.environment["PATH"] = f"{wrapper.parent}:{desk.environment['PATH']}"
    project = desk.project(CONFIG.format(engine=engine), __env="KEY=first\n")
    there = ("-C", str(project))
    try:
        up = desk.companion(*there, "up", "--yes", "--json").ok().agent
        log = top / "watch.log"
        with log.open("wb") as out:
            argv = [COMPANION, "watch"]
            watcher = subprocess.Popen(argv, env=desk.environment, stdout=out, stderr=out)
        made = Stand(engine, desk, project, calls, log, up["alias"], up["ssh_port"], watcher)
        try:
            until(lambda: made.counted("nothing to do"), 60)
            time.sleep(3)  # the witness's early look
            yield made
        finally:
            watcher.terminate()
            watcher.wait()
    finally:
        desk.companion("remove", str(project), "--volumes")


def none(here: Stand) -> Iterator[Row]:
    """B4: saves that mean nothing."""
    text, saves = here.config.read_text(), 20
    before, calls = _cpu(here.watcher.pid), here.calls.read_text().count("\n")
    for number in range(saves):
        here.after("nothing to do", lambda n=number: here.save(here.config, f"# {n}\n{text}"))
    spent = (_cpu(here.watcher.pid) - before) / saves * 1000
    made = here.calls.read_text().count("\n") - calls
    yield at_most("B4", here.engine, "CPU of a save that means nothing", spent, "ms", 50)
    yield at_most("B4", here.engine, "engine calls in 20 such saves", made, "calls", 0)


def rest(here: Stand) -> Iterator[Row]:
    """B12: the memory of a sandbox at rest, but for the agent's own program."""
    if os.geteuid() != 0:
        print(f"B12 {here.engine}: left out, only root may read it", file=sys.stderr)
        return
    names = [f"{_id(here)}-{service}" for service in SERVICES]
    argv = [here.engine, "inspect", "--format", "{{.State.Pid}}", *names]
    first = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    pids = [pid for one in map(int, first) for pid in (one, *descendants(one))]
    ours = [pid for pid in pids if Path(f"/proc/{pid}/cmdline").read_bytes() != PROGRAM]
    what = f"PSS of the {len(ours)} processes of a sandbox at rest that are ours"
    yield at_most("B12", here.engine, what, memory(*ours) / (1 << 20), "MiB", 26)


def status(here: Stand) -> Iterator[Row]:
    """B9: what `status` needs beside the engine's own list of containers."""
    argv = [str(COMPANION), "-C", str(here.project), "status"]
    whole = _fastest(argv, here.desk.environment)
    own = min(here.run("ps", "--all") for _ in range(10))
    bare = _fastest([sys.executable, "-c", "pass"])
    yield beside("B9", here.engine, "status, without the engine's ps", whole - own, bare, 10)


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
    started = _started(here)
    gateway = f"{_id(here)}-coder-gateway"
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
    broken = int(session.poll() is not None) + int(_started(here) != started)
    text = "sessions broken or containers restarted"
    yield at_most("B1", here.engine, text, broken, "", 0)
    session.kill()
    server.shutdown()


def recreate(here: Stand) -> Iterator[Row]:
    """B2, B3: a new environment variable and a new command, beside the engine's own rm and run."""
    text, values, gaps, floors, floor_gaps, lists = here.config.read_text(), [], [], [], [], []
    mine = ("--filter", f"label=dev.companion.project={_id(here)}")
    for number in range(5):
        changed = f'{text}    env: ["N={number}"]\n'
        with _gaps(here.port) as gap:
            took = here.after("restarted, ready", lambda t=changed: here.save(here.config, t))
            time.sleep(0.3)
        values.append(took - DEBOUNCE)
        gaps.append(max(gap))
        lists.append(here.run("ps", "--all", "--quiet", *mine))
        name = f"{_id(here)}-coder"
        create = next(c for c in reversed(_calls(here)) if c[:1] == ["create"] and name in c)
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
                "build": {"context": str(build / "agent"), "args": _arguments(here)},
                "depends_on": ["gateway"], **service,
            },
        }
    }  # fmt: skip
    file = here.project / "reference.json"
    file.write_text(json.dumps(compose))
    command = [tool, "-p", f"{_id(here)}-reference", "-f", file]

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


def fleet(engine: str, top: Path) -> Iterator[Row]:
    """B8: one of 100 agents of a fleet changes."""
    desk = make_desk(top / "home", engines=True)
    directory, names = desk.home / "fleet", [f"agent-{number}" for number in range(100)]
    write_fleet(directory, names, engine)
    desk.companion("-C", str(directory), "generate").ok()
    home = _home(desk.home)
    ref = AgentRef(discovery.project(directory), names[50])
    handle = Engine(detect(engine, None), ref.project.id, ref.folder)
    agent_paths = home.project(ref.project.id).agent(ref.folder)
    record = store.read(agent_paths)
    store.write(agent_paths, replace(record, engine=handle.choice))  # as after its first `up`
    takes, asks = [], []
    for number in range(8):
        more = f"limits: {{pids: {500 + number}}}\n"
        (ref.config).write_text(CONFIG_OF_MANY.format(name=ref.folder) + more)
        begin = time.perf_counter()
        preview(home, ref)
        takes.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        handle.observe()
        asks.append(time.perf_counter() - begin)
    plain = (statistics.median(takes[1:]) - statistics.median(asks[1:])) * 1000
    text = "plan of a change of one of 100 agents, without the engine's answers"
    yield at_most("B8", engine, text, plain, "ms", 100)
    log = top / "watch.log"
    with log.open("wb") as out:
        watcher = subprocess.Popen([COMPANION, "watch"], env=desk.environment, stdout=out,
                                   stderr=out)  # fmt: skip
    try:
        until(lambda: log.read_text().count("it is not started") >= len(names), 120)
        time.sleep(2)
        before = _cpu(watcher.pid)
        for number in range(10):
            said = log.read_text().count("it is not started")
            text = f"# {number}\n{CONFIG_OF_MANY.format(name=ref.folder)}"
            ref.config.with_suffix(".new").write_text(text)
            ref.config.with_suffix(".new").replace(ref.config)
            until(lambda n=said: log.read_text().count("it is not started") > n, 20)
        spent = (_cpu(watcher.pid) - before) / 10 * 1000
    finally:
        watcher.terminate()
        watcher.wait()
    yield at_most("B8", engine, "CPU of a save of one of 100 that means nothing", spent, "ms", 50)
    others = log.read_text().count("it is not started") - len(names) - 10
    yield at_most("B8", engine, "other agents that were looked at, too", others, "agents", 0)


def several(engine: str, top: Path) -> Iterator[Row]:
    """B10: up and down of a fleet of eight whose images are there, beside one agent of it."""
    desk = make_desk(top / "home", engines=True)
    directory, names = desk.home / "fleet", [f"agent-{number}" for number in range(8)]
    write_fleet(directory, names, engine)
    there = ("-C", str(directory))

    def seconds(*arguments: str) -> float:
        begin = time.perf_counter()
        desk.companion(*there, *arguments).ok()
        return time.perf_counter() - begin

    times: dict[str, list[tuple[float, float]]] = {"up": [], "down": []}
    try:
        desk.companion(*there, "up", "--yes").ok()
        desk.companion(*there, "down").ok()
        for _ in range(3):
            one = {what: seconds(what, names[0]) for what in times}
            for what, found in times.items():
                found.append((seconds(what), one[what]))
    finally:
        desk.companion("remove", str(directory), "--volumes")
    for what, found in times.items():
        ratio = statistics.median(whole / one for whole, one in found)
        floor = statistics.median(one for _, one in found)
        said = f"{what} of 8 agents, beside {what} of one"
        yield beside("B10", engine, said, ratio * floor, floor, 4)


def write_fleet(directory: Path, names: list[str], engine: str) -> None:
    for name in names:
        (directory / name).mkdir(parents=True)
        (directory / name / "agent.yaml").write_text(CONFIG_OF_MANY.format(name=name))
    shared = f"container_runtime: {engine}, egress: listed, features: [{{plugin: ssh}}]"
    (directory / "fleet.yaml").write_text(f"agents: [{', '.join(names)}]\nshared: {{{shared}}}\n")


def _home(directory: Path) -> Paths:
    """Return the places of a desk's user, for calls in this process."""
    inner = (".config", ".local/share", ".local/state")
    return Paths(directory, *(directory / i / "companion" for i in inner), directory / ".config")


def desktop(top: Path) -> Iterator[Row]:
    """B7, B9: the tray with 50 projects that are not started; the start of the command."""
    desk = make_desk(top / "home", engines=True)
    for number in range(50):
        project = desk.project(AGENT.replace("coder", f"agent-{number}"), f"project-{number}")
        desk.companion("add", str(project)).ok()
    with tray(desk, top) as running:
        running.panel.wait_for_icon()
        time.sleep(15)
        before, pid = _cpu(running.process.pid), running.process.pid
        time.sleep(20)
        idle = (_cpu(pid) - before) / 20 * 100
        status = Path(f"/proc/{pid}/status").read_text()
    rss = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    yield at_most("B7", "", "RSS of the tray with 50 projects", rss, "MiB", 60)
    yield at_most("B7", "", "CPU of the idle tray", idle, "%", 0.1)
    bare = _fastest([sys.executable, "-c", "pass"])
    yield beside("B9", "", "companion --version", _fastest([str(COMPANION), "--version"]), bare, 4)


def main() -> int:
    engines = [e for e in sys.argv[1:] or ("podman", "docker") if e in answering()]
    rows: list[Row] = []
    with ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="companion-bench-")))
        for engine in engines:
            (top / engine).mkdir()
            with stand(engine, top / engine) as here:
                for part in (rest, none, status, reload, recreate):
                    rows += _said(part(here))
            (top / f"gateway-{engine}").mkdir()
            rows += _said(throughput(engine, top / f"gateway-{engine}"))
            (top / f"fleet-{engine}").mkdir()
            rows += _said(several(engine, top / f"fleet-{engine}"))
        (top / "fleet").mkdir()
        rows += _said(fleet(engines[0], top / "fleet"))
        (top / "desktop").mkdir()
        rows += _said(desktop(top / "desktop"))
    out = ROOT / "build/bench.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    met = sum(row.met for row in rows)
    print(f"\n{met} of {len(rows)} met; all of it stands in {out.relative_to(ROOT)}")
    return 0


def _said(rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        value = f"{row.value:8.1f} {row.unit:5}"
        floor = f"floor {row.floor:8.1f} x {row.ratio:5.2f}" if row.floor else " " * 22
        verdict = "met" if row.met else "MISSED"
        print(
            f"{row.row}  {row.engine:6}  {row.what:68} {value} {floor}  {row.budget:14} {verdict}"
        )
        sys.stdout.flush()
        yield row


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


def _id(here: Stand) -> str:
    return next((here.desk.home / ".local/state/companion/projects").iterdir()).name


def _started(here: Stand) -> str:
    names = [f"{_id(here)}-{service}" for service in SERVICES]
    argv = [here.engine, "inspect", "--format", "{{.State.StartedAt}}", *names]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _calls(here: Stand) -> list[list[str]]:
    return [line.split("\037")[:-1] for line in here.calls.read_text().splitlines()]


def _arguments(here: Stand) -> dict[str, str]:
    """Return the build arguments of the agent's last build."""
    call = next(c for c in reversed(_calls(here)) if c[:1] == ["build"])
    pairs = [call[i + 1] for i, word in enumerate(call) if word == "--build-arg"]
    return dict(pair.split("=", 1) for pair in pairs)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _fastest(argv: list[str], environment: Mapping[str, str] = os.environ) -> float:
    compiled = {k: v for k, v in environment.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def once() -> float:
        begin = time.perf_counter()
        subprocess.run(argv, env=compiled, check=True, capture_output=True)
        return time.perf_counter() - begin

    return min(once() for _ in range(10))


if __name__ == "__main__":
    sys.exit(main())
