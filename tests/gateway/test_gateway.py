"""Is the gateway a good proxy? Against real upstreams, asked from inside the sandbox."""

import base64
import os
import socket
import ssl
import struct
import time
from itertools import pairwise

import pytest
from proxied import (
    APP,
    EXPIRED,
    HOST,
    KEYED,
    LISTENER,
    ODD,
    OTHER,
    OTHER_NAME,
    PUBLIC,
    SECOND,
    SECRETS,
    UNTRUSTED,
    Proxied,
)
from upstreams import EVENTS, GAP
from wire import client_hello, read_all

pytestmark = [pytest.mark.engine, pytest.mark.one_engine]
needs_namespace = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may make a network namespace"
)
CODE = "curl -s -o /dev/null -w '%{url} %{http_code}\\n' -m 8"


def test_a_secret_goes_only_to_a_server_that_shows_the_right_certificate(proxied: Proxied):
    wrong = (UNTRUSTED, OTHER_NAME, EXPIRED)
    urls = [f"https://{HOST}:{port}/certificate-{port}" for port in (KEYED, *wrong)]
    said = proxied.box.run(f"for url in {' '.join(urls)}; do {CODE} $url & done; wait").split()
    codes = dict(zip(said[::2], said[1::2], strict=True))
    assert codes.pop(urls[0]) == "200"
    assert len(codes) == len(wrong)
    assert set(codes.values()) <= {"502", "503"}
    assert [r["authorization"] for r in proxied.asked(f"/certificate-{KEYED}")] == [
        f"Bearer {SECRETS['ONE']}"
    ]
    blind = ssl._create_unverified_context()
    for port in wrong:
        assert not proxied.asked(f"/certificate-{port}")
        answer = direct(proxied, port, blind, f"/control-{port}")
        assert answer.startswith(b"HTTP/1.1 200"), "who does not verify would be answered"


def direct(proxied: Proxied, port: int, context: ssl.SSLContext, path: str) -> bytes:
    """Ask an upstream from the desktop, past the gateway."""
    plain = socket.create_connection((proxied.box.bridge, port), 5)
    with context.wrap_socket(plain, server_hostname=HOST) as dialled:
        dialled.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        return dialled.recv(4096)


def test_each_port_and_name_has_its_own_key(proxied: Proxied):
    places = {f"{HOST}:{KEYED}": "ONE", f"{HOST}:{SECOND}": "TWO", f"{OTHER}:{KEYED}": "THREE"}
    mine = "-H 'Authorization: Bearer mine'"
    urls = " ".join(f"https://{place}/keys-{secret}" for place, secret in places.items())
    proxied.box.run(f"curl -sS -m 8 {mine} {urls}")
    for secret in places.values():
        (request,) = proxied.asked(f"/keys-{secret}")
        assert request["authorization"] == f"Bearer {SECRETS[secret]}"


def test_an_injected_header_may_have_any_name(proxied: Proxied):
    proxied.box.run(f"curl -sS -m 8 http://{HOST}:{LISTENER}/odd")
    (heard,) = (one for one in proxied.listener.heard if one.target == "/odd")
    assert heard.values(ODD) == [SECRETS["ONE"]]


def test_requests_of_many_clients_share_a_connection_to_their_upstream(proxied: Proxied):
    ask = f"curl -sS -m 8 -w '%{{http_version}}\\n' https://{HOST}:{KEYED}/connection"
    said = proxied.box.run(f"{ask} --http2; {ask} --http2; {ask} --http1.1; {ask} --http1.1")
    lines = [line.split() for line in said.splitlines()]
    assert [version for (version,) in lines[1::2]] == ["2", "2", "1.1", "1.1"]
    connections, counts, protocols = zip(*lines[::2], strict=True)
    assert len(set(connections)) == 1, lines
    assert all(int(b) == int(a) + 1 for a, b in pairwise(counts))
    assert set(protocols) == {"HTTP/2.0"}


def test_events_arrive_when_they_are_sent(proxied: Proxied):
    each = 'while read -r line; do [ -z "$line" ] || echo "$(date +%s.%N) $line"; done'
    ask = f"date +%s.%N; curl -sSN -m 8 https://{HOST}:{KEYED}/events | {each}"
    begin, *said = proxied.box.run(ask).splitlines()
    times = [float(line.split()[0]) for line in said]
    assert [line.split()[1:] for line in said] == [["data:", str(n)] for n in range(EVENTS)]
    assert times[0] - float(begin) < 2 * GAP, "the first one waited for others"
    assert all(GAP / 2 < b - a < GAP * 2 for a, b in pairwise(times)), times


@pytest.mark.parametrize(("port", "tls"), [(KEYED, HOST), (APP, "")])
def test_a_websocket_carries_messages_both_ways(proxied: Proxied, port: int, tls: str):
    key = base64.b64encode(os.urandom(16)).decode()
    hello = (
        f"GET /socket-{port} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
    with proxied.wire.tls(port, tls) if tls else proxied.wire.dial(port) as dialled:
        dialled.sendall(hello.encode())
        assert dialled.recv(4096).startswith(b"HTTP/1.1 101 ")
        for message in (b"first", b"second"):
            dialled.sendall(struct.pack("BB", 0x81, 0x80 | len(message)) + bytes(4) + message)
            assert dialled.recv(4096) == struct.pack("BB", 0x81, len(message)) + message.upper()
    (request,) = proxied.asked(f"/socket-{port}")
    assert request["authorization"] == f"Bearer {SECRETS['ONE']}"


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_long_headers_pass(proxied: Proxied, version: str):
    ask = "curl -sS -m 8 %s -H @<(printf 'X-Long: '; head -c 30000 /dev/zero | tr '\\0' x) %s"
    assert proxied.box.run(ask % (version, f"https://{HOST}:{KEYED}/long")) == "app"
    assert len(proxied.asked("/long")[-1]["x-long"]) == 30_000


def test_a_large_upload_arrives_byte_by_byte(proxied: Proxied):
    make = "head -c 50M /dev/urandom >/tmp/upload; sha256sum </tmp/upload | cut -d ' ' -f 1"
    send = f"curl -sS -m 60 --data-binary @/tmp/upload https://{HOST}:{KEYED}/upload"
    sent, arrived = proxied.box.run(f"{make}; {send}; rm /tmp/upload").split()
    assert sent == arrived


@needs_namespace
def test_a_pattern_lets_the_names_below_it_through_untouched(public: Proxied):
    ask = "curl -sSk -m 8 {}://deep.wild.test/megabytes/1 | wc -c"
    assert public.box.run(ask.format("https")) == str(2**20)
    assert public.box.run(ask.format("http")) == str(2**20)
    for name in ("wild.test", "evilwild.test", "deep.wild.test.evil.test"):
        assert "egress list" in public.box.run(f"curl -sS -m 8 http://{name}/")
        assert "egress list" in public.box.run(f"curl -sSk -m 8 https://{name}/")
    with pytest.raises(ssl.SSLCertVerificationError):
        public.wire.tls(443, PUBLIC)  # the certificate is the upstream's own, not ours


@needs_namespace
def test_a_hello_in_many_pieces_is_waited_for(public: Proxied):
    for port, name in ((KEYED, HOST), (443, PUBLIC)):
        hello = client_hello(name)
        with public.wire.dial(port) as dialled:
            for at in range(0, len(hello) - 1, 20):
                dialled.sendall(hello[at : min(at + 20, len(hello) - 1)])
                time.sleep(0.005)
            assert read_all(dialled) == b"", "it was answered before it was complete"
            dialled.settimeout(5)
            dialled.sendall(hello[-1:])
            assert dialled.recv(3)[:2] == b"\x16\x03", "no TLS handshake followed"


@pytest.mark.long
@needs_namespace
def test_a_gigabyte_passes_through(public: Proxied):
    said = public.box.run(f"curl -sSk -m 50 https://{PUBLIC}/megabytes/1024 | wc -c")
    assert int(said) == 2**30
