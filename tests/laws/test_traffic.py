"""What does the gateway's log tell, whatever names the agent chose?"""

import pytest

from companion.traffic import book, words
from companion.traffic.book import MOST, Book
from companion.traffic.log import Passage, parse

TLS = "tls {} port=443 to=tls why=egress bytes=517/0 ms=3 term=PR"
TAIL = "status=200 why=ok bytes=120/4096 ms=12 term=--"


@pytest.mark.parametrize(
    ("line", "passage"),
    [
        (TLS.format("astral.sh"), Passage("astral.sh", 443, "egress", 517, 0)),
        (TLS.format("xn--80ak6aa92e.com"), Passage("xn--80ak6aa92e.com", 443, "egress", 517, 0)),
        (f"http pypi.org port=80 GET /simple/ {TAIL}", Passage("pypi.org", 80, "ok", 120, 4096)),
        (f"https api.test:443 port=443 POST /v1 {TAIL}", Passage("api.test", 443, "ok", 120, 4096)),
        ("tls api.test port=443 to=intercept why=intercepted bytes=9/9 ms=3 term=--", None),
        ("[NOTICE] (7) : New worker (9) forked", None),
        ("", None),
    ],
)
def test_a_line_is_read_as_what_happened(line: str, passage: Passage | None):
    assert parse(line) == passage


@pytest.mark.parametrize(
    "name",
    [
        "bank.test port=443 to=passthrough why=ok bytes=1/1 ms=0 term=--",
        "bank.test why=ok",
        "a" * 254,
        "a\u202eb",
        "-",
        "10.0.0.1 port=443",
    ],
)
def test_no_name_can_pass_for_another_or_for_a_result(name: str):
    assert parse(TLS.format(name)) == Passage("", 443, "egress", 517, 0)
    forged = f"http {name} port=80 GET / status=400 why=host bytes=1/2 ms=0 term=LR"
    assert parse(forged) == Passage("", 0, "host", 1, 2)


def test_a_path_cannot_pass_for_a_result():
    path = "/status=200_why=ok_bytes=9/9_ms=0_term=--"
    line = f"http listed.test port=80 GET {path} status=403 why=egress bytes=1/2 ms=0 term=PR"
    assert parse(line) == Passage("listed.test", 80, "egress", 1, 2)


def test_the_book_counts_and_remembers_the_last_refusal():
    passages = [
        (5_000_000_000, Passage("a.test", 443, "egress", 500, 900)),
        (6_000_000_000, Passage("a.test", 443, "ok", 10, 20)),
        (7_000_000_000, Passage("b.test", 443, "private")),
    ]
    found = book.entered(book.entered(Book(), passages[:1]), passages[1:])
    last, first = found.entries
    assert (last.host, last.is_refused, found.until) == ("b.test", True, 7_000_000_000)
    assert (first.allowed, first.refused, first.first, first.last) == (1, 1, 5.0, 6.0)
    assert list(map(words.use, found.entries)) == [
        "refused: leads to a private address",
        "allowed: 10 B sent, 20 B received; refused once, not in the egress list",
    ]


def test_a_flood_of_names_displaces_nothing_that_was_let_through():
    flood = [(n + 10, Passage(f"n{n}.test", 443, "egress")) for n in range(3 * MOST)]
    found = book.entered(Book(), [(1, Passage("used.test", 443, "ok")), *flood])
    assert len(found.entries) == MOST
    assert found.left_out == 2 * MOST + 1
    assert found.entries[-1].host == "used.test"
    assert found.entries[0].host == f"n{3 * MOST - 1}.test"


def test_a_long_name_keeps_the_end_that_tells_whose_it_is():
    shown = words.place(f"accounts.google.com.{'x' * 100}.attacker.test", 443)
    assert len(shown) <= 41
    assert shown.endswith(".attacker.test")
