"""An edit of agent.yaml changes what it is about, keeps every other byte, and can be taken back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from companion.config import edit_yaml, strict_yaml
from companion.errors import ConfigError

LOGIN = {"plugin": "claude-code", "api_key": "${ANTHROPIC_API_KEY}"}
PATH = ("features",)
SCAFFOLD = """\
# mine
name: coder   # a name
features:
  # SSH
  - plugin: ssh

  - plugin: custom-runtime
    commands:
      - |
        one
        two

  # - plugin: codex
"""
WRITTEN = {
    "name: a\n": "name: a\nfeatures:\n  - plugin: claude-code\n    api_key: ${ANTHROPIC_API_KEY}\n",
    "name: a  # here": "name: a  # here\n"
    "features:\n  - plugin: claude-code\n    api_key: ${ANTHROPIC_API_KEY}",
    "features: []\nname: a\n": "features: "
    "[{plugin: claude-code, api_key: '${ANTHROPIC_API_KEY}'}]\nname: a\n",
    "features: [ {plugin: ssh}, ]  # c\n": "features: [ {plugin: ssh}, "
    "{plugin: claude-code, api_key: '${ANTHROPIC_API_KEY}'}, ]  # c\n",
    "{name: a, features: []}\n": "{name: a, features: "
    "[{plugin: claude-code, api_key: '${ANTHROPIC_API_KEY}'}]}\n",
    "features:\n- plugin: ssh # c\r\n": "features:\n- plugin: ssh # c\r\n"
    "- plugin: claude-code\r\n  api_key: ${ANTHROPIC_API_KEY}\r\n",
    "features:\n  -\n    plugin: ssh\nname: a\n": "features:\n  -\n    plugin: ssh\n"
    "  - plugin: claude-code\n    api_key: ${ANTHROPIC_API_KEY}\nname: a\n",
    SCAFFOLD: SCAFFOLD.replace(
        "  # - plugin: codex\n",
        "  - plugin: claude-code\n    api_key: ${ANTHROPIC_API_KEY}\n  # - plugin: codex\n",
    ),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_an_item_is_put_at_the_end_of_a_list(text: str):
    assert edit_yaml.put(text, PATH, LOGIN, "agent.yaml") == WRITTEN[text]
    assert edit_yaml.remove(WRITTEN[text], PATH, LOGIN, "agent.yaml") == text


comments = st.sampled_from(["", " # note", "  # - x: y"])
names = st.sampled_from(["a.test", '"*.b.test"', "'c d'", "é.test", "{x: 1}", "[1, 2]"])
items = st.sampled_from(["new.test", "*.new.test", LOGIN, "x: y", ("a", "b"), "3.10"])


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A text with a list at egress.allow, written as people do."""
    values = draw(st.lists(names, unique=True, max_size=3))
    lines = ["# top", f"name: coder{draw(comments)}", f"egress:{draw(comments)}", "  mode: listed"]
    indent = draw(st.sampled_from(["  ", "    "]))
    if not values or draw(st.booleans()):
        lines.append(f"  allow: [{', '.join(values)}]{draw(comments)}")
    else:
        lines.append(f"  allow:{draw(comments)}")
        for value in values:
            lines += [f"{indent}- {value}{draw(comments)}", *draw(st.sampled_from([[], [""]]))]
    lines += draw(st.sampled_from([[], ["", "# end"], ["log_level: info"], ["  presets: [npm]"]]))
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    return ending.join(lines) + draw(st.sampled_from(["", ending]))


@given(documents(), items)
@example("egress:\n  mode: listed\n", "new.test")
def test_what_is_put_into_a_list_can_be_taken_back_byte_by_byte(text: str, item: object):
    path = ("egress", "allow")
    new = edit_yaml.put(text, path, item, "agent.yaml")
    before, after = (strict_yaml.parse(one, "agent.yaml").data for one in (text, new))
    assert after["egress"]["allow"] == (*before["egress"].get("allow", ()), item)
    assert edit_yaml.put(new, path, item, "agent.yaml") == new
    assert edit_yaml.remove(new, path, item, "agent.yaml") == text


@given(documents(), st.integers(0, 2))
def test_any_item_can_be_removed_and_the_others_stay(text: str, number: int):
    path = ("egress", "allow")
    allowed = strict_yaml.parse(text, "agent.yaml").data["egress"]["allow"]
    for item in allowed[number : number + 1]:
        new = edit_yaml.remove(text, path, item, "agent.yaml")
        left = strict_yaml.parse(new, "agent.yaml").data["egress"].get("allow", ())
        assert left == allowed[:number] + allowed[number + 1 :]


def test_the_last_item_is_removed_where_nothing_else_stands():
    text = "name: a\negress:\n  allow: # mine\n    - x.test # one\n# end\n"
    new = edit_yaml.remove(text, ("egress", "allow"), "x.test", "agent.yaml")
    assert new == "name: a\negress:\n  allow: [] # mine\n# end\n"


@pytest.mark.parametrize(
    "text",
    [
        "features: listed\n",
        "features: &f\n  - a\nothers: *f\n",
        "a: &f [x]\nfeatures: *f\n",
        "- a\n",
    ],
)
def test_what_cannot_be_edited_safely_is_left_to_the_user(text: str):
    with pytest.raises(ConfigError):
        edit_yaml.put(text, PATH, LOGIN, "agent.yaml")
