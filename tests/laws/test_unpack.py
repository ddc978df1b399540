"""What comes out of a sandbox was made by the agent: it stays below one directory."""

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.system import pack, unpack
from companion.system.unpack import RefusedError, Unpacked

ROOM = 1 << 20
Entry = tuple[str, bytes, str]
"""Name, type, and what a link leads to or what a file holds."""


def archive(*entries: Entry, mode: int = 0o644) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, kind, text in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, mode | (0o111 if kind == tarfile.DIRTYPE else 0)
            is_file = kind == tarfile.REGTYPE
            info.size, info.linkname = (len(text), "") if is_file else (0, text)
            made.addfile(info, io.BytesIO(text.encode()) if is_file else None)
    return out.getvalue()


FILE, DIRECTORY, LINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE
ROOT: Entry = (".", DIRECTORY, "")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[[bytes], Unpacked]]:
    """Unpack into `inside/got`; `outside` and what lies there must stay as it is."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept").write_text("kept")
    (tmp_path / "inside").mkdir()
    handle = os.open(tmp_path / "inside", os.O_RDONLY)
    yield lambda data: unpack.unpack(io.BytesIO(data), handle, "got", ROOM)
    os.close(handle)
    assert (tmp_path / "outside/kept").read_text() == "kept"
    assert [p.name for p in (tmp_path / "outside").iterdir()] == ["kept"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["inside", "outside"]
    assert {p.name for p in (tmp_path / "inside").iterdir()} <= {"got"}


@pytest.mark.parametrize(
    "entries",
    [
        [ROOT, ("./../outside/kept", FILE, "x")],
        [ROOT, ("./a/../../outside/new", FILE, "x")],
        [ROOT, ("/tmp/x", FILE, "x")],
        [ROOT, ("other", FILE, "x")],
        [ROOT, (".", DIRECTORY, "")],
        [ROOT, ("./a//b", FILE, "x")],
        [ROOT, ("./a", FILE, "1"), ("./a", FILE, "2")],
        [ROOT, ("./a", FILE, "1"), ("./a/b", FILE, "2")],
        [ROOT, ("./a", DIRECTORY, ""), ("./a", LINK, "b")],
        [ROOT, ("./missing/b", FILE, "2")],
        [ROOT, ("./" + "d/" * 300, DIRECTORY, "")],
        [("name", FILE, "x"), ("other", FILE, "y")],
        [("..", DIRECTORY, "")],
        [("./sub", DIRECTORY, "")],
        [("link", LINK, "/etc/passwd")],
        [("device", tarfile.CHRTYPE, "")],
        [ROOT, ("./large", FILE, "x" * (ROOM + 1))],
        [ROOT, ("./x", tarfile.CONTTYPE, "")],
    ],
)
def test_what_no_well_meaning_sender_makes_is_refused(
    place: Callable[[bytes], Unpacked], entries: list[Entry]
):
    with pytest.raises(RefusedError):
        place(archive(*entries))


@pytest.mark.parametrize(
    "link",
    [
        ("./l", LINK, "/etc/passwd"),
        ("./l", LINK, "../outside"),
        ("./d/l", LINK, "../../outside"),
        ("./d/l", LINK, "e/../../../outside"),
        ("./l", LINK, "d/.."),
        ("./l", tarfile.LNKTYPE, "../outside/kept"),
        ("./l", tarfile.FIFOTYPE, ""),
        ("./l", tarfile.BLKTYPE, ""),
    ],
)
def test_a_link_that_leads_out_and_what_is_no_file_are_left_out(
    place: Callable[[bytes], Unpacked], tmp_path: Path, link: Entry
):
    done = place(archive(ROOT, ("./d", DIRECTORY, ""), link, ("./f", FILE, "x")))
    assert done.left_out == [link[0]]
    assert sorted(p.name for p in (tmp_path / "inside/got").rglob("*")) == ["d", "f"]


def test_nothing_is_written_through_a_link_that_came_before(
    place: Callable[[bytes], Unpacked], tmp_path: Path
):
    with pytest.raises(RefusedError):
        place(archive(ROOT, ("./d", DIRECTORY, ""), ("./l", LINK, "d"), ("./l/f", FILE, "x")))
    assert not list((tmp_path / "inside/got/d").iterdir())


def test_headers_that_make_tarfile_read_without_an_end_are_refused(
    place: Callable[[bytes], Unpacked],
):
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_SPARSE):
        info = tarfile.TarInfo("./x")
        info.type = kind
        with pytest.raises(RefusedError):
            place(info.tobuf(tarfile.GNU_FORMAT))
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    with pytest.raises(RefusedError):
        place(long_name.tobuf(tarfile.GNU_FORMAT) + b"x" * 512)
    long_name.size = 1
    with pytest.raises(RefusedError):
        place((long_name.tobuf(tarfile.GNU_FORMAT) + b"x" + bytes(511)) * 5000)


@pytest.mark.parametrize("target", ["d/" * 2040, "/" + "x" * 4000], ids=["inside", "outside"])
def test_what_is_kept_until_the_end_of_an_archive_fits_into_memory(
    place: Callable[[bytes], Unpacked], target: str
):
    many = [(f"./{number}", LINK, target) for number in range(16_500)]
    with pytest.raises(RefusedError):
        place(archive(ROOT, *many))


def test_a_link_that_leads_farther_than_a_path_can_is_refused(place: Callable[[bytes], Unpacked]):
    with pytest.raises(RefusedError):
        place(archive(ROOT, ("./l", LINK, "a/" * 2049)))


@pytest.mark.parametrize("cut", [0, 1500])
def test_an_archive_that_ends_early_is_no_success(place: Callable[[bytes], Unpacked], cut: int):
    with pytest.raises((tarfile.TarError, EOFError)):
        place(archive(ROOT, ("./f", FILE, "x" * 2000))[:cut])


def test_no_file_gets_more_rights_than_its_owners(
    place: Callable[[bytes], Unpacked], tmp_path: Path
):
    place(archive(ROOT, ("./f", FILE, "x"), ("./d", DIRECTORY, ""), mode=0o7000))
    assert (tmp_path / "inside/got/f").stat().st_mode & 0o7777 == 0o600
    assert (tmp_path / "inside/got/d").stat().st_mode & 0o7000 == 0


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1,
                max_size=60).filter(lambda name: name not in {".", ".."})  # fmt: skip
TREES = st.recursive(
    st.binary(max_size=600), lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


def _make(path: Path, tree: object) -> None:
    if isinstance(tree, dict):
        path.mkdir()
        for name, inner in tree.items():
            _make(path / name, inner)
    else:
        path.write_bytes(tree)  # type: ignore[arg-type]


def _read(path: Path) -> object:
    if path.is_dir():
        return {inner.name: _read(inner) for inner in path.iterdir()}
    return path.read_bytes()


@given(tree=TREES)
def test_what_is_packed_is_unpacked_the_same(
    tmp_path_factory: pytest.TempPathFactory, tree: object
):
    root = tmp_path_factory.mktemp("round")
    _make(root / "source", tree)
    handle, out = os.open(root, os.O_RDONLY), io.BytesIO()
    pack.pack(out, handle, "source", ".")
    out.seek(0)
    unpack.unpack(out, handle, "copy", ROOM)
    os.close(handle)
    assert _read(root / "copy") == tree
