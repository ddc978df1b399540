"""A watcher whose program was updated starts the new version; one that was removed ends."""

import os
from pathlib import Path

import pytest

from companion.system.renewal import Fate, Renewal


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "companion"
    file.write_text("version 1")
    return file


def put(program: Path, text: str) -> None:
    """Replace it as package managers do, with the time of the older one."""
    new = program.with_name("companion.dpkg-new")
    new.write_text(text)
    before = program.stat()
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(program)


def test_an_update_is_noticed_once_no_file_changes_any_more(program: Path):
    renewal = Renewal(program, [program.parent])
    assert renewal.fate(0) is Fate.SAME
    put(program, "version 2")
    assert renewal.fate(1) is Fate.SAME, "the package manager may be at work"
    (program.parent / "library").write_text("comes with version 2")
    assert renewal.fate(10) is Fate.SAME
    assert renewal.fate(19) is Fate.SAME
    assert renewal.fate(20) is Fate.REPLACED


def test_an_update_that_removes_the_old_version_first_is_no_removal(program: Path):
    renewal = Renewal(program, [program.parent])
    program.unlink()
    assert renewal.fate(0) is Fate.SAME
    assert renewal.fate(59) is Fate.SAME
    program.write_text("version 2!")
    assert renewal.fate(60) is Fate.SAME
    assert renewal.fate(70) is Fate.REPLACED


def test_a_removal_is_noticed(program: Path):
    renewal = Renewal(program, [program.parent])
    program.unlink()
    renewal.fate(0)
    assert renewal.fate(60) is Fate.REMOVED
