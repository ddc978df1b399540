"""The next version of Companion, as a checkout whose definitions of sandboxes differ."""

import shutil
import subprocess
import sys
from pathlib import Path

from desk import ROOT, Desk, Done
from fake_project import Fake


def update(desk: Desk) -> Path:
    """Return a checkout of the next version, whose images and definitions of containers differ."""
    there = checkout(desk)
    spec = there / "companion/spec/containers.py"
    field = "    cpu_shares: int = 0\n"
    spec.write_text(spec.read_text().replace(field, f'{field}    added: str = ""\n'))
    change_scripts(there)
    return there


def checkout(desk: Desk) -> Path:
    """Return a checkout of the next version, which differs in nothing else."""
    there = desk.home / "next"
    for name in ("companion", "assets", "ssh", "editors"):
        shutil.copytree(ROOT / name, there / name, ignore=shutil.ignore_patterns("__pycache__"))
    version = there / "companion/__init__.py"
    version.write_text(version.read_text().replace('__version__ = "', '__version__ = "9.'))
    return there


def change_scripts(there: Path) -> None:
    """Have the images of a checkout differ."""
    for script in ("agent/entrypoint.sh", "gateway/gateway.sh"):
        with (there / "assets" / script).open("a") as file:
            file.write("# changed\n")


def newer(fake: Fake, there: Path, *arguments: str) -> Done:
    """Run a command of the next version."""
    child = beginning(fake, there, *arguments)
    out, err = child.communicate()
    return Done(child.returncode, out, err)


def beginning(fake: Fake, there: Path, *arguments: str) -> subprocess.Popen[str]:
    """Begin a command of the next version."""
    return subprocess.Popen(
        [sys.executable, "-m", "companion", "-C", str(fake.project), *arguments],
        env=fake.desk.environment | {"PYTHONPATH": str(there)},
        cwd=there,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
