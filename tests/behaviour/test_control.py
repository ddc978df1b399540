"""A gateway is asked by its socket, however long the path, and what it answers counts."""

import contextlib
import socket
import sys
import threading
from pathlib import Path

import pytest

from companion.engine import gateway_socket
from companion.errors import EngineError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the engine is asked")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / ("long" * 20) / ("longer" * 20)
    directory.mkdir(parents=True)
    return directory


def answer(place: Path, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    """Say something to the next caller, and hang up."""
    server = socket.socket(socket.AF_UNIX)
    with monkeypatch.context() as there:
        there.chdir(place)
        server.bind(gateway_socket.SOCKET)
    server.listen()

    def serve() -> None:
        with server, server.accept()[0] as caller:
            caller.sendall(said)

    threading.Thread(target=serve, daemon=True).start()


def test_its_last_words_tell_that_it_took_it_in(place: Path, monkeypatch: pytest.MonkeyPatch):
    answer(place, monkeypatch, b"a worker left\ntaken in\n")
    assert gateway_socket.reload(place)


def test_other_last_words_are_its_refusal(place: Path, monkeypatch: pytest.MonkeyPatch):
    answer(place, monkeypatch, b"line 3: no\nthe new configuration was not taken in\n")
    with pytest.raises(EngineError, match="was not taken in"):
        gateway_socket.reload(place)


@pytest.mark.parametrize("left", ["nothing", "socket"])
def test_where_nobody_listens_the_engine_must_be_asked(
    place: Path, monkeypatch: pytest.MonkeyPatch, left: str
):
    if left == "socket":
        answer(place, monkeypatch, b"")
    assert not gateway_socket.reload(place)


def endless(place: Path, monkeypatch: pytest.MonkeyPatch, part: bytes) -> threading.Event:
    """Say it again and again to the next caller; the event tells that it hung up."""
    server, hung_up = socket.socket(socket.AF_UNIX), threading.Event()
    with monkeypatch.context() as there:
        there.chdir(place)
        server.bind(gateway_socket.SOCKET)
    server.listen()

    def serve() -> None:
        with server, server.accept()[0] as caller, contextlib.suppress(OSError):
            while True:
                caller.sendall(part)
        hung_up.set()

    threading.Thread(target=serve, daemon=True).start()
    return hung_up


def test_an_answer_without_an_end_is_not_read_for_ever(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    hung_up = endless(place, monkeypatch, b"x" * 65536)
    assert not gateway_socket.reload(place)
    assert hung_up.wait(10)
