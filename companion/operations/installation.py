"""Installation: how this program came here, by the traces that installers leave."""

import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from companion.system import files, process

NAME = "companion-sandbox"
"""What the package is called at the index and in systems' package managers."""
_MARKS = {
    "uv-receipt.toml": f"uv tool uninstall {NAME}",
    "pipx_metadata.json": f"pipx uninstall {NAME}",
}
"""A file that a manager of tools leaves in an environment → how the tool is removed."""
_OWNERS = (("dpkg-query", "--search"), "apt remove"), (("rpm", "--query", "--file"), "dnf remove")
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Traces:
    """What tells who installed us."""

    names: frozenset[str]
    """The files at the top of our Python environment."""
    installer: str
    """Who says to have written our files: pip, uv, or nobody."""
    python: str
    manager: str = ""
    """How the system's package manager removes packages, if one of its packages has our files."""


def removal() -> str:
    """Return the command that removes this program."""
    return command(_traces())


def command(traces: Traces) -> str:
    """Return the command that removes what left these traces."""
    if traces.manager:
        return f"sudo {traces.manager} {NAME}"
    if found := next((c for mark, c in _MARKS.items() if mark in traces.names), ""):
        return found
    if traces.installer == "uv":
        return f"uv pip uninstall --python {traces.python} {NAME}"
    return f"{traces.python} -P -m pip uninstall {NAME}"


def _traces() -> Traces:
    top = Path(sys.prefix)
    names = frozenset(path.name for path in top.iterdir()) if top.is_dir() else frozenset()
    try:
        installer = metadata.distribution(NAME).read_text("INSTALLER") or ""
    except metadata.PackageNotFoundError:
        installer = ""
    return Traces(names, installer.strip(), sys.executable, _manager())


def _manager() -> str:
    ours = str(files.real(Path(__file__)))
    for query, remove in _OWNERS:
        if process.run((*query, ours), timeout=_SECONDS).code == 0:
            return remove
    return ""
