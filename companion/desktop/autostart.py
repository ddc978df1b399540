"""Does the tray start with the desktop session? One file, or one value of the registry, of ours."""

import plistlib
import sys
from contextlib import suppress
from pathlib import Path

from companion.desktop import made_directories
from companion.system import files, programs
from companion.system.paths import Paths

_NAME = "companion"
_LABEL = "dev.companion.tray"
_RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"


def place(home: Paths) -> str:
    """Return where it stands, for people to read."""
    return f"HKCU\\{_RUN_KEY}\\{_NAME}" if sys.platform == "win32" else str(_file(home))


def is_on(home: Paths) -> bool:
    """Tell whether the tray starts at login."""
    if sys.platform == "win32":
        return _registered()
    return _file(home).exists()


def turn_on(home: Paths) -> None:
    """Have the tray started at login, with the Python that runs this."""
    command = list(programs.companion("tray"))
    if sys.platform == "win32":
        _register(command)
        return
    made_directories.note(home, _file(home))
    text = launch_agent(command) if sys.platform == "darwin" else desktop_entry(command)
    files.write(_file(home), text, files.READABLE)


def turn_off(home: Paths) -> None:
    """Do not have the tray started at login."""
    if sys.platform == "win32":
        _unregister()
    else:
        files.remove(_file(home))


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


def launch_agent(command: list[str]) -> bytes:
    """Return a property list for launchd; it starts the tray again after a crash."""
    values = {
        "Label": _LABEL,
        "ProgramArguments": command,
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ProcessType": "Interactive",
    }
    return plistlib.dumps(values)


def _quoted(word: str) -> str:
    """Quote a word for an Exec line: a string's escapes first, then those of the quotes."""
    for character in '\\"`$':
        word = word.replace(character, f"\\{character}")
    return '"' + word.replace("\\", "\\\\").replace("%", "%%") + '"'


def _file(home: Paths) -> Path:
    if sys.platform == "darwin":
        return home.home / "Library" / "LaunchAgents" / f"{_LABEL}.plist"
    return home.programs / "autostart" / f"{_NAME}.desktop"


if sys.platform == "win32":
    import winreg

    def _registered() -> bool:
        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _RUN_KEY) as key:
                winreg.QueryValueEx(key, _NAME)
        except FileNotFoundError:
            return False
        return True

    def _register(command: list[str]) -> None:
        text = " ".join(f'"{word}"' for word in command)
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, _RUN_KEY) as key:
            winreg.SetValueEx(key, _NAME, 0, winreg.REG_SZ, text)

    def _unregister() -> None:
        key = winreg.CreateKey(winreg.HKEY_CURRENT_USER, _RUN_KEY)
        with key, suppress(FileNotFoundError):
            winreg.DeleteValue(key, _NAME)
