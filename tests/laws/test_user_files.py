"""A user's file that another program changes while we do, and while we are killed: nothing is lost.

The other program writes before the n-th system call of ours that has a name or reads a file, and we
are killed before one of the next: every pair is tried.
"""

import ctypes  # noqa: F401 - loaded first, or its loading counts, too
import os
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from companion.errors import CompanionError
from companion.system import user_files
from companion.system.user_files import ChangedError

EVENTS = {"open", "os.rename", "os.link", "os.remove", "os.chmod", "ctypes.dlsym", "os.listdir"}
OURS = "ours\n"
DEAD, FINISHED = 9, 0
SOON = 6
"""Events after the rival's write within which we are killed."""


def add(path: Path) -> None:
    """Do what a user's call of ours does: read, add our line, write."""

    def attempt() -> None:
        text = user_files.read(path)
        if OURS not in (text or ""):
            user_files.write(path, (text or "") + OURS, text)

    user_files.changing(path, attempt)


def rival(path: Path, line: str) -> None:
    """Read, add a line, and replace the file, as editors do."""
    text = path.read_text() if path.exists() else ""
    new = path.with_name("rivals")
    new.write_text(text + line)
    new.replace(path)


def in_a_child(work: Callable[[], None], happens: dict[int, Callable[[], None]]) -> int:
    """Fork, do the work, and have things happen before the n-th event; return the exit code."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen, busy = count(1), []

    def hook(event: str, _: object) -> None:
        if event in EVENTS and not busy:
            busy.append(event)
            happens.get(next(seen), lambda: None)()
            busy.clear()

    sys.addaudithook(hook)
    code = 1
    try:
        work()
        code = FINISHED
    finally:
        os._exit(code)
    raise AssertionError


def child_adds(path: Path, moments: dict[int, Callable[[], None]]) -> int:
    """Add our line in a child, in which things happen; return its exit code."""
    return in_a_child(partial(add, path), moments)


def die() -> None:
    os._exit(DEAD)


def strike_and_die(strike: Callable[[], None]) -> None:
    strike()
    die()


def begin(directory: Path, before: str | None) -> Path:
    """Return the path of the only file of a directory, which reads `before`."""
    for file in directory.iterdir():
        file.unlink()
    path = directory / "settings"
    if before:
        path.write_text(before)
    return path


def events_of(directory: Path, before: str | None) -> int:
    """Return how many events adding our line has."""

    def is_finished(dies: int) -> bool:
        path = begin(directory, before)
        return child_adds(path, {dies: die}) == FINISHED

    return next(filter(is_finished, count(1))) - 1


@pytest.mark.parametrize("before", ["mine\n", None], ids=["a file", "no file"])
def test_nothing_is_lost_to_a_rival_and_a_kill(tmp_path: Path, before: str | None):
    last = events_of(tmp_path, before)
    assert last > 10
    for strikes in range(1, last + 1):
        for dies in range(strikes, strikes + SOON):
            path = begin(tmp_path, before)
            strike = partial(rival, path, "rivals\n")
            both = partial(strike_and_die, strike)
            child_adds(path, {dies: die, strikes: both if strikes == dies else strike})
            add(path)
            text = path.read_text()
            assert sorted(text.splitlines()) == sorted(
                [*(before or "").splitlines(), "ours", "rivals"]
            ), (strikes, dies, text)
            left = {file.name for file in tmp_path.iterdir()} - {"settings", "rivals"}
            assert left <= {"settings.before-companion"}, (strikes, dies, left)


def test_a_file_that_is_removed_at_any_moment_is_no_failure(tmp_path: Path):
    for removed in range(1, events_of(tmp_path, "mine\n") + 1):
        path = begin(tmp_path, "mine\n")
        code = child_adds(path, {removed: partial(path.unlink, missing_ok=True)})
        assert code == FINISHED, removed


def test_a_rival_that_writes_twice_within_one_exchange_loses_nothing_unsaid(tmp_path: Path):
    """What it wrote between is kept aside, and the error says where."""
    last, said = events_of(tmp_path, "mine\n"), 0
    for strikes in range(1, last + 1):
        for again in range(strikes + 1, last + 1):
            path = begin(tmp_path, "mine\n")
            one, two = partial(rival, path, "one\n"), partial(rival, path, "two\n")
            code = child_adds(path, {strikes: one, again: two})
            kept = "".join(file.read_text() for file in tmp_path.glob("settings*"))
            assert {"mine", "one", "two"} <= set(kept.splitlines()), (strikes, again)
            said += code != FINISHED
    assert said < last


def test_a_change_that_we_did_not_see_is_refused(tmp_path: Path):
    path = tmp_path / "settings"
    path.write_text("theirs\n")
    for expected in ("mine\n", None):
        with pytest.raises(ChangedError):
            user_files.write(path, "ours\n", expected)
    assert path.read_text() == "theirs\n"


def test_links_stay_what_they_are(tmp_path: Path):
    """A symlink still leads to the same file, and a hard link is still the same file."""
    real = tmp_path / "dotfiles/settings"
    real.parent.mkdir()
    real.write_text("mine\n" * 4000)
    for link, make in ((tmp_path / "soft", os.symlink), (tmp_path / "hard", os.link)):
        make(real, link)
        add(link)
        assert link.samefile(real)
        assert real.read_text() == "mine\n" * 4000 + OURS
        user_files.restore(link, "mine\n" * 4000, real.read_text())
        assert real.read_text() == "mine\n" * 4000
        assert link.samefile(real)


def test_what_is_no_file_is_left_alone(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "settings").symlink_to(tmp_path / "pipe")
    with pytest.raises(CompanionError, match="not a plain file"):
        add(tmp_path / "settings")
    assert (tmp_path / "pipe").is_fifo()
