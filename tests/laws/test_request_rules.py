"""Request rules mean what is documented, for every path and rule."""

import posixpath
import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from companion.config.request_rules import ANY, Rules, RuleText, lie_within, split
from companion.render.request_rules import DOTTED, OVERRIDING_QUERY, PLAIN, expression

CHECK = TypeAdapter(RuleText)
WORDS = ("a", "b", "ab", "A", "a.b", "(a)", "b+")
PATHS = st.lists(st.sampled_from(WORDS), max_size=5).map(lambda parts: "/" + "/".join(parts))
SEGMENTS = st.sampled_from((*WORDS, "*", "a*", "*b", "**", "**"))
RULES = st.tuples(
    st.sampled_from((ANY, "GET", "POST")), st.lists(SEGMENTS, min_size=1, max_size=5)
).map(lambda pair: f"{pair[0]} /{'/'.join(pair[1])}")


def is_valid(rule: str) -> bool:
    try:
        CHECK.validate_python(rule)
    except ValidationError:
        return False
    return True


VALID = RULES.filter(is_valid)


def matches(pattern: list[str], parts: list[str]) -> bool:
    """The documented meaning, segment by segment."""
    if not pattern:
        return not parts
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        return any(matches(rest, parts[number:]) for number in range(len(parts) + 1))
    return bool(parts) and is_like(first, parts[0]) and matches(rest, parts[1:])


def is_like(pattern: str, segment: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == segment
    is_framed = segment.startswith(before) and segment.endswith(after)
    return is_framed and len(segment) > len(before) + len(after)


def parts_of(path: str) -> list[str]:
    return path[1:].split("/") if path != "/" else []


@given(VALID, PATHS)
@example("GET /**", "/")
@example("GET /a/**", "/a")
@example("GET /a/**/b", "/a/b")
@example("GET /**/b", "/b")
def test_a_rule_matches_what_is_documented(rule: str, path: str):
    pattern = split(rule)[1]
    wanted = matches(parts_of(pattern), parts_of(path)) or (pattern == "/**" and path == "/")
    assert bool(re.search(expression(pattern, is_denied=False), path)) == wanted


@given(VALID, PATHS)
@example("* /a/**", "/a")
def test_what_is_denied_is_denied_in_any_spelling_that_upstreams_take_for_it(rule: str, path: str):
    pattern = split(rule)[1]
    if matches(parts_of(pattern), parts_of(path)):
        denied = re.compile(expression(pattern, is_denied=True), re.IGNORECASE)
        ends = ("/",) if path.endswith("/") else ("/", ".json", ".json/", ".")
        assert all(denied.search(one) for one in (path, path.swapcase(), *(path + e for e in ends)))


TARGETS = st.text(st.sampled_from("abAB/.%25cef0;?#\\~é"), max_size=12).map(lambda text: "/" + text)


@given(TARGETS)
@example("/a%2Fb")
@example("/a%252Fb")
@example("/%2e%2e/b")
@example("/a%5cb")
@example("/%c0%af")
@example("/%e0%80%af")
@example("/a%00")
@example("/a;b")
def test_a_path_that_is_judged_can_be_read_in_one_way_only(raw: str):
    if not re.search(PLAIN, raw, re.IGNORECASE):
        return
    decoded = unquote_to_bytes(raw).decode()
    if re.search(DOTTED, decoded):
        return
    assert unquote_to_bytes(decoded) == decoded.encode(), "decoded twice, it is another one"
    assert decoded.count("/") == raw.count("/")
    assert posixpath.normpath(decoded) == (decoded.rstrip("/") or "/")
    assert not set(decoded) & set(";?#\\\0\x7f")


@pytest.mark.parametrize(
    "path", ["/a", "/a/", "/", "/a%20b", "/%C3%A9", "/v1/models/x:run", "/a...b", "/@scope/a"]
)
def test_ordinary_paths_are_judged(path: str):
    assert re.search(PLAIN, path, re.IGNORECASE)
    assert not re.search(DOTTED, unquote_to_bytes(path).decode())


@pytest.mark.parametrize(
    "query",
    ["_method=X", "a=b&_METHOD=X", "a;_method", ".method=X", "+_method=X", " _method=X",
     "[method=X", "_method\0=X", "_method\0b=X", "_method[]=X"],
)  # fmt: skip
def test_a_query_names_no_method_in_any_spelling_that_php_takes_for_it(query: str):
    assert re.search(OVERRIDING_QUERY, query, re.IGNORECASE)


@pytest.mark.parametrize("query", ["method=X", "payment_method=X", "a=_method", "filter[method]=X"])
def test_ordinary_queries_about_methods_are_let_through(query: str):
    assert not re.search(OVERRIDING_QUERY, query, re.IGNORECASE)


def test_a_rule_is_no_longer_than_a_path_that_is_judged():
    """A longer one would be a regular expression that HAProxy refuses to start with."""
    assert is_valid("GET /" + "a" * 3999)
    assert not is_valid("GET /" + "a" * 4000)


SETS = st.builds(
    lambda allow, deny: Rules(tuple(allow), tuple(deny)),
    st.lists(VALID, max_size=3),
    st.lists(VALID, max_size=3),
)


def lets_through(rules: Rules, method: str, path: str) -> bool:
    def hit(rule: str, *, is_denied: bool) -> bool:
        named, pattern = split(rule)
        flags = re.IGNORECASE if is_denied else re.NOFLAG
        found = re.search(expression(pattern, is_denied=is_denied), path, flags)
        return named in {ANY, method} and bool(found)

    if any(hit(rule, is_denied=True) for rule in rules.deny):
        return False
    return not rules.allow or any(hit(rule, is_denied=False) for rule in rules.allow)


@given(SETS, SETS, st.sampled_from(("GET", "POST")), PATHS)
def test_rules_within_others_let_nothing_more_through(
    narrow: Rules, wide: Rules, method: str, path: str
):
    assert lie_within(narrow.text, narrow.text)
    assert lie_within(narrow.text, "")
    if lie_within(narrow.text, wide.text) and lets_through(narrow, method, path):
        assert lets_through(wide, method, path)


def test_a_removed_deny_or_a_further_allow_does_not_lie_within():
    both = Rules(("GET /a", "GET /b"), ("* /c",))
    assert lie_within(Rules(("GET /a",), ("* /c", "* /d")).text, both.text)
    for wider in (Rules(("GET /a",)), Rules(("GET /z",), ("* /c",)), Rules((), ("* /c",)), Rules()):
        assert not lie_within(wider.text, both.text)


def test_rules_push_nothing_else_that_a_user_is_asked_about_off_the_screen():
    few = Rules(("GET /a", "GET /b"), ("* /c",))
    assert few.sentence == "only GET /a, GET /b; never * /c"
    many = tuple(f"GET /{'a' * 3000}{number}" for number in range(3000))
    assert Rules(many, many[:1]).sentence == (
        "only what its allow list has (3000); never what its deny list has (1)"
    )
