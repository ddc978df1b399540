"""The probe tells a good login from all the bad ones, in bounded time."""

import dataclasses
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread, Timer

import pytest

from companion.system import children
from ssh import banner, config, keys, known_hosts, probe
from ssh.connection import by_tcp

DAEMON = "/usr/sbin/sshd"
ROOT = Path(probe.__file__).parents[1]


def login(server, timeout=60.0):
    where = by_tcp("127.0.0.1", server.port)
    return probe.login(where, server.user, server.client_key, server.host_key, timeout)


def wait(server, seconds):
    return probe.wait_for_login(
        by_tcp("127.0.0.1", server.port),
        server.user,
        server.client_key,
        server.host_key,
        time.monotonic() + seconds,
    )


def swapped(server):
    return dataclasses.replace(server, host_key=keys.generate("another").public)


def with_unknown_key(server, directory):
    path = directory / "unknown"
    path.write_text(keys.generate("unknown").private)
    return dataclasses.replace(server, client_key=path)


@pytest.fixture
def listener():
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener


@pytest.fixture
def saying(listener, server):
    """A server that says some bytes to one caller and then stays silent."""
    kept = []

    def serve(data):
        kept.append(listener.accept()[0])
        kept[0].sendall(data)

    def start(data):
        Thread(target=serve, args=(data,), daemon=True).start()
        return dataclasses.replace(server, port=listener.getsockname()[1])

    yield start
    for connection in kept:
        connection.close()


def test_the_right_key_logs_in_and_hears_the_servers_version(sshd):
    answer = login(sshd)
    assert answer.server_version.startswith("SSH-2.0-OpenSSH")
    assert answer.seconds > 0


def test_a_swapped_host_key_is_noticed_before_we_say_who_we_are(sshd, tmp_path):
    other = swapped(sshd)
    with pytest.raises(probe.WrongHostKey) as caught:
        login(other)
    assert caught.value.expected == keys.fingerprint(other.host_key)
    assert caught.value.got == keys.fingerprint(sshd.host_key)
    assert f"user {sshd.user}" not in (tmp_path / "log").read_text()


def test_an_unknown_client_key_is_refused(sshd, tmp_path):
    with pytest.raises(probe.LoginRefused):
        login(with_unknown_key(sshd, tmp_path))


def test_an_account_that_runs_no_command_is_no_login(start_sshd):
    with pytest.raises(probe.LoginRefused, match="exited with 1"):
        login(start_sshd("ForceCommand exit 1"))


def test_a_server_that_wants_a_password_too_is_no_login(start_sshd):
    lines = ("PasswordAuthentication yes", "AuthenticationMethods publickey,password")
    with pytest.raises(probe.LoginRefused, match="more than a key"):
        login(start_sshd(*lines))


def test_nobody_listens(server):
    with pytest.raises(probe.NotListening):
        login(server)


def test_a_port_that_accepts_and_stays_silent_is_not_listening(listener, server):
    silent = dataclasses.replace(server, port=listener.getsockname()[1])
    with pytest.raises(probe.NotListening):
        login(silent, 0.2)


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-1.5-old\r\n", b"\xff\xfe\r\n"]
)
def test_what_speaks_something_else_is_not_listening(saying, data):
    with pytest.raises(probe.NotListening):
        login(saying(data), 0.2)


def test_a_server_that_stops_after_its_banner_is_too_slow(saying):
    with pytest.raises(probe.ProbeTimeout):
        login(saying(b"SSH-2.0-slow\r\n"), 2)  # long enough to read the banner, on any machine


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 64,
        b"\0" * 64,
        b"\0\0\0\x1c\x06\x14" + bytes(16) + b"\0\0\0\1\xff" + bytes(6),  # not UTF-8
    ],
)
def test_a_server_that_talks_nonsense_is_a_probe_error_and_leaves_no_thread(saying, data):
    before = threading.active_count()
    with pytest.raises(probe.ProbeError) as caught:
        login(saying(b"SSH-2.0-mad\r\n" + data))
    assert not isinstance(caught.value, probe.ProbeTimeout)
    for thread in threading.enumerate()[before:]:
        thread.join(60)
    assert threading.active_count() <= before


@pytest.mark.parametrize("first", [b"", b"SSH-2.0-x\r\n\x7f\xff\xff\xfc"])
def test_a_server_that_never_stops_talking_is_hung_up_on(listener, server, first):
    """Before its banner ends, and in a packet that it says to be 2 GB long."""
    heard = []

    def flood():
        with listener.accept()[0] as caller, suppress(OSError):
            caller.sendall(first)
            while True:
                heard.append(caller.send(b"\0" * 65536))

    thread = Thread(target=flood, daemon=True)
    thread.start()
    here = dataclasses.replace(server, port=listener.getsockname()[1])
    with pytest.raises(probe.ProbeError):
        login(here)
    thread.join(10)
    assert not thread.is_alive()
    assert sum(heard) < 32 << 20


def test_a_command_that_never_ends_is_too_slow(start_sshd):
    server = start_sshd("ForceCommand sleep 9")
    with pytest.raises(probe.ProbeTimeout):
        login(server, 0.4)


def test_without_time_nothing_is_tried(sshd):
    with pytest.raises(probe.ProbeTimeout):
        login(sshd, 0)


def test_a_name_is_refused_because_looking_it_up_has_no_bound(sshd):
    with pytest.raises(ValueError, match="localhost"):
        by_tcp("localhost", sshd.port)


def test_the_server_may_be_a_program_instead_of_a_port(sshd, tmp_path):
    def connect(_seconds):
        return children.connection((DAEMON, "-i", "-f", str(tmp_path / "sshd_config")))

    key, user = sshd.client_key, sshd.user
    probe.login(connect, user, key, sshd.host_key, 60)
    with pytest.raises(probe.WrongHostKey):
        probe.login(connect, user, key, swapped(sshd).host_key, 60)
    assert banner.read(connect, 60).startswith("SSH-2.0-OpenSSH")
    with pytest.raises(probe.NotListening):
        probe.login(lambda _: children.connection(("false",)), user, key, sshd.host_key, 60)
    own = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    assert not [
        pid for pid in own if b"-i" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    ]


def test_waiting_ends_soon_after_the_server_starts(server, start_sshd):
    Timer(0.1, start_sshd).start()
    wait(server, 60)


def test_waiting_hangs_up_on_a_silent_port_that_later_gets_its_server(server, start_sshd):
    with socket.create_server(("127.0.0.1", server.port)) as silent:
        caller = Thread(target=wait, args=(server, 60))
        caller.start()
        held = silent.accept()[0]
    start_sshd()
    caller.join(60)
    assert not caller.is_alive()
    held.close()


def test_waiting_lets_a_key_in_that_is_added_meanwhile(sshd):
    allowed = sshd.authorized_keys.read_text()
    sshd.authorized_keys.write_text("")
    Timer(0.1, sshd.authorized_keys.write_text, args=(allowed,)).start()
    wait(sshd, 60)


def test_waiting_says_at_the_deadline_that_the_key_was_refused(sshd, tmp_path):
    with pytest.raises(probe.LoginRefused):
        wait(with_unknown_key(sshd, tmp_path), 3)


def test_waiting_does_not_try_a_wrong_host_key_again(sshd):
    with pytest.raises(probe.WrongHostKey):
        wait(swapped(sshd), 3600)


def test_paramiko_says_nothing_on_stderr(saying):
    server = saying(b"SSH-2.0-mad\r\n" + b"\xff" * 64)
    code = (
        "import sys; from pathlib import Path; from ssh import connection, probe\n"
        "where = connection.by_tcp(sys.argv[1], int(sys.argv[2]))\n"
        "try: probe.login(where, 'u', Path(sys.argv[3]), sys.argv[4], 3)"
        "\nexcept probe.ProbeError: print('caught')"
    )
    argv = [sys.executable, "-c", code, "127.0.0.1", server.port, server.client_key]
    done = subprocess.run(
        [*map(str, argv), server.host_key], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("caught\n", "")


@pytest.fixture
def desktop(sshd, ssh, tmp_path):
    """`ssh` with our files: returns its answer for a pinned key."""

    def run(pin):
        pins, file = tmp_path / "known hosts", tmp_path / "our config"
        pins.write_text(known_hosts.render({"a.sandbox": pin}))
        entry = config.Host(
            "a.sandbox", "127.0.0.1", sshd.port, sshd.user, str(sshd.client_key), str(pins)
        )
        file.write_text(config.render([entry]))
        return ssh("-F", file, "-o", "BatchMode=yes", "a.sandbox", "echo in")

    return run


def test_ssh_itself_logs_in_with_our_config_and_pin(desktop, sshd):
    answer = desktop(sshd.host_key)
    assert (answer.returncode, answer.stdout) == (0, "in\n"), answer.stderr


def test_ssh_itself_refuses_a_swapped_pin(desktop, sshd):
    answer = desktop(swapped(sshd).host_key)
    assert (answer.returncode, answer.stdout) == (255, "")
    assert "Host key verification failed" in answer.stderr
