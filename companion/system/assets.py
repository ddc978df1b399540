"""Where the static files that ship with Companion lie, and its code."""

import shutil
import sys
from pathlib import Path


def assets_directory() -> Path:
    """Return where our assets lie: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parent.parent
    inside = package / "assets"
    return inside if inside.is_dir() else package.parent / "assets"


def troubleshooting() -> Path:
    """Return the page that explains our messages: among the documents, or in a wheel the assets."""
    inside = assets_directory() / "troubleshooting.md"
    return inside if inside.is_file() else assets_directory().parent / "docs/troubleshooting.md"


def code_directories() -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the directories of our own code, and those of the Python that runs it."""
    package = Path(__file__).parent.parent
    inside = package / "libraries"
    beside = inside if inside.is_dir() else package.parent
    own = (package, beside / "ssh", beside / "editors", assets_directory())
    # A bundle's program lies beside its libraries.
    bundle = (Path(sys.executable).parent,) if getattr(sys, "frozen", False) else ()
    environments = (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    return (*own, *bundle), tuple(dict.fromkeys(map(Path, environments)))


def programs() -> tuple[Path, ...]:
    """Return the files by which users start Companion: a script, or a link to one."""
    started, found = Path(sys.argv[0]).absolute(), shutil.which("companion")
    named = (started,) if started.is_file() else ()
    return tuple(dict.fromkeys((*named, *((Path(found).absolute(),) if found else ()))))
