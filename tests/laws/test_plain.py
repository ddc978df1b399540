"""What sandboxes, builds and engines say is shown, and never obeyed."""

import logging
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.engine import build_output
from companion.system import children, log, process, talk
from companion.system.paths import Paths
from companion.system.plain import for_terminal, line, plain

OBEYED = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of Unicode: controls, surrogates, separators of lines and paragraphs."""
BIDI = set(map(chr, (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def is_harmless(text: str) -> bool:
    tags = any(0xE0000 <= ord(one) <= 0xE007F for one in text)
    return not tags and not any(
        unicodedata.category(one) in OBEYED or one in BIDI for one in text.replace("\t", "")
    )


@given(st.text(st.characters()) | st.text("\x1b\x9b[]0;31mJ\x07\r\n\u202e\ue000\udc9b a"))
def test_no_text_has_anything_that_a_terminal_or_a_menu_obeys(text: str):
    assert is_harmless(line(text))
    assert all(map(is_harmless, plain(text).split("\n")))
    for one in for_terminal(text).split("\n"):
        *colored, last = one.split("\x1b[")
        assert is_harmless("".join(colored[:1]))
        assert not colored or last == "0m", "a color ends with its line"
        for part in (*colored[1:], last) if colored else ():
            code, _, rest = part.partition("m")
            assert set(code) <= set("0123456789;")
            assert is_harmless(rest)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b]0;owned\x07", r"\x1b]0;owned\x07"), ("\x9b31m", r"\x9b31m"), ("a\x1b[31mb", "ab"),
     ("safe\u202egpj.exe", r"safe\u202egpj.exe"), ("\udcff", r"\udcff"),
     ("a\u3164\u2800b", r"a\u3164\u2800b"),
     ("é 日本 👩\u200d💻", "é 日本 👩\u200d💻")],
)  # fmt: skip
def test_it_is_shown_as_its_code(text: str, shown: str):
    assert plain(text) == shown


def test_the_log_holds_no_escape_and_no_line_that_we_did_not_write(tmp_path: Path):
    home = Paths(*(tmp_path / name for name in ("home", "config", "data", "state", "programs")))
    logger = log.to_file(home)
    logger.info("build failed: \x1b]0;owned\x07\n2026-01-01 00:00:00,000 INFO all is well\u2028x")
    logging.getLogger("companion").handlers[0].close()
    first, second = home.log.read_text().splitlines()
    assert first.endswith(r"INFO build failed: \x1b]0;owned\x07")
    assert second == r"    2026-01-01 00:00:00,000 INFO all is well\u2028x"


FLOOD = "import sys\nwhile True: sys.{}.write('x' * 65536)"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_program_that_never_stops_talking_is_ended(stream: str):
    done = process.run((sys.executable, "-c", FLOOD.format(stream)), timeout=60)
    assert (done.code, done.stdout) == (process.TIMED_OUT, "")
    assert done.stderr == f"{sys.executable}: its output has no end"


def test_a_line_without_an_end_is_passed_on_in_parts():
    lines = children.Lines((sys.executable, "-c", FLOOD.format("stdout")), apart=True)
    assert len(next(iter(lines))) == talk.PART
    lines.kill()


def test_a_build_that_says_very_much_is_kept_in_part():
    said = build_output.Log()
    for number in range(100):
        said.add(f"{number} {'x' * 65536}")
    assert sum(map(len, said.lines)) < 5 << 20
    assert said.lines[0].startswith("0 ")
    assert said.lines[-1].startswith("99 ")
    assert "[…]" in said.lines
