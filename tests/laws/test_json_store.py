"""What Companion remembers: read as it was written, by later versions, too, and never half."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from companion.errors import CompanionError
from companion.oauth import grant_store
from companion.oauth.grants import Grant
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
