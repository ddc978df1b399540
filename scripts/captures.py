"""Capture what commands print, at 80, 100 and 160 columns, in color and without.

All captures go to build/captures/, each named by its width; docs/commands.txt has those of 80
columns without color, docs/beside.txt what other programs say in the same situation. Commands run
in a home of their own, which has a project that was never started, so that no engine is needed and
the result is the same on every machine.
"""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
WIDTHS = (80, 100, 160)
SHOWN = (
    "", "help", "statsu", "up --bramch", "validate", "-C broken validate", "list",
    "trust show", "plugins", "keys", "compose", "help up", "help logs",
)  # fmt: skip
"""What docs/commands.txt has."""
BESIDE = (
    "companion statsu", "uv snyc", "podman imagse", "docker-compose stpo",
    "companion -C empty up", "uv --directory empty sync", "docker-compose -f empty/compose.yaml up",
    "companion -C broken validate", "uv --directory broken lock",
    "docker-compose -f broken/compose.yaml config",
)  # fmt: skip
"""What docs/beside.txt has: a mistyped command, nothing to work on, several mistakes at once."""
COMPOSE = "servises:\n  app: {imag: app}\nservices:\n  app: {imag: app, port: [1]}\n"
BROKEN = """\
name: app
runtime: codexx
egres: listed
features:
  - plugin: sshh
  - plugin: custom-runtime
    entrypoint_hooks: [missing.sh]
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        home = Path(place, "ada")
        project = _prepared(home)
        commands = (*SHOWN, *(f"help {name}" for name in _names(home, project)))
        lines = tuple(f"companion {command}".rstrip() for command in commands)
        for color in (False, True):
            for width in WIDTHS:
                name = f"{width}{'-color' if color else ''}"
                captures = _captured(home, project, lines, width, color, f"{name}.txt")
                beside = _captured(home, project, BESIDE, width, color, f"beside-{name}.txt")
                if (width, color) == (80, False):
                    shown = {line: captures[line] for line in lines[: len(SHOWN)]}
                    (ROOT / "docs/commands.txt").write_text(_text(shown))
                    (ROOT / "docs/beside.txt").write_text(_text(beside))
                wide = [line for line, text in captures.items() if _width(text) > width]
                print(f"{width} columns, {'color' if color else 'plain'}: wider {wide or 'none'}")


def _prepared(home: Path) -> Path:
    project = home / "app"
    (project / "broken").mkdir(parents=True)
    (project / "empty").mkdir()
    (project / "broken/agent.yaml").write_text(BROKEN)
    (project / "broken/compose.yaml").write_text(COMPOSE)
    (project / "broken/pyproject.toml").write_text('[project]\nnam = "app"\nversion = 1\n')
    settings = home / ".config/companion/settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"trust: {{always: [{home}]}}\n")
    _capture(home, project, "companion init . --runtime claude-code", 80, color=False)
    return project


def _names(home: Path, project: Path) -> list[str]:
    text = _capture(home, project, "companion help", 80, color=False)
    return re.findall(r"^  ([a-z]+)  ", text.partition("\nexamples:")[0], re.MULTILINE)


def _captured(
    home: Path, project: Path, lines: tuple[str, ...], width: int, color: bool, name: str
) -> dict[str, str]:
    captures = {line: _capture(home, project, line, width, color) for line in lines}
    file = ROOT / "build/captures" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_text(captures))
    return captures


def _capture(home: Path, project: Path, line: str, width: int, color: bool) -> str:
    """Return what a command writes to a terminal."""
    kept = {"PATH": "/nowhere", "LANG": "C.UTF-8", "TERM": "xterm-256color", "HOME": str(home)}
    wish = {"FORCE_COLOR": "1"} if color else {"NO_COLOR": "1"}
    name, *arguments = line.split()
    program = shutil.which(name, path=f"{BIN}:{os.environ['PATH']}") or name
    mine, its = pty.openpty()
    child = subprocess.Popen(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=its,
        cwd=project,
        env=kept | wish | {"COLUMNS": str(width)},
    )
    os.close(its)
    parts = []
    with suppress(OSError):  # its end is closed
        while select.select([mine], [], [], 60)[0] and (part := os.read(mine, 65536)):
            parts.append(part)
    child.wait()
    os.close(mine)
    text = b"".join(parts).decode().replace("\r\n", "\n")
    return text.replace(str(project), "~/app").replace(str(home), "~")


def _text(captures: dict[str, str]) -> str:
    blocks = (f"$ {line}\n{text}" for line, text in captures.items())
    return "\n".join(blocks)


def _width(text: str) -> int:
    return max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()), default=0)


if __name__ == "__main__":
    main()
