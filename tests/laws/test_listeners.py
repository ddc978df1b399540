"""Where programs listen: judged by sockets of this very process, and by what tables mean."""

import socket
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from companion.operations.ports_inside import judged
from companion.system import listeners
from companion.system.listeners import Listener

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these tables")
ROW = (
    "   0: {} 00000000:0000 {} 00000000:00000000 00:00000000 00000000 1000 0 {} 1 0 100 0 0 10 0\n"
)
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


@LINUX
def test_a_program_that_listens_here_is_named():
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        port = mine.getsockname()[1]
        assert listeners.owner(port) == ""
        mine.listen()
        assert "process" in listeners.owner(port)


@LINUX
def test_a_process_in_no_network_of_the_container_tells_nothing():
    """A remote engine's number of a process means another one here."""
    assert listeners.of_container(1, ("203.0.113.0/24",)) is None
    assert listeners.of_container(0, ()) is None


@pytest.mark.parametrize(
    ("address", "is_local"),
    [
        ("0100007F", True),
        ("0200007F", True),
        ("00000000", False),
        ("0302590A", False),
        ("00000000000000000000000000000000", False),
        ("00000000000000000000000001000000", True),
        ("0000000000000000FFFF00000100007F", True),
        ("0000000000000000FFFF00000302590A", False),
    ],
)
def test_an_address_of_the_loopback_is_told_from_others(address: str, is_local: bool):
    row = ROW.format(f"{address}:0BB8", "0A", 77)
    established = ROW.format(f"{address}:0BB9", "01", 78)
    assert list(listeners.parse(HEAD + row + established)) == [Listener(3000, is_local, 77)]


@given(st.text() | st.from_regex(r" 0: [0-9A-F-]{6,9}:[0-9A-Z]{3,5} 0:0 0A 0 0 0 0 0 [0-9]+ x"))
@example(ROW.format("0100007F:ZZZZ", "0A", 1))
@example(ROW.format("-1234567:0050", "0A", 1))
@example(ROW.format("0100007F:0050", "0A", "9" * 5000))
@example(ROW.format("0100007F:0050", "0A", "\u00b2"))
def test_what_a_program_inside_prints_instead_of_a_table_is_no_listener(printed: str):
    right = ROW.format("00000000:0BB8", "0A", 77)
    found = list(listeners.parse(f"{HEAD}{printed}\n{right}"))
    assert Listener(3000, is_local=False, inode=77) in found
    assert all(0 <= one.port < 1 << 16 for one in found)


def test_ports_are_offered_unless_they_are_ours_published_or_given_out_by_the_kernel():
    found = [
        Listener(p, is_local=True) for p in (1, 2222, 3000, 5173, 8080, 40000, *range(9000, 9100))
    ]
    ports = judged("coder", found, [(80, 8080)])
    assert ports.offered == (3000, 5173, *range(9000, 9018))
    (problem,) = ports.problems
    assert problem.hint.endswith("or run `companion port coder 8080`")
    assert problem.what.startswith("port 80 is published to port 8080 of coder, but")


def test_a_server_on_the_loopback_and_elsewhere_is_reachable():
    found = [Listener(80, is_local=True), Listener(80, is_local=False)]
    assert judged("coder", found, [(8080, 80)]).problems == ()


def test_the_fix_for_a_published_port_names_one_that_it_does_not_take_itself():
    (problem,) = judged("coder", [Listener(3000, is_local=True)], [(3000, 3000)]).problems
    assert problem.hint.endswith("or run `companion port coder 3001:3000`")
