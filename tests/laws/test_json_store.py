"""What Companion remembers: read as it was written, by later versions, too, and never half."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from companion.errors import CompanionError
from companion.oauth import grant_store
from companion.oauth.grants import Grant
from companion.spec.containers import Role
from companion.system.json_store import Broken, Fields, Store
from companion.system.paths import Paths

GRANT = Grant("n", "u", "r", "i", "t", "me", "", "none", "a", "r", 0, 3600)


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    parts: tuple[int, ...] = ()


def renamed(fields: Fields) -> Fields:
    return {"name": fields["called"]}


THINGS = Store(Thing, "remove it", version=2, upgrade=renamed)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["name", "version"]), inner),
    max_leaves=6,
).map(json.dumps)


def test_a_store_reads_what_it_wrote_and_what_earlier_versions_did(tmp_path: Path):
    path = tmp_path / "thing.json"
    assert THINGS.read(path) is None
    THINGS.write(path, Thing("a", (1, 2)))
    assert THINGS.read(path) == Thing("a", (1, 2))
    assert json.loads(path.read_text()) == {"version": 2, "name": "a", "parts": [1, 2]}
    for earlier in ({"called": "b"}, {"version": 1, "called": "b"}):
        path.write_text(json.dumps(earlier))
        assert THINGS.read(path) == Thing("b")


@dataclass(frozen=True, slots=True)
class Named:
    name: str


@dataclass(frozen=True, slots=True)
class Sized:
    size: float
    kind: Literal["big", "small"] = "big"


@dataclass(frozen=True, slots=True)
class Everything:
    one: Named | Sized
    pair: tuple[str, int]
    content: bytes = b""
    role: Role = Role.AGENT
    maybe: bool | None = None
    parts: Mapping[str, tuple[Named, ...]] = field(default_factory=dict)


WHOLE = Everything(Sized(1.5, "small"), ("a", 1), b"b", Role.NET, False, {"p": (Named("n"),)})
MINIMAL = {"one": {"name": "n"}, "pair": ["a", 1]}
WRONG: list[Fields] = [
    {"one": {}}, {"one": {"size": "1"}}, {"one": {"size": 1, "kind": "huge"}}, {"one": None},
    {"pair": ["a"]}, {"pair": ["a", 1, 2]}, {"pair": ["a", "1"]}, {"pair": ["a", True]},
    {"pair": "ab"}, {"content": 1}, {"role": "king"}, {"maybe": 0}, {"maybe": "true"},
    {"parts": []}, {"parts": {"p": {}}}, {"parts": {"p": [{}]}}, {"parts": {"p": "n"}},
]  # fmt: skip


def test_a_value_of_every_type_is_read_as_it_was_written(tmp_path: Path):
    path, everything = tmp_path / "thing.json", Store(Everything, "remove it")
    everything.write(path, WHOLE)
    assert everything.read(path) == WHOLE
    path.write_text(json.dumps({"version": 1, "of a later version": 2, **MINIMAL}))
    assert everything.read(path) == Everything(Named("n"), ("a", 1))


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_value_of_another_type_is_damaged(tmp_path: Path, wrong: Fields):
    path = tmp_path / "thing.json"
    path.write_text(json.dumps({"version": 1, **MINIMAL, **wrong}))
    assert isinstance(Store(Everything, "remove it").look(path), Broken)


def test_a_file_of_a_newer_companion_is_named_and_kept(tmp_path: Path):
    path = tmp_path / "thing.json"
    path.write_text('{"version": 3, "name": "a"}')
    with pytest.raises(
        CompanionError, match=r"thing\.json was written by a newer Companion; update"
    ):
        THINGS.read(path)
    assert path.read_text() == '{"version": 3, "name": "a"}'


@given(text=st.text() | JSON | st.just("[" * 100_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_in_a_file_is_a_value_or_broken(tmp_path: Path, text: str):
    path = tmp_path / "thing.json"
    path.write_text(text, newline="")
    found = THINGS.look(path)
    assert isinstance(found, Thing | Broken)
    if isinstance(found, Broken):
        assert found.path == path
        assert str(path) in found.problem.what


def test_grants_of_0_1_are_still_known(tmp_path: Path):
    home = Paths(*(tmp_path / name for name in ("home", "config", "data", "state", "programs")))
    grant_store.keep(home, "p", "key", GRANT)
    path = home.grants("p")
    path.write_text(json.dumps(json.loads(path.read_text())["grants"]))
    assert grant_store.read(home, "p") == {"key": GRANT}
