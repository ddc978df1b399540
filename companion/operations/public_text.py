"""Public text: what this machine's user may paste into a public issue.

The home directory becomes ~, and the names of the user and of the machine become variables. Names
of projects stay: a report without them helps nobody.
"""

import getpass
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from companion.system import files

_SHORTEST = 3
"""Characters of a name that can be told from a part of a word or a number."""
_BEFORE = r"(?<![\w.-])(?<!(?<![\w/])/)"
"""What comes before a name: it is no part of a word, nor a directory such as /dev."""
_ORDINARY = {"root", "user", "localhost", "companion", "docker", "podman", "agent"}
"""Names that tell nothing of anybody."""


def of_this_machine(home: Path) -> Callable[[str], str]:
    """Return the function that makes a text public."""
    user = host = ""
    with suppress(OSError, KeyError, ImportError):  # no such user in the password database
        user = getpass.getuser()
    with suppress(OSError):
        host = socket.gethostname().partition(".")[0]
    homes = tuple(dict.fromkeys((str(home), str(files.real(home)))))
    return lambda text: public(text, homes, user, host)


def public(text: str, homes: tuple[str, ...], user: str, host: str) -> str:
    """Return a text without the user's home directories, name and machine; pure."""
    for home in sorted(homes, key=len, reverse=True):
        if home.strip("/\\"):
            text = re.sub(rf"(?<![\w.~-]){re.escape(home)}(?![\w.-])", "~", text)
    for name, instead in ((user, "$USER"), (host, "$HOSTNAME")):
        if len(name) >= _SHORTEST and name.lower() not in _ORDINARY:
            text = re.sub(rf"{_BEFORE}{re.escape(name)}(?![\w-])", instead, text)
    return text
