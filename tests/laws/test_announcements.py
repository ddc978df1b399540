"""Which refusals reach the user, whatever an agent asks for?"""

import time
from types import SimpleNamespace

import pytest

from companion.daemon.refusals import (
    MOST,
    Announcement,
    Refusals,
    announcement,
    open_ones,
    refused,
    settled,
)
from companion.traffic import offers
from companion.traffic.log import Passage
from companion.tray import icon
from companion.tray.menu import Click, Verb
from companion.tray.notifications import Notification


def asked(hosts: list[str], now: float = 0.0) -> tuple[Refusals, list[Announcement]]:
    known, told = (), []
    for host in hosts:
        known = refused(known, host, now)
        if one := announcement(known):
            told.append(one)
    return known, told


def test_a_host_is_announced_once_and_counted():
    known, told = asked(["a.test", "b.test", "a.test"])
    assert told == [Announcement("a.test"), Announcement("b.test")]
    assert [(r.host, r.count) for r in known] == [("a.test", 2), ("b.test", 1)]


def test_a_flood_of_names_is_three_announcements_and_one_that_says_so():
    known, told = asked([f"n{number}.test" for number in range(1000)])
    assert told == [*(Announcement(f"n{n}.test") for n in range(3)), Announcement()]
    assert len(known) == MOST
    assert announcement(refused(known, "later.test", 700.0)) == Announcement("later.test")


def test_what_the_user_ignores_stays_quiet_and_what_is_allowed_is_forgotten():
    known, _ = asked(["a.test", "b.test"])
    known = settled(known, "a.test", ignored=True)
    assert announcement(refused(known, "a.test", 1.0)) is None
    assert [r.host for r in open_ones(known)] == ["b.test"]
    assert announcement(refused(settled(known, "b.test"), "b.test", 1.0)) == Announcement("b.test")


@pytest.mark.parametrize(
    ("host", "port", "why"),
    [
        ("10.0.0.1", 80, "egress"),
        ("0x7f000001", 80, "egress"),
        ("169.254.169.254", 80, "egress"),
        ("metadata", 80, "egress"),
        ("metadata.google.internal", 80, "egress"),
        ("printer.local", 443, "egress"),
        ("astral.sh", 8443, "egress"),
        ("astral.sh", 443, "private"),
        ("", 443, "egress"),
    ],
)
def test_what_is_no_public_host_is_never_offered(host: str, port: int, why: str):
    assert not offers.can_be_offered(Passage(host, port, why))
    assert offers.can_be_offered(Passage("astral.sh", 443, "egress"))


def test_a_click_that_comes_too_early_to_have_been_meant_asks_again():
    notes, done = [], []
    panel = SimpleNamespace(notify_about=lambda *note: notes.append(note))
    clicks = tuple((verb, Click(verb, "x", host="a.test")) for verb in (Verb.NETWORK, Verb.ALLOW))
    icon.show_notification(panel, Notification("t", "title", "text", clicks), done.append)
    ((_, show), (_, allow)) = notes[0][3]
    show()
    assert [click.verb for click in done] == [Verb.NETWORK]
    allow()
    assert len(notes) == 2
    assert len(done) == 1
    time.sleep(icon.MOMENT)
    allow()
    assert [click.verb for click in done] == [Verb.NETWORK, Verb.ALLOW]
