"""B6: the cost of the gateway on the way to a service, next to a direct connection.

The same client runs in the sandbox and in a container of the same image on the engine's own
network; both ask the same nginx, at an address that is public as far as the gateway knows.
"""

import os
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from desk import make_desk
from internet import ADDRESS, descendants, elsewhere, tell_address
from rows import Row, at_least, at_most
from sandboxes import Box, trusted_authority, wait_until

from companion.reconcile import certificates

INTERCEPTED, PASSED = "service.test", "passed.test"
CONFIG = f"""\
name: coder
runtime: {{{{base_image: "debian:bookworm-slim"}}}}
container_runtime: {{engine}}
egress: {{{{mode: listed, allow: [{PASSED}]}}}}
features:
  - plugin: external-services
    services:
      - url: https://{INTERCEPTED}
        headers: {{{{Authorization: "Bearer ${{{{KEY}}}}"}}}}
  - plugin: custom-runtime
    commands: ["apt-get update && apt-get install -y --no-install-recommends nghttp2-client wrk"]
"""
NGINX = """\
daemon off;
user root;
pid {top}/nginx.pid;
error_log {top}/error.log;
events {{}}
http {{
  access_log off;
  keepalive_requests 1000000000;
  server {{
    listen {address}:443 ssl http2;
    ssl_certificate {top}/service.pem;
    ssl_certificate_key {top}/service.pem;
    root {top}/files;
  }}
}}
"""
KIB, GIB = 1 << 10, 1 << 30
_TIMES = 5
LOADS = {
    "requests by HTTP/1.1, kept alive, intercepted": (
        f"wrk -t 1 -c 16 -d 4s https://{INTERCEPTED}:443/small",
        r"Requests/sec:\s+([\d.]+)",
        0.4,
    ),
    "requests by HTTP/2, intercepted": (
        f"h2load -t 1 -c 4 -m 8 -D 4 https://{INTERCEPTED}/small",
        r"finished in .*, ([\d.]+) req/s",
        0.4,
    ),
    "bytes of one download, passed through": (
        f"curl -skS -o /dev/null -w %{{speed_download}} https://{PASSED}/large",
        r"(\d+)",
        0.95,
    ),
}
"""What is asked → the command, what of its output counts, and the share that is to be left."""


def throughput(engine: str, top: Path) -> Iterator[Row]:
    """Ask with and without the gateway in turn; then look how large it has become."""
    if os.geteuid() != 0:
        print(f"B6  {engine}: left out, only root may make a network namespace", file=sys.stderr)
        return
    with sandbox(engine, top) as box:
        image = box.inspect("coder")["Config"]["Image"]
        names = [f"--add-host={name}:{ADDRESS}" for name in (INTERCEPTED, PASSED)]
        inside = ("exec", box.container("coder"))
        outside = ("run", "--rm", *names, "--entrypoint", "/usr/bin/env", image)
        for what, (command, pattern, share) in LOADS.items():

            def rate(way: tuple[str, ...], command: str = command, pattern: str = pattern) -> float:
                return float(re.search(pattern, box.engine(*way, *command.split()))[1])

            value, direct = _between(lambda: rate(inside), lambda: rate(outside))
            unit, scale = ("MB/s", 1e6) if "bytes" in what else ("/s", 1)
            yield at_least("B6", engine, what, value / scale, unit, direct / scale, share)
        what = "memory of the gateway's processes after that"
        gateway = box.inspect("coder-gateway")["State"]["Pid"]
        yield at_most("B6", engine, what, memory(gateway, *descendants(gateway)) / 1e6, "MB", 30)


def _between(measure: Callable[[], float], floor: Callable[[], float]) -> tuple[float, float]:
    """Measure with a floor before and after each time; return what the median ratio means, too.

    What else the machine does comes and goes: a value is compared with its own neighbors only.
    """
    floors, values = [floor()], []
    for _ in range(_TIMES):
        values.append(measure())
        floors.append(floor())
    pairs = zip(values, pairwise(floors), strict=True)
    usual = statistics.median(floors)
    return statistics.median(v / statistics.mean(around) for v, around in pairs) * usual, usual


@contextmanager
def sandbox(engine: str, top: Path) -> Iterator[Box]:
    """Bring a sandbox up that reaches an nginx under two names."""
    desk = make_desk(top / "home", engines=True)
    authority = trusted_authority(desk)
    (top / "service.pem").write_text(certificates.issue(authority, INTERCEPTED, datetime.now(UTC)))
    (top / "files").mkdir()
    for name, size in (("small", KIB), ("large", GIB)):
        with (top / "files" / name).open("wb") as file:
            file.truncate(size)
    (top / "nginx.conf").write_text(NGINX.format(top=top, address=ADDRESS))
    project = desk.project(CONFIG.format(engine=engine), __env="KEY=sk-bench\n")
    box = Box(engine, desk, project, {})
    with ExitStack() as stack:
        stack.callback(box.companion, "down", "--volumes")
        box.companion("up", "--yes").ok()
        (state,) = (desk.home / ".local/state/companion/projects").iterdir()
        box.id = state.name
        arguments = ("-p", top, "-c", top / "nginx.conf", "-e", top / "error.log")
        stack.enter_context(elsewhere("/usr/sbin/nginx", *arguments))
        tell_address(box, f"{INTERCEPTED} {PASSED}", ADDRESS)
        asks = ("exec", "coder", "--", "curl", "-sf", f"https://{INTERCEPTED}/small")
        wait_until(lambda: box.companion(*asks).code == 0)
        yield box


def memory(*pids: int) -> float:
    """Return the bytes of memory of processes, each with its share of what it shares (PSS)."""
    rollups = (Path(f"/proc/{pid}/smaps_rollup") for pid in pids)
    found = (re.search(r"^Pss:\s+(\d+) kB", r.read_text(), re.MULTILINE) for r in rollups)
    return sum(int(match[1]) for match in found if match) * 1024.0
