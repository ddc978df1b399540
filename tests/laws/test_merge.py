"""Merging what came out of a sandbox: nothing is written through a link, and `.git` stays."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from companion.system import merge


@contextmanager
def handle(directory: Path) -> Iterator[int]:
    opened = os.open(directory, os.O_RDONLY)
    try:
        yield opened
    finally:
        os.close(opened)


def moved(tmp_path: Path) -> list[str]:
    with handle(tmp_path) as ours, handle(tmp_path / "there") as there:
        return merge.move(ours, "content", there)


def plant(root: Path, **files: str) -> None:
    for name, text in files.items():
        place = root / name.replace("__", "/").replace("DOT", ".")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def test_what_is_replaced_is_replaced_and_nothing_is_written_through_a_link(tmp_path: Path):
    plant(tmp_path / "content", deep__new="new", deep__both="new", key="new", whole__DOTgit__x="x")
    plant(tmp_path / "there", deep__both="old", deep__kept="kept")
    plant(tmp_path / "private", key="private")
    (tmp_path / "there/key").symlink_to(tmp_path / "private/key")
    assert moved(tmp_path) == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in files}
    assert found == {
        "there/deep/new": "new",
        "there/deep/both": "new",
        "there/deep/kept": "kept",
        "there/key": "new",
        "there/whole/.git/x": "x",
        "private/key": "private",
    }


@pytest.mark.parametrize("deep", ["", "inner__"])
def test_git_on_the_desktop_obeys_nothing_that_came_out(tmp_path: Path, deep: str):
    planted = {f"{deep}DOTgit__config": "evil", f"{deep}DOTgit__hooks__post-checkout": "evil"}
    plant(tmp_path / "content", **planted, file="new")
    plant(tmp_path / "there", **{f"{deep}DOTgit__config": "mine"}, file="old")
    assert moved(tmp_path) == [f"./{deep.replace('__', '/')}.git"]
    texts = sorted(p.read_text() for p in (tmp_path / "there").rglob("*") if p.is_file())
    assert texts == ["mine", "new"]


@pytest.mark.parametrize(("ours", "theirs"), [("a__b__c", "a__b"), ("a__b", "a__b__c")])
def test_a_clash_of_kinds_changes_nothing(tmp_path: Path, ours: str, theirs: str):
    plant(tmp_path / "content", **{ours: "new"}, a__0="new")
    plant(tmp_path / "there", **{theirs: "old"})
    with pytest.raises(merge.ClashError, match="director") as caught:
        moved(tmp_path)
    assert caught.value.path == "a/b"
    assert [p.read_text() for p in (tmp_path / "there").rglob("*") if p.is_file()] == ["old"]


def test_a_link_to_a_directory_elsewhere_is_no_directory_to_write_in(tmp_path: Path):
    plant(tmp_path / "content", out__file="new")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "there/out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(merge.ClashError):
        moved(tmp_path)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_disk_that_ignores_case_leads_nothing_into_git(tmp_path: Path):
    plant(tmp_path / "content", DOTGit__config="evil", inner__DOTGIT="gitdir: evil")
    plant(tmp_path / "there", DOTgit__config="mine", inner__file="old")
    assert moved(tmp_path) == ["./.Git", "./inner/.GIT"]
