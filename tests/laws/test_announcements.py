"""Which refusals reach the user, whatever an agent asks for?"""

import socket
import threading
import time
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from companion.daemon.listener import Listener
from companion.daemon.refusals import (
    MOST,
    TOLD_MOST,
    Announcement,
    Refusals,
    refused,
    settled,
)
from companion.spec import identity
from companion.traffic import offers
from companion.traffic.log import Passage
from companion.tray import icon
from companion.tray.clicks import Click, Verb
from companion.tray.linux.dbusmenu import MenuInterface
from companion.tray.notifications import Notification
from companion.tray.rows import Row


def asked(hosts: Iterable[str], known: Refusals | None = None, now: float = 0.0):
    """Return the refusals after these, and what the user was told."""
    known, told = known or Refusals(), []
    for host in hosts:
        known = refused(known, host, now)
        if known.news:
            told.append(known.news)
    return known, told


def names(begin: int, end: int) -> list[str]:
    return [f"n{number}.test" for number in range(begin, end)]


def test_a_host_is_announced_once_and_counted():
    known, told = asked(["a.test", "b.test", "a.test"])
    assert told == [Announcement("a.test"), Announcement("b.test")]
    assert [(row.host, row.count) for row in known.rows] == [("a.test", 2), ("b.test", 1)]


def test_a_flood_of_names_is_three_announcements_and_one_that_says_so():
    known, told = asked(names(0, 400))
    assert told == [*map(Announcement, names(0, 3)), Announcement()]
    assert len(known.rows) == MOST
    known, told = asked(["n0.test", "later.test"], known, 700.0)
    assert told == [Announcement("later.test")]
    assert not asked(names(400, 2000), known, 800.0)[0].told[TOLD_MOST:]
    assert not asked(["last.test"], asked(names(400, 2000), known, 800.0)[0], 9000.0)[1]


def test_what_the_user_ignores_stays_quiet_whatever_else_is_asked_for():
    known, _ = asked(["a.test", "b.test"])
    known = settled(known, "a.test", ignored=True)
    known, told = asked([*names(0, 50), "a.test"], known, 700.0)
    assert Announcement("a.test") not in told
    assert "a.test" not in {row.host for row in known.rows}


def test_what_was_allowed_is_announced_again_when_it_is_refused_again():
    known = settled(asked(["a.test"])[0], "a.test")
    assert not known.rows
    assert asked(["a.test"], known, 1.0)[1] == [Announcement("a.test")]


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


def test_a_listener_hears_of_refusals_from_a_gateway_until_it_forgets_it(tmp_path: Path):
    heard: SimpleQueue[tuple[str, Passage]] = SimpleQueue()
    listener = Listener(lambda key, passage: heard.put((key, passage)), lambda *_: None)
    thread = threading.Thread(target=listener.run)
    thread.start()
    listener.follow("a", tmp_path)
    with chdir(tmp_path), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gateway:
        for host, why in (("x.test", "ok"), ("x.test", "egress"), ("x.test", "ok")):
            line = f"tls {host} port=443 to=tls why={why} bytes=1/2 ms=3 term=--"
            gateway.sendto(line.encode(), identity.LOG_SOCKET)
        said = [heard.get(timeout=30) for _ in range(2)]
        assert [(key, passage.why) for key, passage in said] == [("a", "egress"), ("a", "ok")]
        listener.forget("a")
        with pytest.raises(ConnectionRefusedError):
            gateway.sendto(b"nobody listens", identity.LOG_SOCKET)
    listener.stop()
    thread.join(30)
    assert not thread.is_alive()


def test_the_menu_remembers_no_host_that_it_no_longer_shows():
    import pystray  # without a display, only after `icon`

    hosts = iter(range(1000))

    def menu() -> pystray.Menu:
        row = Row(f"a:refused:{next(hosts)}", "one", Click(Verb.IGNORE))
        return pystray.Menu(icon.Item(row, lambda _: None))

    shown = MenuInterface(menu, lambda _: None)
    for _ in range(100):
        shown.refresh()
    assert len(shown._ids) == 1
