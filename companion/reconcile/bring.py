"""Bring: reads the user's own agent settings that settings.yaml chose for all sandboxes."""

from collections.abc import Iterable
from dataclasses import dataclass

from companion.errors import CompanionError
from companion.sandbox import brought
from companion.spec.containers import File
from companion.system import unlinked_tree
from companion.system.paths import Paths

_MOST_BYTES = 8 << 20
_MOST_FILES = 2000


@dataclass(frozen=True, slots=True)
class Brought:
    """The files for the agent's home, and what was left out, each with the reason."""

    files: tuple[File, ...] = ()
    left_out: tuple[str, ...] = ()


def read(home: Paths, chosen: Iterable[str]) -> Brought:
    """Read the chosen paths below the user's home.

    What is a link or holds a credential is left out. Only settings.yaml chooses, never a project.

    Raises:
        CompanionError: they are too many or too large, or this system cannot read them safely.
    """
    files: dict[str, File] = {}
    left_out: dict[str, str] = {}
    for path in chosen:
        for found in unlinked_tree.read(str(home.home), path, _MOST_BYTES):
            why = (
                brought.refusal(found.path)
                or found.obstacle
                or brought.refusal_of_content(found.content)
            )
            if why:
                left_out[found.path] = why
            else:
                files[found.path] = File(found.path, found.content, 0o644 | found.mode)
            _require_few(files)
    return Brought(
        tuple(files.values()), tuple(f"~/{path} {why}" for path, why in left_out.items())
    )


def _require_few(files: dict[str, File]) -> None:
    size = sum(len(file.content) for file in files.values())
    if size > _MOST_BYTES or len(files) > _MOST_FILES:
        most = f"{_MOST_FILES} files and {_MOST_BYTES >> 20} MiB"
        what = f"'bring' in settings.yaml names more than {most}"
        raise CompanionError(what, "name fewer files or directories")
