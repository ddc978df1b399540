"""Desktop programs that open terminals and files, copy text and ask for a directory."""

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from companion.errors import CompanionError
from companion.system import children, desktop_argv, platforms, process, search
from companion.system.desktop_argv import Argv

_A_LONG_THOUGHT = 3600.0
_EDITORS = ("nano", "vim", "vi")
_DESKTOPS = ("WAYLAND_DISPLAY", "DISPLAY")
_LARGEST_IMAGE = 64 * 1024 * 1024
_PNG = b"\x89PNG"


def companion(*arguments: str) -> tuple[str, ...]:
    """Return the argv that runs Companion in another process.

    -P and -E: neither the working directory nor the environment says what `companion` is. A bundle
    (PyInstaller) is a program of its own, whose loader heeds neither.
    """
    if getattr(sys, "frozen", False):
        return (sys.executable, *arguments)
    return (sys.executable, "-P", "-E", "-m", "companion", *arguments)


def windowless(*arguments: str) -> Argv:
    """Return the argv that runs Companion without a console window, which only Windows opens."""
    program, *rest = companion(*arguments)
    without = desktop_argv.windowless(platforms.HERE, program)
    return (without if Path(without).exists() else program, *rest)


def opener(target: str) -> Argv:
    """Return the argv that opens a file or an address with what the user chose for it."""
    return desktop_argv.opener(platforms.HERE, target)


def text_opener(file: Path) -> Argv:
    """Return the argv that opens a file to edit it as text, whatever it is named."""
    return desktop_argv.text_opener(platforms.HERE, str(file))


def text_editor(file: str) -> Argv | None:
    """Return the argv that edits a file in this terminal; None: the desktop has an editor for it.

    Only variables of the user choose it, no setting of a repository.

    Raises:
        CompanionError: a variable is no command line.
    """
    for variable in ("VISUAL", "EDITOR"):
        try:
            words = shlex.split(os.environ.get(variable, ""))
        except ValueError as error:
            raise CompanionError(f"${variable} is no command line: {error}", "correct it") from None
        if words:
            return (*words, file)
    has_desktop = platforms.HERE != "linux" or any(map(os.environ.get, _DESKTOPS))
    plain = next((name for name in _EDITORS if search.find(name)), None)
    return None if has_desktop or plain is None else (plain, file)


def terminal(command: Sequence[str]) -> Argv:
    """Return the argv that runs a command in a new window of the user's terminal.

    Raises:
        CompanionError: there is no terminal that we know.
    """
    chosen = os.environ.get("TERMINAL", "")
    found = _first(desktop_argv.terminals(platforms.HERE, chosen, command))
    if found is None:
        raise CompanionError("no terminal program is found", "set TERMINAL to the one that you use")
    return found


def staying(command: Sequence[str]) -> Argv:
    """Return the argv that runs a command and keeps its window until the user has read it."""
    return desktop_argv.staying(platforms.HERE, command, search.find("sh"))


def confirm(question: str) -> bool:
    """Ask the user a question in a dialog, and return whether they agreed.

    Raises:
        CompanionError: no program here can ask.
    """
    argv = _first(desktop_argv.questions(platforms.HERE, question))
    if argv is None:
        raise CompanionError("no program here can ask", "use the command line: `companion help`")
    answer = process.run(argv, timeout=_A_LONG_THOUGHT)
    return answer.code == 0 and answer.stdout.strip() != "No"


def copy(text: str) -> bool:
    """Put text on the clipboard; False: no program here does that."""
    argv = _first(desktop_argv.clipboards(platforms.HERE, wayland=_has_wayland()))
    if argv is not None:
        process.launch(argv, text)
    return argv is not None


def clipboard_image() -> bytes:
    """Return the clipboard's image as PNG; nothing if there is none, or no program reads it."""
    for argv in desktop_argv.image_readers(platforms.HERE, wayland=_has_wayland()):
        if search.find(argv[0]):
            with children.piped(argv) as reader:
                image = reader.stdout.read(_LARGEST_IMAGE)
                code, _ = reader.ends()
            if not code and image.startswith(_PNG):
                return image
    return b""


def choose_folder() -> Path | None:
    """Ask the user for a folder; None: nothing was chosen.

    Raises:
        CompanionError: no program here can ask.
    """
    argv = _first(desktop_argv.choosers(platforms.HERE))
    if argv is None:
        raise CompanionError("no program here can ask for a folder", "use `companion add DIR`")
    chosen = process.run(argv, timeout=_A_LONG_THOUGHT)
    name = chosen.stdout.strip()
    return Path(name) if chosen.code == 0 and name else None


def _has_wayland() -> bool:
    return bool(os.environ.get("WAYLAND_DISPLAY"))


def _first(candidates: Iterable[Argv]) -> Argv | None:
    """Return the first argv whose program is here, with its absolute path."""
    for name, *arguments in candidates:
        if program := search.find(name):
            return (program, *arguments)
    return None
