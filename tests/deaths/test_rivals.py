"""Another program rewrites the files that we write, all the time, while we are killed: no loss."""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from desk import AGENT, Desk

from companion.desktop import editor_settings, ssh_config, ssh_include
from companion.errors import CompanionError
from companion.system.paths import Paths

FORK = multiprocessing.get_context("fork")
KEYS = 8
"""The rival changes so many keys, one after the other."""
NAMED = {"open", "os.rename", "os.link", "os.remove", "os.chmod", "ctypes.dlsym", "os.mkdir"}
RUNTIME = AGENT.replace("base_image:", 'acp_cmd: ["agent", "acp"], base_image:')


class Rival:
    """A program that reads, changes and replaces a file; `written` has what it wrote last."""

    def __init__(self, path: Path) -> None:
        self.path, self.written = path, dict.fromkeys(range(KEYS), 0)

    def write(self, number: int) -> None:
        key = number % KEYS
        values = self.values(self.path)
        new = self.path.with_name(f"{self.path.name}.rival")
        new.write_text(self.text(values | {f"rival {key}": number}))
        new.replace(self.path)
        self.written[key] = number

    def values(self, path: Path) -> dict[str, object]:
        return json.loads(path.read_text()) if path.exists() else {}

    def text(self, values: dict[str, object]) -> str:
        return json.dumps(values, indent=2)

    def lost(self) -> dict[int, int]:
        """Return what is neither in the file nor in a version of it that was kept aside."""
        asides = self.path.parent.glob(f"{self.path.name}.other-version-*")
        kept = [self.values(path) for path in (self.path, *asides)]
        return {
            key: number
            for key, number in self.written.items()
            if number not in [values.get(f"rival {key}", 0) for values in kept]
        }


class SshRival(Rival):
    """The same for an ssh config: its values are comments, and all else stays."""

    def values(self, path: Path) -> dict[str, object]:
        lines = path.read_text().splitlines() if path.exists() else []
        own = [line.removeprefix("# ").split("=") for line in lines if line.startswith("# rival")]
        return {"": [x for x in lines if "# rival" not in x]} | {k: int(v) for k, v in own}

    def text(self, values: dict[str, object]) -> str:
        own = [f"# {k}={v}" for k, v in values.items() if k]
        return "\n".join([*values.get("", []), *own]) + "\n"  # type: ignore[misc]


@pytest.fixture
def home(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Paths:
    desk.companion("-C", str(desk.project(RUNTIME)), "generate").ok()
    for name in ("Code/User", "zed"):
        (desk.home / ".config" / name).mkdir(parents=True)
    (desk.home / ".jetbrains").mkdir(exist_ok=True)
    desk.companion("editors", "sync", "jetbrains").ok()
    for name in [name for name in os.environ if name.startswith("XDG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(desk.home))
    return Paths.of_user()


def forked(work: Callable[[], None], dies_at: int) -> int:
    """Do the work in a child that is killed before its n-th system call of a name."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen = count(1)

    def hook(event: str, _: object) -> None:
        if event in NAMED and next(seen) == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        work()
    finally:
        os._exit(0)
    raise AssertionError


def put_in(home: Paths) -> None:
    with suppress(CompanionError):  # a file that changes faster than we can follow
        editor_settings.sync(home)
        editor_settings.sync(home, "jetbrains")
        ssh_config.include(home)


def take_out(home: Paths) -> None:
    with suppress(CompanionError):
        editor_settings.remove(home)
        ssh_config.exclude(home)


def rivals_of(home: Paths) -> Iterator[Rival]:
    yield Rival(home.home / ".config/Code/User/settings.json")
    yield Rival(home.home / ".config/zed/settings.json")
    yield Rival(home.home / ".jetbrains/acp.json")
    yield SshRival(home.user_ssh_config)
    yield SshRival(home.home / ".ssh/known_hosts")


def compete(
    rivals: list[Rival], stop: Event, lost: "multiprocessing.Queue[object]", go: Event
) -> None:
    """Write all files in turn until told to stop; then say what each wrote last."""
    number = 0
    while not stop.is_set():
        number += 1
        for rival in rivals:
            rival.write(number)
        go.set()
        stop.wait(0.002)
    lost.put([rival.written for rival in rivals])


@pytest.mark.parametrize("kills", [60, pytest.param(2000, marks=pytest.mark.long)])
def test_a_program_that_rewrites_our_files_loses_nothing_and_neither_do_we(home: Paths, kills: int):
    rivals = list(rivals_of(home))
    stop, go, said = FORK.Event(), FORK.Event(), FORK.Queue()
    process = FORK.Process(target=compete, args=(rivals, stop, said, go), daemon=True)
    process.start()
    go.wait(60)
    dies_at = 0
    killed = 0
    while killed < kills:
        dies_at += 1
        codes = [forked(lambda work=work: work(home), dies_at) for work in (put_in, take_out)]
        killed += codes.count(-signal.SIGKILL)
        if codes == [0, 0]:
            dies_at = 0
    stop.set()
    for rival, written in zip(rivals, said.get(timeout=60), strict=True):
        rival.written = written
    process.join(60)
    put_in(home)
    assert {str(rival.path): rival.lost() for rival in rivals if rival.lost()} == {}
    assert ssh_include.is_included(home)
    ours = ("remote.SSH.remotePlatform", "ssh_connections", "agent_servers")
    for rival, key in zip(rivals, ours, strict=False):
        assert "coder" in json.dumps(rival.values(rival.path)[key])
    take_out(home)
    for rival in rivals:
        assert "coder" not in rival.path.read_text()
        names = [path.name for path in rival.path.parent.iterdir()]
        assert not [n for n in names if n.startswith(".") and "companion" in n], names
