"""Change the pure core in many small ways and count how many changes the tests notice.

usage: mutants.py [--every N] [MODULE ...]

Each mutant is the program with one change, made by mutmut; [tool.mutmut] in pyproject.toml names
modules and tests. It is noticed if a test fails or never ends. Every tenth mutant is tried (or
every N-th), the same ones each time, of all modules or of those whose names begin so. The survivors
are listed in build/mutants.txt.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLACE = ROOT / "build/mutants"
WANTED = 85
"""Percent that must be noticed."""
NOTICED = {1, 3, 24, 36, 255, -24, 152, -9, -11}
"""Exit codes of a mutant's tests: one failed, the time was up, or the process was killed."""
CHEAP = "companion.render.egress.*"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--every", type=int, default=10, metavar="N", help="try every N-th mutant")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="of modules that begin so")
    arguments = parser.parse_args()
    prepare()
    mutmut("run", CHEAP)  # makes all mutants, and learns which test reaches which function
    names = [n for n in sorted(known()) if n.startswith(tuple(arguments.modules) or "")]
    chosen = names[:: arguments.every]
    mutmut("run", *chosen)
    return report({name: code for name, code in known().items() if name in set(chosen)})


def prepare() -> None:
    """Copy what git knows: mutmut writes beside the code."""
    shutil.rmtree(PLACE, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (PLACE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, PLACE / name)


def mutmut(*arguments: str) -> None:
    argv = [Path(sys.executable).with_name("mutmut"), *arguments]
    with (ROOT / "build/mutants.log").open("a") as log:
        subprocess.run(argv, cwd=PLACE, stdout=log, stderr=log, check=True)


def known() -> dict[str, int | None]:
    """Return mutant → exit code of its tests; None: it was not tried."""
    found: dict[str, int | None] = {}
    for meta in (PLACE / "mutants").rglob("*.meta"):
        found |= json.loads(meta.read_text())["exit_code_by_key"]
    return found


def report(codes: dict[str, int | None]) -> int:
    """Print how much was noticed, by module; fail where it is too little."""
    tried, noticed = Counter(map(module, codes)), Counter[str]()
    survivors = []
    for name, code in sorted(codes.items()):
        if code in NOTICED:
            noticed[module(name)] += 1
        else:
            survivors.append(f"{name} (exit code {code})\n")
    (ROOT / "build/mutants.txt").write_text("".join(survivors))
    for name, count in sorted(tried.items()):
        print(f"{name:36} {noticed[name]:5} of {count:5}  {100 * noticed[name] / count:5.1f} %")
    score = 100 * noticed.total() / tried.total()
    print(f"{'all':36} {noticed.total():5} of {tried.total():5}  {score:5.1f} %")
    return 0 if score >= WANTED else 1


def module(mutant: str) -> str:
    """Return the module of a mutant: companion.render.dns.x_render__mutmut_1."""
    return mutant.partition(".x")[0]


if __name__ == "__main__":
    sys.exit(main())
