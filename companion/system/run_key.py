"""The values of the Windows registry that name the programs which start at the user's login."""

import sys
from contextlib import suppress

RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"

if sys.platform == "win32":
    import winreg

    def has(name: str) -> bool:
        """Tell whether there is a value of this name."""
        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
                winreg.QueryValueEx(key, name)
        except FileNotFoundError:
            return False
        return True

    def write(name: str, command_line: str) -> None:
        """Have a command line run at login."""
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
            winreg.SetValueEx(key, name, 0, winreg.REG_SZ, command_line)

    def remove(name: str) -> None:
        """Remove a value, if there is one."""
        key = winreg.CreateKey(winreg.HKEY_CURRENT_USER, RUN_KEY)
        with key, suppress(FileNotFoundError):
            winreg.DeleteValue(key, name)

else:

    def has(_name: str) -> bool:
        """Tell that there is none: only Windows has a registry."""
        return False

    def write(_name: str, _command_line: str) -> None:
        """Do nothing: only Windows has a registry."""

    def remove(_name: str) -> None:
        """Do nothing: only Windows has a registry."""
