"""Packing leaves out what vanishes, and nothing else: it fails and names what cannot be read."""

import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from companion.system import pack


@contextmanager
def as_somebody() -> Iterator[None]:
    """Be a user who may not read everything, as most are."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def packed(
    directory: Path,
    stream: io.BytesIO | None = None,
    reader: AbstractContextManager[None] | None = None,
) -> dict[str, tarfile.TarInfo]:
    """Return what an archive of a directory holds, by names below it."""
    stream = stream or io.BytesIO()
    parent = os.open(directory.parent, os.O_RDONLY)
    try:
        with reader or nullcontext():
            pack.pack(stream, parent, directory.name, ".", owner=1234)
    finally:
        os.close(parent)
    with tarfile.open(fileobj=io.BytesIO(stream.getvalue())) as archive:
        return {entry.name.removeprefix("./"): entry for entry in archive}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with `big`, a file that fills the archive's buffer, before what else is in it."""
    tmp_path.chmod(0o755)
    made = tmp_path / "tree"
    (made / "inner").mkdir(parents=True)
    (made / "inner/file").write_text("mine")
    (made / "big").write_bytes(os.urandom(1 << 20))
    (made / "link").symlink_to("/etc")
    os.mkfifo(made / "pipe")
    return made


class Acting(io.BytesIO):
    """A stream that does something once, when the first of the archive comes."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self.act = act

    def write(self, data: object) -> int:
        act, self.act = self.act, lambda: None
        act()
        return super().write(data)  # type: ignore[arg-type] # any buffer


def test_links_stay_links_and_all_is_of_the_owner(tree: Path):
    found = packed(tree)
    assert sorted(found) == [".", "big", "inner", "inner/file", "link"]
    assert found["link"].linkname == "/etc"
    assert {(one.uid, one.gid) for one in found.values()} == {(1234, 1234)}


@pytest.mark.parametrize("name", ["inner", "inner/file"])
def test_what_cannot_be_read_fails_and_is_named(tree: Path, name: str):
    (tree / name).chmod(0)
    with pytest.raises(PermissionError) as failed:
        packed(tree, reader=as_somebody())
    (tree / name).chmod(stat.S_IRWXU)
    assert failed.value.filename == name


def held_open(tree: Path) -> list[Path]:
    """Return what of a tree this process has open."""
    leads_to = (file.resolve() for file in Path("/dev/fd").iterdir())
    return [path for path in leads_to if path.is_relative_to(tree)]


def test_what_vanishes_is_left_out_and_a_file_that_shrinks_is_named(tree: Path):
    assert "link" not in packed(tree, Acting((tree / "link").unlink))
    with pytest.raises(OSError, match="shorter") as failed:
        packed(tree, Acting(lambda: os.truncate(tree / "big", 0)))
    assert failed.value.filename == "big"
    assert not held_open(tree)


def test_a_tree_that_is_too_deep_is_refused(tmp_path: Path):
    place = tmp_path / "deep"
    place.mkdir()
    (place / "/".join("d" * 100)).mkdir(parents=True)
    assert len(packed(place)) == 101
    (place / "/".join("d" * 140)).mkdir(parents=True)
    with pytest.raises(OSError, match="more than 128 directories"):
        packed(place)
