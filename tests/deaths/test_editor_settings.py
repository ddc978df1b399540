"""Editors' settings of a Companion that was killed while it wrote them come clean again."""

import itertools
import json
import shutil
import signal

import pytest
from desk import AGENT, RENAMES, Desk, killed_at

MINE = '{\n  // mine\n  "editor.fontSize": 14\n}\n'


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: apt install strace")
@pytest.mark.parametrize("before", [MINE, None], ids=["a file of the user's", "no file"])
@pytest.mark.parametrize("again", [("editors", "sync"), ("editors", "remove")], ids=" ".join)
def test_entries_of_a_sync_that_was_killed_at_a_file_go_without_a_trace(
    desk: Desk, before: str | None, again: tuple[str, ...]
):
    settings = desk.home / ".config/Code/User/settings.json"
    settings.parent.mkdir(parents=True)
    desk.companion("-C", str(desk.project(AGENT)), "generate").ok()
    if before:
        settings.write_text(before)
    for number in itertools.count(1):
        done = killed_at(desk, RENAMES, number, "editors", "sync")
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        text = settings.read_text() if settings.exists() else None
        assert text == before or text
        assert not before or '  // mine\n  "editor.fontSize": 14' in (text or "")
        if text and not before:
            json.loads(text)
        desk.companion(*again).ok()
        desk.companion("editors", "remove").ok()
        assert (settings.read_text() if settings.exists() else None) == before
    assert number > 2
