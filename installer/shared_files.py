"""Write what every package of Companion has besides the program: manual pages and completions.

Usage: shared_files.py DIRECTORY (written anew; its files belong below a prefix: share/…)
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import manuals  # noqa: E402 - from the checkout that this file is in
from argcomplete import shell_integration  # noqa: E402

_COMPLETIONS = {
    "bash": "share/bash-completion/completions/companion",
    "zsh": "share/zsh/site-functions/_companion",
    "fish": "share/fish/vendor_completions.d/companion.fish",
}


def shared() -> Iterator[tuple[str, str]]:
    """Yield the path below the prefix and the text of each file."""
    for name, text in manuals.pages((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")):
        yield f"share/man/man{name[-1]}/{name}", text
    for shell, path in _COMPLETIONS.items():
        yield path, shell_integration.shellcode(["companion"], shell=shell).strip() + "\n"


def main(directory: Path) -> None:
    """Write all files."""
    shutil.rmtree(directory, ignore_errors=True)
    for name, text in shared():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
