"""Desktop programs that open terminals and files, copy text and ask for a directory."""

import html
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from companion.errors import CompanionError
from companion.system import children, process, search

_A_LONG_THOUGHT = 3600.0
# Program, and what stands between it and the command; what the desktop's user chose comes first.
_TERMINALS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("xdg-terminal-exec", ()),
    ("x-terminal-emulator", ("-e",)),
    ("gnome-terminal", ("--",)),
    ("ptyxis", ("--",)),
    ("kgx", ("--",)),
    ("konsole", ("-e",)),
    ("xfce4-terminal", ("-x",)),
    ("mate-terminal", ("-x",)),
    ("kitty", ()),
    ("alacritty", ("-e",)),
    ("foot", ()),
    ("ghostty", ("-e",)),
    ("wezterm", ("start", "--")),
    ("xterm", ("-e",)),
)
_EDITORS = ("nano", "vim", "vi")
_DESKTOPS = ("WAYLAND_DISPLAY", "DISPLAY")
_CLIPBOARDS = (("wl-copy",), ("xclip", "-selection", "clipboard"), ("xsel", "-ib"))
_IMAGE_READERS = (
    ("wl-paste", "--type", "image/png"),
    ("xclip", "-selection", "clipboard", "-target", "image/png", "-out"),
)
_PNG = b"\x89PNG"
_LARGEST_IMAGE = 64 * 1024 * 1024
_THEN = "[ $? = 130 ] || { printf '\\nPress Enter to close this window. '; read -r _; }"
"""130: the user ended it."""
_QUOTES = "'\u2018\u2019\u201a\u201b"
"""Each ends a text in single quotes for PowerShell."""
_FOLDER = "The folder with agent.yaml"
_CHOOSERS = (
    ("zenity", "--file-selection", "--directory", f"--title={_FOLDER}"),
    ("kdialog", "--title", _FOLDER, "--getexistingdirectory"),
)


def companion(*arguments: str) -> tuple[str, ...]:
    """Return the argv that runs Companion in another process.

    -P and -E: neither the working directory nor the environment says what `companion` is.
    """
    return (sys.executable, "-P", "-E", "-m", "companion", *arguments)


def opener(target: str) -> tuple[str, ...]:
    """Return the argv that opens a file or an address with what the user chose for it."""
    if sys.platform == "darwin":
        return ("open", target)
    if sys.platform == "win32":
        # Not cmd's start: to cmd, what follows an & in an address is another command.
        return ("rundll32", "url.dll,FileProtocolHandler", target)
    return ("xdg-open", target)


def text_editor(file: str) -> tuple[str, ...] | None:
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
    has_desktop = sys.platform != "linux" or any(map(os.environ.get, _DESKTOPS))
    plain = next((name for name in _EDITORS if search.find(name)), None)
    return None if has_desktop or plain is None else (plain, file)


def terminal(command: Sequence[str]) -> tuple[str, ...]:
    """Return the argv that runs a command in a new window of the user's terminal.

    Raises:
        CompanionError: there is no terminal that we know.
    """
    if sys.platform == "darwin":
        script = shlex.join(command).replace("\\", "\\\\").replace('"', '\\"')
        tell = 'tell application "Terminal" to '
        return ("osascript", "-e", f'{tell}do script "{script}"', "-e", f"{tell}activate")
    if sys.platform == "win32":
        return ("wt", *command) if search.find("wt") else ("cmd", "/c", "start", "", *command)
    chosen = os.environ.get("TERMINAL")
    for name, before in ((chosen, ("-e",)), *_TERMINALS):
        if name and (program := search.find(name)):
            return (program, *before, *command)
    raise CompanionError("no terminal program is found", "set TERMINAL to the one that you use")


def staying(command: Sequence[str]) -> tuple[str, ...]:
    """Return the argv that runs a command and keeps its window until the user has read it."""
    if sys.platform == "darwin":  # its Terminal keeps windows
        return tuple(command)
    if sys.platform == "win32":
        return ("cmd", "/k", *command)
    shell = search.find("sh")
    return (shell, "-c", f'"$@"; {_THEN}', "sh", *command) if shell else tuple(command)


def confirm(question: str) -> bool:
    """Ask the user a question in a dialog, and return whether they agreed.

    Raises:
        CompanionError: no program here can ask.
    """
    for argv in _questions(question):
        if search.find(argv[0]):
            answer = process.run(argv, timeout=_A_LONG_THOUGHT)
            return answer.code == 0 and answer.stdout.strip() != "No"
    raise CompanionError("no program here can ask", "use the command line: `companion help`")


def copy(text: str) -> bool:
    """Put text on the clipboard; False: no program here does that."""
    for argv in _clipboards():
        if search.find(argv[0]):
            process.launch(argv, text)
            return True
    return False


def clipboard_image() -> bytes:
    """Return the clipboard's image as PNG; nothing if there is none, or no program reads it."""
    for argv in _IMAGE_READERS if os.environ.get("WAYLAND_DISPLAY") else _IMAGE_READERS[1:]:
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
    for argv in _choosers():
        if search.find(argv[0]):
            chosen = process.run(argv, timeout=_A_LONG_THOUGHT)
            name = chosen.stdout.strip()
            return Path(name) if chosen.code == 0 and name else None
    raise CompanionError("no program here can ask for a folder", "use `companion add DIR`")


def in_powershell(text: str) -> str:
    """Return a text as PowerShell takes it literally."""
    return "'" + re.sub(f"[{_QUOTES}]", r"\g<0>\g<0>", text) + "'"


def _clipboards() -> tuple[tuple[str, ...], ...]:
    if sys.platform == "darwin":
        return (("pbcopy",),)
    if sys.platform == "win32":
        return (("clip",),)
    return _CLIPBOARDS if os.environ.get("WAYLAND_DISPLAY") else _CLIPBOARDS[1:]


def _choosers() -> tuple[tuple[str, ...], ...]:
    if sys.platform == "darwin":
        script = f'POSIX path of (choose folder with prompt "{_FOLDER}")'
        return (("osascript", "-e", script),)
    if sys.platform == "win32":
        script = (
            "Add-Type -AssemblyName System.Windows.Forms;"
            "$d = New-Object System.Windows.Forms.FolderBrowserDialog;"
            "if ($d.ShowDialog() -eq 'OK') { $d.SelectedPath }"
        )
        return (("powershell", "-NoProfile", "-Command", script),)
    return _CHOOSERS


def _questions(question: str) -> tuple[tuple[str, ...], ...]:
    if sys.platform == "darwin":
        quoted = question.replace("\\", "\\\\").replace('"', '\\"')
        return (("osascript", "-e", f'display dialog "{quoted}" with title "Companion"'),)
    if sys.platform == "win32":
        script = (
            "Add-Type -AssemblyName System.Windows.Forms;"
            "[System.Windows.Forms.MessageBox]"
            f"::Show({in_powershell(question)}, 'Companion', 'YesNo')"
        )
        return (("powershell", "-NoProfile", "-Command", script),)
    return (
        ("zenity", "--question", "--no-markup", "--title=Companion", f"--text={question}"),
        ("kdialog", "--title", "Companion", "--yesno", html.escape(question, quote=False)),
    )
