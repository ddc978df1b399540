"""Windows and macOS, simulated: no such machine is here.

Our modules are imported anew with an `os`, `socket`, `signal` and `sys` that lack what the platform
lacks; programs and libraries that we use stay those of Linux. So it shows what of ours asks for a
name that is not there, and nothing of how Windows and macOS behave.
"""

# usage: other_platform.py PLATFORM [COMMAND OF COMPANION...]
# prints the modules that cannot be imported as JSON, then runs the command.
import contextlib
import errno
import importlib
import json
import os
import pkgutil
import sys
import types
from collections.abc import Iterator

import companion
import editors
import ssh

platform, command = sys.argv[1], sys.argv[2:]
LACKING = {
    "darwin": {
        "os": ["O_PATH", "listxattr", "getxattr", "sched_getaffinity"],
        "socket": [],
        "signal": [],
    },
    "win32": {
        "os": [
            "O_CLOEXEC",
            "O_DIRECTORY",
            "O_NOFOLLOW",
            "O_NONBLOCK",
            "O_PATH",
            "chown",
            "fchmod",
            "fchown",
            "fork",
            "forkpty",
            "fstatvfs",
            "fwalk",
            "getegid",
            "geteuid",
            "getgid",
            "getgroups",
            "getloadavg",
            "getpgid",
            "getuid",
            "killpg",
            "listxattr",
            "mkfifo",
            "openpty",
            "sched_getaffinity",
            "setsid",
            "statvfs",
            "uname",
        ],
        "socket": ["AF_UNIX"],
        "signal": ["SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "SIGUSR2"],
    },
}[platform]
NO_HANDLES = {"name": "nt", "supports_dir_fd": frozenset()}
VALUES = {"sys": {"platform": platform}, "os": NO_HANDLES if platform == "win32" else {}}
MISSING = {
    "win32": ["fcntl", "grp", "pwd", "pty", "resource", "termios", "tty", "dbus_fast"],
    "darwin": ["dbus_fast"],
}


def missing(*_):
    raise FileNotFoundError


REGISTRY = {
    "HKEY_CURRENT_USER": 0,
    "REG_SZ": 1,
    "OpenKey": missing,
    "CreateKey": lambda *_: contextlib.nullcontext(),
    "DeleteValue": missing,
    "SetValueEx": lambda *written: sys.stdout.write(f"registry: {written[1:]}\n"),
}
LIBRARIES = (
    "filelock",
    "paramiko",
    "platformdirs",
    "watchdog.observers",
    "PIL.Image",
    "yaml",
    "dotenv",
)


def names() -> Iterator[str]:
    for package in (companion, ssh, editors):
        yield package.__name__
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "tray.linux" not in found.name and not found.name.endswith("__main__"):
                yield found.name


class Without(types.ModuleType):
    def __init__(self, real, lacking, values):
        super().__init__(real.__name__)
        self.__dict__.update({"_real": real, "_lacking": frozenset(lacking), **values})

    def __getattr__(self, name):
        if name in self._lacking:
            raise AttributeError(f"module {self._real.__name__!r} has no attribute {name!r} here")
        return getattr(self._real, name)


every = sorted(names())
for name in every:  # libraries are loaded by the system that is there
    importlib.import_module(name)
for name in LIBRARIES:
    importlib.import_module(name)
windows_dirs = importlib.import_module("platformdirs.windows")
windows_dirs._RESOLVE_WIN_FOLDER = windows_dirs.get_win_folder_from_env_vars  # no shell to ask
os.environ["USERPROFILE"] = os.environ["HOME"]
os.environ["LOCALAPPDATA"] = f"{os.environ['HOME']}/AppData/Local"
os.environ["APPDATA"] = f"{os.environ['HOME']}/AppData/Roaming"
for name in every:
    sys.modules.pop(name, None)
for name in ("os", "socket", "signal", "sys"):
    real = sys.modules[name]
    sys.modules[name] = Without(real, LACKING.get(name, ()), VALUES.get(name, {}))
sys.modules.update(dict.fromkeys(MISSING[platform]))
if platform == "win32":
    lock = {"LK_LOCK": 1, "LK_NBLCK": 2, "locking": lambda *_: None}
    for name, content in (("msvcrt", lock), ("winreg", REGISTRY)):
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(content)


def no_proc(event: str, arguments: tuple[object, ...]) -> None:
    """Have files of /proc and /sys be missing, as far as an audit hook hears of them."""
    if event in {"open", "os.listdir", "os.scandir"} and arguments[0] is not None:
        path = arguments[0]
        if isinstance(path, str) and path.startswith(("/proc", "/sys/")):
            raise FileNotFoundError(errno.ENOENT, "no such file here", path)


sys.addaudithook(no_proc)
failed = {}
for name in every:
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - that is the question
        failed[name] = repr(error)
sys.stdout.write(json.dumps(failed) + "\n")
sys.stdout.flush()
if not failed and command:
    raise SystemExit(sys.modules["companion.cli.main"].main(command))
