"""Login probe: checks that the pinned server accepts our key."""

# ruff: noqa: N818 - the errors are named after what was found

import logging
import socket
import time
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from ssh import public_key
from ssh.connection import Connect
from ssh.public_key import Key

if TYPE_CHECKING:
    from paramiko import PKey, Transport

_INTERVAL = 0.05
"""Seconds between two attempts while nothing answers."""
_REFUSED_INTERVAL = 0.5
"""Seconds after a refusal: sshd >= 9.8 blocks clients with many failed logins."""
PATIENCE = 1.0
"""Seconds that even the first attempt gets at a port of this machine."""
_LONGEST = 200
"""Maximum number of characters repeated from an untrusted server."""
_MOST = 1024 * 1024
"""Bytes that a login may take: paramiko itself reads banners and packets of any length."""
_LOG = "ssh.probe.paramiko"


class ProbeError(Exception):
    """The login failed."""


class NotListening(ProbeError):
    """Nothing listens, or the listener does not send `SSH-2.0`.

    The latter is common: podman accepts connections on published ports without a server behind.
    """


class ProbeTimeout(ProbeError):
    """An SSH server answers but did not complete a login in time."""


class LoginRefused(ProbeError):
    """The right server rejects our key or does not run a command for it."""


class WrongHostKey(ProbeError):
    """A server other than the pinned one answers; nothing about us was sent to it."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"the server has the host key {got} and not the pinned {expected}")
        self.expected = expected
        self.got = got


class _Bounded(socket.socket):
    """A connection that ends once more was received than any login needs."""

    _left = _MOST

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive; nothing beyond the limit."""
        part = super().recv(min(size, self._left), flags) if self._left else b""
        self._left -= len(part)
        return part


@dataclass(frozen=True, slots=True)
class Login:
    """A successful login: the server's banner, and the seconds it took including `true`."""

    server_version: str
    seconds: float


def login(connect: Connect, user: str, private_key: Path, host_key: str, timeout: float) -> Login:
    """Log in with one key and nothing else, run `true`, hang up; all of it within `timeout` s.

    Args:
        connect: opens a connection to the server.
        user: the user to log in as.
        private_key: file of the Ed25519 key to offer.
        host_key: public key line that the server must prove to own before we offer our key.
        timeout: seconds; if not positive, nothing is tried.

    Raises:
        ProbeError: the login failed; the subclass tells why.
        ValueError: `host_key` is not a key.
        OSError, paramiko.SSHException: the private key cannot be read.
    """
    import paramiko  # noqa: PLC0415 - start-up time is a budget

    begin = time.monotonic()
    pin = public_key.parse(host_key)
    key = paramiko.Ed25519Key.from_private_key_file(str(private_key))
    with ExitStack() as open_until_then:
        connection = _connected(open_until_then, connect, timeout)
        transport = paramiko.Transport(connection)
        # What paramiko logs as an error is a result for us; child loggers inherit the level.
        logging.getLogger(_LOG).setLevel(logging.CRITICAL + 1)
        transport.set_log_channel(_LOG)
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = timeout
        try:
            _within(timeout - (time.monotonic() - begin), transport, user, key, pin)
        finally:
            transport.packetizer.complete_handshake()  # stops its timer: close() leaves it running
            transport.close()
    version = "".join(filter(str.isprintable, transport.remote_version))[:_LONGEST]
    return Login(version, time.monotonic() - begin)


def wait_for_login(
    connect: Connect,
    user: str,
    private_key: Path,
    host_key: str,
    deadline: float,
    *,
    patience: float = PATIENCE,
) -> Login:
    """Try to log in until time.monotonic() is `deadline`; arguments and errors as of login().

    Each attempt gets `patience` seconds at least, and longer the longer it takes altogether.

    A refusal is retried, because authorized_keys may follow within moments; a wrong host key is
    not. At the deadline, the error of the last attempt that it did not cut short is raised.
    """
    begin, reason = time.monotonic(), None
    while True:
        # A port that accepts and stays silent may get its sshd later: hang up and reconnect.
        time_for_it = max(patience, time.monotonic() - begin)
        left = deadline - time.monotonic()
        try:
            return login(connect, user, private_key, host_key, min(time_for_it, left))
        except WrongHostKey:
            raise
        except ProbeError as error:
            if time.monotonic() >= deadline:
                raise (error if reason is None else reason) from None
            reason = error
        pause = _REFUSED_INTERVAL if isinstance(reason, LoginRefused) else _INTERVAL
        time.sleep(max(0.0, min(pause, deadline - time.monotonic())))


def _connected(stack: ExitStack, connect: Connect, timeout: float) -> socket.socket:
    if timeout <= 0:
        raise ProbeTimeout("no time was left to connect")
    try:
        connection = stack.enter_context(connect(timeout))
    except OSError as error:
        raise NotListening(str(error)) from None
    bounded = stack.enter_context(closing(_Bounded(fileno=connection.detach())))
    bounded.settimeout(timeout)
    return bounded


def _within(seconds: float, transport: "Transport", user: str, key: "PKey", pin: Key) -> None:
    """Run the login in a separate thread and wait for it at most `seconds`.

    paramiko's timeouts bound only some single steps (exec_command has none). A thread left behind
    ends as soon as the caller closes the connection.
    """
    answer: Future[None] = Future()
    Thread(target=_answer, args=(answer, transport, user, key, pin), daemon=True).start()
    try:
        answer.result(max(0.0, seconds))
    except TimeoutError as error:
        raise _diagnosis(transport, error) from None


def _answer(answer: Future[None], transport: "Transport", user: str, key: "PKey", pin: Key) -> None:
    try:
        _converse(transport, user, key, pin)
    except ProbeError as error:
        answer.set_exception(error)
    except Exception as error:  # noqa: BLE001 - a bad server can make paramiko raise anything
        answer.set_exception(_diagnosis(transport, error))
    else:
        answer.set_result(None)


def _converse(transport: "Transport", user: str, key: "PKey", pin: Key) -> None:
    transport.start_client()
    server = transport.get_remote_server_key()
    shown = Key(server.get_name(), server.get_base64())
    if shown != Key(pin.type, pin.blob):
        raise WrongHostKey(pin.fingerprint, shown.fingerprint)
    if transport.auth_publickey(user, key):
        raise LoginRefused("the server requires more than a key")
    channel = transport.open_session()
    channel.exec_command("true")
    if status := channel.recv_exit_status():
        raise LoginRefused(f"the key was accepted, but `true` exited with {status}")


def _diagnosis(transport: "Transport", error: Exception) -> ProbeError:
    """Return the meaning of an error from paramiko, judged by how far the login got."""
    from paramiko import AuthenticationException  # noqa: PLC0415 - start-up time is a budget

    if not transport.remote_version.startswith("SSH-2.0"):
        return NotListening("the listener does not speak SSH-2.0")
    if isinstance(error, TimeoutError):
        return ProbeTimeout("the server did not complete a login in time")
    if isinstance(error, AuthenticationException):
        return LoginRefused(f"the server rejected our key: {error}")
    return ProbeError(f"the connection broke: {repr(error)[:_LONGEST]}")
