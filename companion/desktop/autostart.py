"""Does the tray start with the desktop session? One file, or one value of the registry, of ours."""

import re
from contextlib import suppress
from pathlib import Path

from companion.desktop import made_directories
from companion.system import files, programs, run_key
from companion.system.paths import Paths
from companion.system.platforms import HERE, Platform

_NAME = "companion"
_LABEL = "dev.companion.tray"
_PROGRAM = re.compile(r'^Exec=(?:"((?:[^"\\]|\\.)*)"|(\S+))', re.MULTILINE)
"""The first word of an Exec line."""


def place(home: Paths, platform: Platform = HERE) -> str:
    """Return where it stands, for people to read."""
    found = file(home, platform)
    return f"HKCU\\{run_key.RUN_KEY}\\{_NAME}" if found is None else str(found)


def is_on(home: Paths) -> bool:
    """Tell whether the tray starts at login."""
    found = file(home, HERE)
    return run_key.has(_NAME) if found is None else found.exists()


def program(home: Paths) -> Path | None:
    """Return the program that is started at login; None: nothing is, or it is not known."""
    found = file(home, HERE)
    text = files.read_text(found) if found else None
    return started(HERE, text or "")


def started(platform: Platform, text: str) -> Path | None:
    """Return the program that content() named, from the text that it returned."""
    if platform == "darwin":
        import plistlib  # noqa: PLC0415 - a tray on Linux saves its memory

        with suppress(ValueError, LookupError, TypeError):
            return Path(plistlib.loads(text.encode())["ProgramArguments"][0])
        return None
    found = _PROGRAM.search(text)
    if found is None:
        return None
    word = (found[1] or found[2]).replace("%%", "%").replace("\\\\", "\\")
    return Path(re.sub(r"\\(.)", r"\1", word))


def turn_on(home: Paths) -> None:
    """Have the tray started at login, with the Python that runs this."""
    found, text = file(home, HERE), content(HERE, list(programs.windowless("tray")))
    if found is None:
        run_key.write(_NAME, text)
    else:
        made_directories.note(home, found)
        files.write(found, text, files.READABLE)


def turn_off(home: Paths) -> None:
    """Do not have the tray started at login."""
    found = file(home, HERE)
    if found is None:
        run_key.remove(_NAME)
    else:
        files.remove(found)


def file(home: Paths, platform: Platform) -> Path | None:
    """Return the file that starts the tray; None: Windows has a value of the registry instead."""
    if platform == "win32":
        return None
    if platform == "darwin":
        return home.home / "Library" / "LaunchAgents" / f"{_LABEL}.plist"
    return home.programs / "autostart" / f"{_NAME}.desktop"


def content(platform: Platform, command: list[str]) -> str:
    """Return what the file, or the value of the registry, says to run a command."""
    if platform == "win32":
        return command_line(command)
    return launch_agent(command) if platform == "darwin" else desktop_entry(command)


def desktop_entry(command: list[str]) -> str:
    """Return an XDG autostart entry (freedesktop.org, Desktop Entry Specification)."""
    return (
        "[Desktop Entry]\n"
        "Type=Application\n"
        "Name=Companion\n"
        "Comment=Sandboxes for coding agents\n"
        f"Exec={' '.join(map(_quoted, command))}\n"
        "Terminal=false\n"
        "X-GNOME-Autostart-enabled=true\n"
    )


def launch_agent(command: list[str]) -> str:
    """Return a property list for launchd; it starts the tray again after a crash."""
    import plistlib  # noqa: PLC0415 - as above

    values = {
        "Label": _LABEL,
        "ProgramArguments": command,
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ProcessType": "Interactive",
    }
    return plistlib.dumps(values).decode()


def command_line(command: list[str]) -> str:
    """Return a command line for Windows.

    Raises:
        ValueError: a word has a quotation mark, which no path has there.
    """
    if any('"' in word for word in command):
        raise ValueError(command)
    return " ".join(f'"{word}"' for word in command)


def _quoted(word: str) -> str:
    """Quote a word for an Exec line: a string's escapes first, then those of the quotes."""
    for character in '\\"`$':
        word = word.replace(character, f"\\{character}")
    return '"' + word.replace("\\", "\\\\").replace("%", "%%") + '"'
