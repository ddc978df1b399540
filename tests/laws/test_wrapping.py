"""Laws of wrapping: nothing but blanks between words becomes a line break."""

from hypothesis import given
from hypothesis import strategies as st

from companion.cli.style import width
from companion.cli.wrapping import wrapped

RED = "\x1b[31mred\x1b[0m"
SOME = ("a", "the", "gateway", "構築する", "`companion run --yes`", "(`a b`),", "/x" * 20, RED)
WORDS = st.lists(st.sampled_from(SOME), min_size=1, max_size=30)


@given(WORDS, st.integers(1, 100), st.integers(0, 8), st.sampled_from(["", "  ", "    "]))
def test_lines_hold_the_same_words_and_are_as_long_as_they_can_be(
    words: list[str], columns: int, hang: int, indentation: str
):
    text = indentation + " ".join(words)
    first, *others = wrapped(text, columns, hang).split("\n")
    rest = indentation + " " * hang
    assert all(line.startswith(rest) for line in others)
    assert [first[len(indentation) :], *(line[len(rest) :] for line in others)] != [""]
    assert " ".join([first.strip(" "), *(line.strip(" ") for line in others)]) == " ".join(words)
    assert all(line.count("`") % 2 == 0 for line in (first, *others))
    for line in (first, *others):
        assert width(line) <= columns or line.strip(" ") in words


def test_what_stands_in_columns_stays_in_them():
    table = "NAME    STATE\napp     running\nfeature stopped, as " + "it was " * 20
    aligned = "\n".join(line.replace("stopped", "  stopped") for line in table.splitlines())
    assert wrapped(aligned, 40) == aligned


def test_a_command_on_a_line_of_its_own_stays_one_line():
    command = f"  companion trust {'/home/ada/code' * 5} --digest {'0123456789' * 4}"
    assert wrapped(f"to agree:\n{command}", 60) == f"to agree:\n{command}"
