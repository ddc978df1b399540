"""An SSH server for sandboxes of the fake engine: it lets every key in, and `true` succeeds."""

import fcntl
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
from desk import Desk
from fake_project import Fake

from ssh import keys

FEATURE = "  - plugin: ssh\n    port: {}\n    host_key: host_key\n"


class _Everyone(paramiko.ServerInterface):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_succeed, args=(channel, self.seconds), daemon=True).start()
        return True


@contextmanager
def answering(fake: Fake, seconds: float = 0.0) -> Iterator[None]:
    """Give the project's agent the ssh plugin, and answer at its port while the block runs.

    A login takes so many seconds more.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    key = fake.project / "host_key"
    key.touch(0o600)
    key.write_text(keys.generate("host").private)
    with (fake.project / "agent.yaml").open("a") as config:
        config.write(FEATURE.format(listener.getsockname()[1]))
    threading.Thread(target=_serve, args=(listener, key, seconds), daemon=True).start()
    try:
        yield
    finally:
        _close(listener)


@contextmanager
def answering_all(desk: Desk) -> Iterator[set[int]]:
    """Answer at the ports of all agents of a desk, with their host keys, while the block runs.

    Yields the ports at which not to answer, none at first.
    Companion takes the first free port, which stays free until it is answered at. So a test in
    another process, whose sandboxes would be given the same one, waits for the end of the block.
    """
    with (Path(tempfile.gettempdir()) / f"companion-ports-{os.getuid()}").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        with _answered(desk) as silent:
            yield silent


@contextmanager
def _answered(desk: Desk) -> Iterator[set[int]]:
    served: dict[int, socket.socket] = {}
    silent: set[int] = set()
    ends = threading.Event()
    watcher = threading.Thread(target=_follow, args=(desk.paths.projects, served, silent, ends))
    watcher.start()
    try:
        yield silent
    finally:
        ends.set()
        watcher.join()
        for listener in served.values():
            _close(listener)


def _follow(
    projects: Path, served: dict[int, socket.socket], silent: set[int], ends: threading.Event
) -> None:
    while not ends.wait(0.02):
        records: list[Path] = []
        with suppress(OSError):  # a directory is removed meanwhile
            records = list(projects.glob("*/*/agent.json"))
        for record in records:
            key = record.parent / "sshd/host_key"
            with suppress(OSError, ValueError, KeyError):
                port = json.loads(record.read_text())["allocation"]["ssh_port"]
                if port and port not in {*served, *silent}:
                    served[port] = socket.create_server(("127.0.0.1", port))
                    serving = threading.Thread(target=_serve, args=(served[port], key), daemon=True)
                    serving.start()


def _serve(listener: socket.socket, key: Path, seconds: float = 0.0) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            transport = paramiko.Transport(connection)
            transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(key)))
            with suppress(OSError, EOFError, paramiko.SSHException):
                transport.start_server(threading.Event(), _Everyone(seconds))


def _close(listener: socket.socket) -> None:
    """Close it; who waits for a caller is woken, lest it takes one from another socket's number."""
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _succeed(channel: paramiko.Channel, seconds: float) -> None:
    """End the command; close only once the client has: before it is told that the command began,
    a closed channel means that it did not.
    """
    time.sleep(seconds)
    with suppress(OSError):  # the caller has hung up
        channel.send_exit_status(0)
    channel.recv(1)
    channel.close()
