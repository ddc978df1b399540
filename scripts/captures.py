"""Capture what commands print, at 80, 100 and 160 columns, in color and without.

All captures go to build/captures/, each named by its width; docs/commands.txt has those of 80
columns without color. Commands run in a home of their own, which has a project that was never
started, so that no engine is needed and the result is the same on every machine.
"""

import os
import pty
import re
import select
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMPANION = Path(sys.executable).parent / "companion"
WIDTHS = (80, 100, 160)
SHOWN = (
    "", "help", "statsu", "up --bramch", "validate", "-C broken validate", "list",
    "trust show", "plugins", "keys", "compose", "help up", "help logs",
)  # fmt: skip
"""What docs/commands.txt has."""
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
        for color in (False, True):
            for width in WIDTHS:
                captures = {line: _capture(home, project, line, width, color) for line in commands}
                _write(captures, f"{width}{'-color' if color else ''}")
                if (width, color) == (80, False):
                    shown = {line: captures[line] for line in SHOWN}
                    (ROOT / "docs/commands.txt").write_text(_text(shown))
                wide = [line for line, text in captures.items() if _width(text) > width]
                print(f"{width} columns, {'color' if color else 'plain'}: wider {wide or 'none'}")


def _prepared(home: Path) -> Path:
    project = home / "app"
    (project / "broken").mkdir(parents=True)
    (project / "broken/agent.yaml").write_text(BROKEN)
    settings = home / ".config/companion/settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"trust: {{always: [{home}]}}\n")
    _capture(home, project, "init . --runtime claude-code", 80, color=False)
    return project


def _names(home: Path, project: Path) -> list[str]:
    text = _capture(home, project, "help", 80, color=False)
    return re.findall(r"^  ([a-z]+)  ", text.partition("\nexamples:")[0], re.MULTILINE)


def _capture(home: Path, project: Path, line: str, width: int, color: bool) -> str:
    """Return what a command writes to a terminal."""
    kept = {"PATH": "/nowhere", "LANG": "C.UTF-8", "TERM": "xterm-256color", "HOME": str(home)}
    wish = {"FORCE_COLOR": "1"} if color else {"NO_COLOR": "1"}
    mine, its = pty.openpty()
    child = subprocess.Popen(
        [COMPANION, *line.split()],
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


def _write(captures: dict[str, str], name: str) -> None:
    file = ROOT / "build/captures" / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_text(captures))


def _text(captures: dict[str, str]) -> str:
    blocks = (f"$ companion {line}".rstrip() + f"\n{text}" for line, text in captures.items())
    return "\n".join(blocks)


def _width(text: str) -> int:
    return max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()), default=0)


if __name__ == "__main__":
    main()
