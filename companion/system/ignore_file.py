"""Ignore files: adds our lines to a .gitignore, of which every byte stays as it was."""

from collections.abc import Iterable
from pathlib import Path

from companion.system import files, user_files


def add(path: Path, lines: Iterable[str]) -> bool:
    """Have a .gitignore hold these lines; return False if there was none before.

    Raises:
        CompanionError: the system refuses.
    """
    wanted = tuple(lines)
    return user_files.changing(path, lambda: _attempt(path, wanted))


def _attempt(path: Path, wanted: tuple[str, ...]) -> bool:
    old = user_files.read(path)
    if old is None:
        files.write(path, with_lines("", wanted), files.READABLE)
        return False
    user_files.write(path, with_lines(old, wanted), old, backup=False)
    return True


def with_lines(text: str, wanted: Iterable[str]) -> str:
    """Return a text that ends with those of the lines that it lacks, with its own line ends."""
    end = "\r\n" if "\r\n" in text else "\n"
    known = {line.strip() for line in text.splitlines()}
    missing = "".join(f"{line}{end}" for line in wanted if line not in known)
    joint = end if missing and text and not text.endswith("\n") else ""
    return text + joint + missing
