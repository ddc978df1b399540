"""Installed: observes how this program came here, and which others of its name are on PATH."""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from companion.errors import CompanionError
from companion.operations.installation import NAME, Facts, Installation, Owner, of
from companion.system import files, process, search

_PROGRAM = "companion"
_BUNDLED = "_internal"
"""The directory that lies beside the program of a bundle."""
_SECONDS = 10.0
_OWNERS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("dpkg-query", "--search"), ("apt",)),
    (("rpm", "--query", "--qf", "%{NAME}: ", "--file"), ("dnf", "zypper")),
    (("pacman", "--query", "--quiet", "--owns"), ("pacman",)),
)
"""Asks who has a file, and prints the name of the package first → managers of its packages."""
_METADATA = f"{NAME.replace('-', '_')}-*.dist-info"
_PACKAGES = ("lib/python3*/site-packages", "lib/python3*/dist-packages", "Lib/site-packages")
_SHEBANG = re.compile(r"#!\s*(/\S*python[\d.]*)|exec' \"?(/[^\"']*python[\d.]*)")
"""The interpreter of a script, also where a long path is written as a line of sh."""


def this() -> Installation:
    """Return the installation that runs."""
    return of(_facts(Path(sys.executable), _own_prefix(), Path(__file__)))


def others() -> tuple[Installation, ...]:
    """Return the other installations on PATH, in its order."""
    own = _own_prefix()
    found: dict[Path, Installation] = {}
    for program in _on_path():
        interpreter = _interpreter(program)
        prefix = _prefix(interpreter) if interpreter else program.parent
        if not _same(prefix, own):
            facts = _facts(interpreter or program, prefix, program)
            found.setdefault(files.real(prefix), of(facts))
    return tuple(found.values())


def first_on_path() -> Path | None:
    """Return the program that a shell starts for `companion`."""
    return next(_on_path(), None)


def is_of_this(program: Path) -> bool:
    """Tell whether a program, an interpreter or a script, belongs to this installation."""
    interpreter = _interpreter(files.real(program)) or program
    return _same(_prefix(interpreter), _own_prefix()) or _same(program, Path(sys.executable))


def _own_prefix() -> Path:
    """Return our environment; a bundle's is its program's directory, not that of its Python."""
    return Path(sys.executable).parent if getattr(sys, "frozen", False) else Path(sys.prefix)


def _on_path() -> Iterator[Path]:
    """Yield the programs of installations; a wrapper or shim does not say whose it is."""
    for entry in os.environ.get("PATH", os.defpath).split(os.pathsep):
        for name in (_PROGRAM, f"{_PROGRAM}.exe") if sys.platform == "win32" else (_PROGRAM,):
            program = Path(entry, name)
            if program.is_absolute() and os.access(program, os.X_OK) and files.is_file(program):
                real = files.real(program)
                if _interpreter(real) or (real.parent / _BUNDLED).is_dir():
                    yield real


def _interpreter(program: Path) -> Path | None:
    """Return the Python that a script is run by; None: it is no script."""
    with suppress(OSError), program.open("rb") as file:
        found = _SHEBANG.search(file.read(512).decode(errors="replace"))
        return Path(found[1] or found[2]) if found else None
    return None


def _prefix(interpreter: Path) -> Path:
    """Return the environment of an interpreter; links to the system's Python are not followed."""
    return interpreter.parent.parent


def _same(one: Path, other: Path) -> bool:
    return files.real(one) == files.real(other)


def _facts(program: Path, prefix: Path, ours: Path) -> Facts:
    """Return what can be observed; `ours` is a file that a package would have brought."""
    frozen = bool(getattr(sys, "frozen", False)) if program == Path(sys.executable) else (
        prefix / _BUNDLED
    ).is_dir()  # fmt: skip
    metadata = None if frozen else _metadata(prefix)
    return Facts(
        program=str(program),
        prefix=str(prefix),
        top=_names(prefix),
        installer=(_text(metadata / "INSTALLER") if metadata else "").strip(),
        source=_source(metadata) if metadata else "",
        owner=_owner(files.real(program if frozen else ours)),
        frozen=frozen,
        platform=sys.platform,
    )


def _names(directory: Path) -> frozenset[str]:
    with suppress(OSError):
        return frozenset(os.listdir(directory))  # noqa: PTH208 - names are all that is wanted
    return frozenset()


def _metadata(prefix: Path) -> Path | None:
    """Return the metadata that installers leave, also in the user's own packages."""
    places = (prefix, Path(os.environ.get("HOME", "/"), ".local"))
    found = (path for place in places for kind in _PACKAGES
             for path in sorted(place.glob(f"{kind}/{_METADATA}")))  # fmt: skip
    return next(found, None)


def _source(metadata: Path) -> str:
    """Return the directory of an editable installation (PEP 610)."""
    with suppress(ValueError, LookupError, TypeError):
        direct = json.loads(_text(metadata / "direct_url.json"))
        if direct["dir_info"]["editable"]:
            return unquote(urlsplit(direct["url"]).path)
    return ""


def _text(path: Path) -> str:
    with suppress(CompanionError):
        return files.read_text(path) or ""
    return ""


def _owner(file: Path) -> Owner | None:
    """Return the package of the system that has a file."""
    for query, managers in _OWNERS:
        # Without a manager, rpm is a guest of another system: asked, it makes a database in HOME.
        if manager := next(filter(search.find, managers), ""):
            done = process.run((*query, str(file)), timeout=_SECONDS)
            if done.code == 0 and done.stdout.strip():
                return Owner(manager, re.split(r"[:,\s]", done.stdout.strip())[0])
    return None
