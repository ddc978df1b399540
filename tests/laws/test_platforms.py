"""What differs between Linux, macOS and Windows, decided for each of them on this one."""

import ast
import json
import plistlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import ROOT
from platformdirs import windows

from companion.desktop import autostart
from companion.keychain import desktop as keychain
from companion.system import desktop_argv, platforms, process, search
from companion.system.paths import Paths
from companion.system.platforms import Platform
from editors.base import Desktop
from editors.catalogue import EDITORS

ALL: tuple[Platform, ...] = ("linux", "darwin", "win32")
COMMAND = ["C:/Program Files/Companion/companion.exe", "tray"]
each = pytest.mark.parametrize("platform", ALL)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("APPDATA", f"{tmp_path}/AppData/Roaming")
    monkeypatch.setenv("LOCALAPPDATA", f"{tmp_path}/AppData/Local")
    get = windows.get_win_folder_from_env_vars  # elsewhere there is no shell to ask
    monkeypatch.setattr(windows, "_RESOLVE_WIN_FOLDER", get)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


PLACES = {
    "linux": (".config/companion", ".local/share/companion", ".local/state/companion", ".config"),
    "darwin": tuple(
        f"Library/Application Support{end}"
        for end in ("/companion", "/companion/data", "/companion/state", "")
    ),
    "win32": (
        "AppData/Local/companion",
        "AppData/Local/companion/data",
        "AppData/Local/companion/state",
        "AppData/Roaming",
    ),
}


@each
def test_removing_data_and_state_leaves_the_users_settings(home: Path, platform: Platform):
    found = Paths.of_user(platform)
    places = (found.config, found.data, found.state, found.programs)
    assert tuple(place.relative_to(home).as_posix() for place in places) == PLACES[platform]
    for ours in (found.data, found.state):
        assert not found.settings.is_relative_to(ours)
        assert not found.sandboxes.is_relative_to(ours)


@each
def test_the_tray_starts_at_login_by_a_file_or_a_value_of_the_registry(
    home: Path, platform: Platform
):
    where = autostart.place(Paths.of_user(platform), platform)
    text = autostart.content(platform, COMMAND)
    if platform == "linux":
        assert where == f"{home}/.config/autostart/companion.desktop"
        assert shlex.split(text.partition("Exec=")[2].partition("\n")[0]) == COMMAND
    elif platform == "darwin":
        assert where == f"{home}/Library/LaunchAgents/dev.companion.tray.plist"
        assert plistlib.loads(text.encode())["ProgramArguments"] == COMMAND
    else:
        assert where == r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run\companion"
        assert text == '"C:/Program Files/Companion/companion.exe" "tray"'


@pytest.mark.parametrize(
    ("program", "without"),
    [
        (r"C:\Python\python.exe", r"C:\Python\pythonw.exe"),
        (r"C:\Companion\companion.exe", r"C:\Companion\companion-tray.exe"),
        (r"C:\Other\python3.exe", r"C:\Other\python3.exe"),
    ],
)
def test_windows_starts_the_tray_without_a_console_window(program: str, without: str):
    assert desktop_argv.windowless("win32", program) == without
    assert desktop_argv.windowless("linux", program) == program


@pytest.mark.parametrize("talked_to", [True, False])
def test_a_program_that_we_talk_to_opens_no_console_window(talked_to: bool):
    options = {"stdout": process.subprocess.PIPE if talked_to else None, "process_group": 0}
    assert bool(process.creation_flags("win32", options) & 0x08000000) is talked_to
    assert process.creation_flags("win32", options) & 0x200, "Ctrl-C is for us alone"
    assert process.creation_flags("linux", options) == 0


def test_windows_looks_for_what_it_can_start():
    assert search.endings("win32", "code", ".EXE;.CMD") == (".EXE", ".CMD")
    assert search.endings("win32", "code.cmd", ".EXE;.CMD") == ("",)
    assert ".EXE" in search.endings("win32", "docker", "")
    assert search.endings("linux", "code", ".EXE") == ("",)


@each
def test_a_link_to_a_program_is_edited_and_not_run(platform: Platform):
    runs = {("open",), ("rundll32", "url.dll,FileProtocolHandler")}
    assert desktop_argv.text_opener(platform, "agent.yaml")[:-1] not in runs


@each
def test_a_command_reaches_a_terminal_word_by_word(platform: Platform):
    words = ("ssh", 'a "b" $c', "d\\e")
    for argv in desktop_argv.terminals(platform, "", words):
        if platform == "darwin":
            script = argv[2].partition("do script ")[2]
            assert tuple(shlex.split(json.loads(script))) == words
        else:
            assert argv[-len(words) :] == words


@each
def test_each_dialog_asks_what_was_to_be_asked(platform: Platform):
    for argv in desktop_argv.questions(platform, "Remove alpha?"):
        assert any("Remove alpha?" in word for word in argv)


@each
def test_editors_settings_are_where_the_platform_keeps_settings(home: Path, platform: Platform):
    found = Paths.of_user(platform)
    desk = Desktop(platform, found.home.as_posix(), found.programs.as_posix())
    settings = {editor.id: editor.settings(desk) for editor in EDITORS}
    base = found.programs.as_posix()
    assert settings["code"] == f"{base}/Code/User/settings.json"
    zed = {"linux": f"{base}/zed", "darwin": f"{home}/.config/zed", "win32": f"{base}/Zed"}
    assert settings["zed"] == f"{zed[platform]}/settings.json"


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_the_keychain_of_each_platform_is_one_that_keyring_has(platform: Platform):
    assert keychain.backend(platform).__module__.startswith("keyring.backends.")


def test_the_system_that_runs_this_is_a_platform():
    assert platforms.of(sys.platform) == platforms.HERE
    assert platforms.of("freebsd14") == "linux"


@pytest.mark.long
@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_no_name_is_used_that_a_platform_lacks(platform: str, tmp_path: Path):
    """Mypy knows which names the standard library has on each of them."""
    argv = [sys.executable, "-m", "mypy", "--platform", platform, "--cache-dir", str(tmp_path)]
    done = process.subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_class_hides_a_name_that_its_annotations_use():
    """Python 3.14 reads annotations in their class, whose names come first, and not at once."""
    rooms = ("companion", "ssh", "editors")
    for file in (path for room in rooms for path in (ROOT / room).rglob("*.py")):
        for found in ast.walk(ast.parse(file.read_text())):
            if isinstance(found, ast.ClassDef):
                functions = [n for n in found.body if isinstance(n, ast.FunctionDef)]
                fields = [n.annotation for n in found.body if isinstance(n, ast.AnnAssign)]
                asked = (*fields, *(part for n in functions for part in annotations(n)))
                used = {n.id for part in asked for n in ast.walk(part) if isinstance(n, ast.Name)}
                assert not used & {n.name for n in functions}, f"{file}:{found.lineno}"


def annotations(function: ast.FunctionDef) -> Iterator[ast.expr]:
    arguments = (*function.args.args, *function.args.kwonlyargs)
    parts = (function.returns, *(one.annotation for one in arguments))
    yield from (part for part in parts if part)
