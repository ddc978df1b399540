"""How quick is companion, beside what the engine itself needs for the same? Run by `make bench`.

Prints a table and writes build/bench.json. Each value stands beside its floor, taken in the same
run on the same machine, because only the ratio means something on another one.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "desktop"), str(HERE.parent / "engine")]

from changes import none, recreate, reload  # noqa: E402
from desk import COMPANION, ROOT, answering  # noqa: E402
from desktops import clicks, desktop  # noqa: E402
from fleets import fleet, several  # noqa: E402
from internet import descendants  # noqa: E402
from rows import Row, at_most, beside  # noqa: E402
from sandboxes import SERVICES  # noqa: E402
from stand import Stand, fastest, ident, stand  # noqa: E402
from throughput import memory, throughput  # noqa: E402

PROGRAM = b"sleep\0infinity\0"
"""The command line of the program in CONFIG, which is not ours."""


def rest(here: Stand) -> Iterator[Row]:
    """B12: the memory of a sandbox at rest, but for the agent's own program."""
    if os.geteuid() != 0:
        print(f"B12 {here.engine}: left out, only root may read it", file=sys.stderr)
        return
    names = [f"{ident(here)}-{service}" for service in SERVICES]
    argv = [here.engine, "inspect", "--format", "{{.State.Pid}}", *names]
    first = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    pids = [pid for one in map(int, first) for pid in (one, *descendants(one))]
    ours = [pid for pid in pids if Path(f"/proc/{pid}/cmdline").read_bytes() != PROGRAM]
    what = f"PSS of the {len(ours)} processes of a sandbox at rest that are ours"
    yield at_most("B12", here.engine, what, memory(*ours) / (1 << 20), "MiB", 26)


def status(here: Stand) -> Iterator[Row]:
    """B9: what `status` needs beside the engine's own list of containers."""
    argv = [str(COMPANION), "-C", str(here.project), "status"]
    whole = fastest(argv, here.desk.environment)
    own = min(here.run("ps", "--all") for _ in range(10))
    bare = fastest([sys.executable, "-c", "pass"])
    yield beside("B9", here.engine, "status, without the engine's ps", whole - own, bare, 10)


def second(here: Stand) -> Iterator[Row]:
    """B11: another project with the same runtime, whose images share their layers."""
    text = here.config.read_text().replace("name: coder", "name: another")
    project = here.desk.project(text, "another", __env="KEY=first\n")
    begin = time.perf_counter()
    try:
        here.desk.companion("-C", str(project), "up", "--yes").ok()
        took = time.perf_counter() - begin
    finally:
        here.desk.companion("remove", str(project), "--volumes")
    text = "up of a second project with the same runtime"
    yield at_most("B11", here.engine, text, took * 1000, "ms", 5000)


def main() -> int:
    engines = [e for e in sys.argv[1:] or ("podman", "docker") if e in answering()]
    rows: list[Row] = []
    with ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="companion-bench-")))
        for engine in engines:
            (top / engine).mkdir()
            with stand(engine, top / engine) as here:
                for part in (rest, none, status, second, reload, recreate):
                    rows += _said(part(here))
                (top / f"clicks-{engine}").mkdir()
                rows += _said(clicks(here, top / f"clicks-{engine}"))
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


if __name__ == "__main__":
    sys.exit(main())
