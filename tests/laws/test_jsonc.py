"""Edits of settings files: what we put in comes out again, and no byte of the user's moves."""

import json
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editors import jsonc
from editors.jsonc import Match
from editors.jsonc_tree import JsoncError
from editors.owned import Entry, Owned, merge, reclaimed, remembered

KEYS = st.sampled_from(["a", "remote.SSH.remotePlatform", "ssh_connections", 'q"\\', "ü"])
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
GAPS = ["", " ", "\n", "\n  ", "\n\t", " /* x */ ", " // y\n", "\n  // z }\n  ", "\r\n    "]
GAPS += ["\r", "// y\r", "\r  // z }\r  "]


@st.composite
def texts(draw: st.DrawFn, roots: st.SearchStrategy = VALUES) -> tuple[str, object]:
    """A settings file as a user may have it, and what it means."""
    gap = st.sampled_from(GAPS)

    def write(value: object) -> str:
        if isinstance(value, dict):
            items = [f"{json.dumps(k)}{draw(gap)}:{draw(gap)}{write(v)}" for k, v in value.items()]
            return "{" + joined(items) + "}"
        if isinstance(value, list):
            return "[" + joined([write(v) for v in value]) + "]"
        return json.dumps(value, ensure_ascii=draw(st.booleans()))

    def joined(items: list[str]) -> str:
        parts = [f"{draw(gap)}{item}{draw(gap)}" for item in items]
        return ",".join(parts) + ("," * (bool(parts) and draw(st.booleans()))) + draw(gap)

    value = draw(roots)
    bom = "\ufeff" if draw(st.booleans()) else ""
    return bom + draw(gap) + write(value) + draw(gap), value


SETTINGS = texts(
    st.fixed_dictionaries(
        {},
        optional={
            "a": VALUES,
            "remote.SSH.remotePlatform": st.dictionaries(st.sampled_from("xy"), SCALARS),
            "ssh_connections": st.lists(st.fixed_dictionaries({"host": st.sampled_from("uv")})),
            "agent_servers": st.dictionaries(st.sampled_from("xy"), VALUES, max_size=2),
        },
    )
)
WANTED = (
    Entry(("remote.SSH.remotePlatform", "coder.sandbox"), "linux"),
    Entry(("ssh_connections", Match("host", "coder.sandbox"), "upload_binary_over_ssh"), True),
    Entry(("agent_servers", "coder"), {"type": "custom", "command": "x", "args": [], "env": {}}),
)


@given(texts())
def test_reading_gives_what_was_written(case: tuple[str, object]):
    text, value = case
    assert jsonc.get(text, ()) == (value,)


@given(SETTINGS, st.permutations(WANTED))
def test_entries_go_in_and_out_without_a_trace(case: tuple[str, dict], wanted: list[Entry]):
    text, value = case
    written, owned = merge(text, wanted, Owned())
    for entry in wanted:
        assert jsonc.get(written, entry.path) == (entry.value,)
    (after,) = jsonc.get(written, ())
    for key, old in value.items():
        assert after[key][: len(old)] == old if isinstance(old, list) else True
        assert old.items() <= after[key].items() if isinstance(old, dict) else True
    assert merge(written, wanted, owned) == (written, owned)
    assert merge(written, [], owned) == (text, Owned())


@pytest.mark.parametrize(
    "text", ["", "// c", "// c\n", "// c\r", "/* c */", " // a\r\n// b", "\ufeff// c"]
)
def test_a_file_without_a_value_is_as_before_without_our_entries(text: str):
    written, owned = merge(text, WANTED, Owned())
    assert jsonc.get(written, WANTED[0].path) == ("linux",)
    assert merge(written, [], owned) == (text, Owned())


@given(
    texts(
        st.fixed_dictionaries(
            {
                "remote.SSH.remotePlatform": SCALARS,
                "agent_servers": st.fixed_dictionaries({"coder": SCALARS}),
            }
        )
    )
)
def test_what_the_user_wrote_in_our_places_stays(case: tuple[str, dict]):
    text, _ = case
    with suppress(JsoncError):  # a scalar has no place for an entry
        written, owned = merge(text, WANTED[:1], Owned())
        assert (written, owned) == (text, Owned())
    assert merge(text, WANTED[2:], Owned()) == (text, Owned())


def test_what_the_user_put_in_place_of_our_object_stays():
    _, owned = merge("{}", WANTED, Owned())
    text = '{"remote.SSH.remotePlatform": null, "agent_servers": null}'
    assert merge(text, [], owned) == (text, Owned())


@given(SETTINGS)
def test_what_another_program_writes_back_goes_again_without_a_trace(case: tuple[str, dict]):
    text, _ = case
    written, owned = merge(text, WANTED, Owned())
    _, none = merge(written, [], owned)
    former = remembered(Owned(), owned)
    assert reclaimed(text, none, former) == none
    assert merge(written, [], reclaimed(written, none, former))[0] == text


@given(SETTINGS, st.integers(0, 2))
def test_one_entry_goes_and_the_others_stay(case: tuple[str, dict], gone: int):
    text, _ = case
    written, owned = merge(text, WANTED, Owned())
    kept = [entry for index, entry in enumerate(WANTED) if index != gone]
    less, still = merge(written, kept, owned)
    for entry in kept:
        assert jsonc.get(less, entry.path) == (entry.value,)
    assert jsonc.get(less, WANTED[gone].path) == ()
    assert merge(less, [], still)[1] == Owned()


@given(st.text(alphabet='{}[]:,"/*\\ \n\ufeffa1tnul-.e', max_size=30))
def test_any_text_is_a_value_or_a_mistake_with_a_place(text: str):
    try:
        jsonc.put(text, ("a",), 1)
    except jsonc.JsoncError as error:
        lines = re.split(r"\r\n?|\n", text.removeprefix("\ufeff"))
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1


LIST = ("l", Match("h", "v"), "k")
LAYOUTS: list[tuple[str, jsonc.Path, object, str]] = [
    ("", ("a",), 1, '{\n  "a": 1\n}\n'),
    ("// c", ("a",), 1, '// c\n{\n  "a": 1\n}'),
    ("// c\r", ("a",), 1, '// c\r{\n  "a": 1\n}\n'),
    ("/* c */", ("a",), {"b": ["ü"]}, '/* c */{\n  "a": {\n    "b": [\n      "ü"\n    ]\n  }\n}\n'),
    ("{}", ("a",), 1, '{"a": 1}'),
    ("{ }", ("ü",), "ü", '{"ü": "ü" }'),
    ("{ // c\n}", ("a",), 1, '{ // c\n  "a": 1\n}'),
    ("{/* c */}", ("a",), 1, '{/* c */ "a": 1}'),
    ("{\n}", ("a",), {"b": 1}, '{\n  "a": {\n    "b": 1\n  }\n}'),
    ("{\r\n}", ("a",), 1, '{\r\n  "a": 1\r\n}'),
    ('{"x": 1}', ("a",), {"b": 1}, '{"x": 1, "a": {"b": 1}}'),
    ('{"x": 1,}', ("a",), 2, '{"x": 1, "a": 2,}'),
    ('{"x": 1 /* c */}', ("a",), 2, '{"x": 1, /* c */ "a": 2}'),
    ('{"x": 1 // c\n}', ("a",), 2, '{"x": 1, // c\n"a": 2\n}'),
    ('{\n\t"x": 1, // c\n}', ("a",), {"b": 1}, '{\n\t"x": 1, // c\n\t"a": {\n\t\t"b": 1\n\t},\n}'),
    ('{\n    "x": 1\n}', ("a",), {"b": 1}, '{\n    "x": 1,\n    "a": {\n        "b": 1\n    }\n}'),
    ('{\n  "x": 1, "y": 2\n}', ("a",), 3, '{\n  "x": 1, "y": 2, "a": 3\n}'),
    ('{"x": {\n   "y": 1}}', ("x", "a"), 1, '{"x": {\n   "y": 1,\n   "a": 1}}'),
    ('\ufeff{\n  "x": 1\n}', ("a",), [1], '\ufeff{\n  "x": 1,\n  "a": [\n    1\n  ]\n}'),
    ('{"a": 1, "a": 2}', ("a",), 3, '{"a": 1, "a": 3}'),
    ('{"a": {"b":1}}', ("a",), {"b": 1}, '{"a": {"b":1}}'),
    ('{\n  "a": 1\n}', ("a",), {"ü": 2}, '{\n  "a": {\n    "ü": 2\n  }\n}'),
    ("{}", LIST, True, '{"l": [{"h": "v", "k": true}]}'),
    ('{"l": []}', LIST, True, '{"l": [{"h": "v", "k": true}]}'),
    (
        '{"l": [\n    {"h": "u"}\n  ]}',
        LIST,
        True,
        '{"l": [\n    {"h": "u"},\n    {\n        "h": "v",\n        "k": true\n    }\n  ]}',
    ),
    ('{"l": [{"h": "v"}]}', LIST, True, '{"l": [{"h": "v", "k": true}]}'),
    ('{"l": [1, {"h": "v"}, {"h": "v"}]}', LIST, 1, '{"l": [1, {"h": "v", "k": 1}, {"h": "v"}]}'),
    ("{}", ("q", "r", "s"), 1, '{"q": {"r": {"s": 1}}}'),
]


@pytest.mark.parametrize(("text", "path", "value", "expected"), LAYOUTS)
def test_a_value_is_laid_out_as_its_surroundings(
    text: str, path: jsonc.Path, value: object, expected: str
):
    assert jsonc.put(text, path, value) == expected


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('{"x": 1, // c\n "a": 2}', ("a",), '{"x": 1 // c\n}'),
        ('{"x": 1, // c\n "a": 2, // d\n "y": 3}', ("a",), '{"x": 1, // c\n // d\n "y": 3}'),
        ('{"a": 1, "y": 2}', ("a",), '{ "y": 2}'),
        ('{"x": 1, "a": 2,}', ("a",), '{"x": 1,}'),
        ('{"x": 1 /* c */ , /* d */ "a": 2 }', ("a",), '{"x": 1 /* c */  /* d */ }'),
        (
            '{\n  "x": 1,\n  // c\n  "a": 2 // d\n}',
            ("a",),
            '{\n  "x": 1\n  // c\n // d\n}',
        ),
        ('{"x": 1}', (), ""),
        ("// c\n{}\n", (), "// c\n"),
        ("// c\r{}", (), "// c"),
        (" {} ", (), "  "),
        ('{"x": 1}', ("y", "z"), '{"x": 1}'),
        ("", (), ""),
        ("", ("a",), ""),
        ("", ("a", "b"), ""),
        ("[1]", ("a",), "[1]"),
        ('{"a": 1, "a": 2}', ("a",), '{"a": 1}'),
    ],
)
def test_what_is_removed_takes_its_comma_and_no_comment(text: str, path: jsonc.Path, expected: str):
    assert jsonc.remove(text, path) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "1:2: the file ends too early"),
        ("{,", "1:2: a key in quotes is missing here"),
        ("[1 2]", "1:4: a comma or ] is missing here"),
        ('{"a" 1}', "1:6: a colon is missing here"),
        ('{"a": }', "1:7: a value is missing here"),
        ("{a: 1}", "1:2: 'a' is not allowed here"),
        ("{1: 2}", "1:2: a key in quotes is missing here"),
        ('{"a": 1', "1:8: the file ends too early"),
        ('"x" 1', "1:5: the file must end after its first value"),
        ('{"a": 1]', "1:8: a comma or } is missing here"),
        ('// c\n  {"a": 01}', "2:10: a comma or } is missing here"),
        ('"a\nb"', "1:1: '\"' is not allowed here"),
        ("[" * 102, "1:102: is nested too deeply"),
        ("\ufeff x", "1:2: 'x' is not allowed here"),
        ('{"a":\r\n "b" "c"}', "2:6: a comma or } is missing here"),
        ("/* c", "1:1: '/' is not allowed here"),
        ('{"a": 1}\r}', "2:1: the file must end after its first value"),
        ('{"a": {"b": 1}}', "1:7: a is not an array"),
        ("[]", "1:1: the file is not an object"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, message: str):
    with pytest.raises(JsoncError) as raised:
        jsonc.put(text, ("a", Match("b", "c"), "d"), 1)
    assert str(raised.value) == message
    assert f": {raised.value.what}" == message.removeprefix(message.partition(": ")[0])


def test_a_hundred_levels_are_read():
    assert jsonc.get("[" * 100 + "]" * 100, ()) != ()
