"""Command lines of desktop programs on each platform, in order of preference; nothing is run."""

import re
import shlex
from collections.abc import Sequence

from companion.system import plain
from companion.system.platforms import Platform

Argv = tuple[str, ...]
_TERMINALS: tuple[tuple[str, Argv], ...] = (
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
"""Program, and what stands between it and the command; the user's own choice comes first."""
_THEN = "[ $? = 130 ] || { printf '\\nPress Enter to close this window. '; read -r _; }"
"""130: the user ended it."""
_QUOTES = "'\u2018\u2019\u201a\u201b"
"""Each ends a text in single quotes for PowerShell."""
_FOLDER = "The folder with agent.yaml"
_POWERSHELL = ("powershell", "-NoProfile", "-Command")
_FORMS = "Add-Type -AssemblyName System.Windows.Forms;"


def windowless(platform: Platform, program: str) -> str:
    """Return the program beside ours that is the same without a console window (Windows).

    Python comes with one, and so does our bundle (installer/windows).
    """
    found = re.fullmatch(r"(.*[\\/])?(python|companion)\.exe", program, re.IGNORECASE)
    if platform != "win32" or found is None:
        return program
    name = "pythonw" if found[2].lower() == "python" else "companion-tray"
    return f"{found[1] or ''}{name}.exe"


def opener(platform: Platform, target: str) -> Argv:
    """Return the argv that opens a file or an address with what the user chose for it."""
    if platform == "darwin":
        return ("open", target)
    if platform == "win32":
        # Not cmd's start: to cmd, what follows an & in an address is another command.
        return ("rundll32", "url.dll,FileProtocolHandler", target)
    return ("xdg-open", target)


def text_opener(platform: Platform, file: str) -> Argv:
    """Return the argv that opens a file to edit it as text.

    Its name may be a link to a program, which macOS and Windows would run.
    """
    if platform == "darwin":
        return ("open", "-t", file)
    return ("notepad", file) if platform == "win32" else ("xdg-open", file)


def terminals(platform: Platform, chosen: str, command: Sequence[str]) -> tuple[Argv, ...]:
    """Return the argvs that run a command in a new window of a terminal.

    Args:
        platform: the desktop's.
        chosen: the terminal that its user chose, "" for none; Linux only.
        command: the argv to run.
    """
    if platform == "darwin":
        tell = 'tell application "Terminal" to '
        script = f"{tell}do script {_applescript(shlex.join(command))}"
        return (("osascript", "-e", script, "-e", f"{tell}activate"),)
    if platform == "win32":
        return (("wt", *command), ("cmd", "/c", "start", "", *command))
    known = ((chosen, ("-e",)), *_TERMINALS) if chosen else _TERMINALS
    return tuple((name, *before, *command) for name, before in known)


def staying(platform: Platform, command: Sequence[str], shell: str | None) -> Argv:
    """Return the argv that runs a command and keeps its window until the user has read it."""
    if platform == "darwin":  # its Terminal keeps windows
        return tuple(command)
    if platform == "win32":
        return ("cmd", "/k", *command)
    return (shell, "-c", f'"$@"; {_THEN}', "sh", *command) if shell else tuple(command)


def clipboards(platform: Platform, *, wayland: bool) -> tuple[Argv, ...]:
    """Return the argvs that copy their standard input."""
    if platform == "darwin":
        return (("pbcopy",),)
    if platform == "win32":
        return (("clip",),)
    x11 = (("xclip", "-selection", "clipboard"), ("xsel", "-ib"))
    return (("wl-copy",), *x11) if wayland else x11


def image_readers(platform: Platform, *, wayland: bool) -> tuple[Argv, ...]:
    """Return the argvs that print the clipboard's image as PNG; other platforms have none."""
    if platform != "linux":
        return ()
    x11 = (("xclip", "-selection", "clipboard", "-target", "image/png", "-out"),)
    return (("wl-paste", "--type", "image/png"), *x11) if wayland else x11


def choosers(platform: Platform) -> tuple[Argv, ...]:
    """Return the argvs that ask for a folder and print its path."""
    if platform == "darwin":
        return (("osascript", "-e", f'POSIX path of (choose folder with prompt "{_FOLDER}")'),)
    if platform == "win32":
        script = (
            f"{_FORMS}$d = New-Object System.Windows.Forms.FolderBrowserDialog;"
            "if ($d.ShowDialog() -eq 'OK') { $d.SelectedPath }"
        )
        return ((*_POWERSHELL, script),)
    return (
        ("zenity", "--file-selection", "--directory", f"--title={_FOLDER}"),
        ("kdialog", "--title", _FOLDER, "--getexistingdirectory"),
    )


def questions(platform: Platform, question: str) -> tuple[Argv, ...]:
    """Return the argvs that ask a question: exit code 0 and anything but `No` is a yes."""
    if platform == "darwin":
        dialog = f'display dialog {_applescript(question)} with title "Companion"'
        return (("osascript", "-e", dialog),)
    if platform == "win32":
        box = "[System.Windows.Forms.MessageBox]"
        script = f"{_FORMS}{box}::Show({in_powershell(question)}, 'Companion', 'YesNo')"
        return ((*_POWERSHELL, script),)
    return (
        ("zenity", "--question", "--no-markup", "--title=Companion", f"--text={question}"),
        ("kdialog", "--title", "Companion", "--yesno", plain.escaped(question)),
    )


def in_powershell(text: str) -> str:
    """Return a text as PowerShell takes it literally."""
    return "'" + re.sub(f"[{_QUOTES}]", r"\g<0>\g<0>", text) + "'"


def _applescript(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
