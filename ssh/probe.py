"""Does a server let us in, and is it the one that we know? The only file here with a network."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssh.keys import fingerprint

if TYPE_CHECKING:
    from paramiko import Transport

_ATTEMPT = 5.0


class ProbeError(Exception):
    """The login did not work."""


class NotListeningError(ProbeError):
    """Nobody is there, or what is there does not speak SSH."""


class WrongHostKeyError(ProbeError):
    """Somebody else answers; nothing was sent to them."""


class LoginRefusedError(ProbeError):
    """The right server does not take our key."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login that worked; `seconds` from the first packet to the end of `true`."""

    server_version: str
    seconds: float


def login(
    host: str, port: int, user: str, private_key: Path, host_key: str, timeout: float = _ATTEMPT
) -> Login:
    """Log in with one key, run `true`, leave.

    Args:
        host: address of the server.
        port: its port.
        user: whom to log in as.
        private_key: file of the only key that is offered.
        host_key: the public host key that the server must have.
        timeout: seconds for all of it.

    Raises:
        ProbeError: one of its subclasses says what went wrong.
    """
    import paramiko  # noqa: PLC0415 - start-up time is a budget

    begin = time.monotonic()
    deadline = begin + timeout
    transport = _connect(host, port, deadline)
    try:
        _handshake(transport, host_key, deadline)
        key = paramiko.Ed25519Key.from_private_key_file(str(private_key))
        transport.auth_timeout = _left(deadline)
        try:
            transport.auth_publickey(user, key)
        except paramiko.AuthenticationException as error:
            raise LoginRefusedError("the server does not take our key") from error
        channel = transport.open_session(timeout=_left(deadline))
        channel.settimeout(_left(deadline))
        channel.exec_command("true")
        _ended(channel.status_event.wait(_left(deadline)))
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise NotListeningError(f"the connection broke: {error}") from error
    finally:
        transport.close()
    return Login(transport.remote_version, time.monotonic() - begin)


def wait_for_login(
    host: str, port: int, user: str, private_key: Path, host_key: str, deadline: float
) -> Login:
    """Try to log in until `deadline` (time.monotonic()); a wrong host key ends it at once.

    Raises:
        ProbeError: what the last attempt met.
    """
    while True:
        try:
            timeout = min(_ATTEMPT, max(0.1, deadline - time.monotonic()))
            return login(host, port, user, private_key, host_key, timeout)
        except (NotListeningError, LoginRefusedError):
            if time.monotonic() + 0.05 >= deadline:
                raise
            time.sleep(0.05)


def _connect(host: str, port: int, deadline: float) -> "Transport":
    """Connect, and see that the server says SSH-2.0: engines accept for servers that are not."""
    import logging  # noqa: PLC0415 - only to silence paramiko

    import paramiko  # noqa: PLC0415 - start-up time is a budget

    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    try:
        connection = socket.create_connection((host, port), timeout=_left(deadline))
        connection.settimeout(_left(deadline))
        banner = connection.recv(7, socket.MSG_PEEK)
    except OSError as error:
        raise NotListeningError(f"nobody answers on {host}:{port} ({error})") from error
    if not banner.startswith(b"SSH-"):
        connection.close()
        raise NotListeningError(f"what answers on {host}:{port} does not speak SSH")
    return paramiko.Transport(connection)


def _handshake(transport: "Transport", host_key: str, deadline: float) -> None:
    transport.get_security_options().key_types = ("ssh-ed25519",)
    transport.start_client(timeout=_left(deadline))
    server = transport.get_remote_server_key()
    offered = f"{server.get_name()} {server.get_base64()}"
    if offered.split()[:2] != host_key.split()[:2]:
        raise WrongHostKeyError(
            f"the server has the host key {fingerprint(offered)} instead of {fingerprint(host_key)}"
        )


def _ended(in_time: object) -> None:
    if not in_time:
        raise OSError("the command did not end in time")


def _left(deadline: float) -> float:
    return max(0.05, deadline - time.monotonic())
