"""Traffic survives changes of the gateway's rules and certificates."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from proxied import APP, HOST, KEYED, LISTENER, SECRETS, Proxied
from sandboxes import Box, wait_until
from wire import Wire

from companion.reconcile import certificates

pytestmark = pytest.mark.engine

# The first curl asks again and again on one connection as long as that lives; the others make new
# ones. Each request leaves a line: its status, curl's own verdict, the connections it made.
LOAD = f"""
rm -f ~/kept ~/new ~/stop
said='%{{stderr}}%{{http_code}} %{{exitcode}} %{{num_connects}}\\n'
line='url = https://{HOST}:{KEYED}/kept\\noutput = /dev/null\\n'
curl -s -m 8 --rate 50/s -K <(for n in {{1..5000}}; do printf "$line"; done) -w "$said" 2>~/kept &
while [ ! -e ~/stop ]; do
  curl -s -m 8 -o /dev/null -w "$said" http://{HOST}:{APP}/new 2>>~/new
  sleep 0.02
done
kill $!
"""
INJECTED = 'Authorization: "Bearer ${ONE}"'


@contextmanager
def load(box: Box) -> Iterator[None]:
    argv = ["ssh", "-F", box.desk.home / ".ssh/config", "-o", "BatchMode=yes", box.alias, "bash -s"]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, text=True)
    assert child.stdin
    child.stdin.write(LOAD)
    child.stdin.close()
    try:
        yield
    finally:
        box.run("touch ~/stop")
        child.wait(timeout=60)


class Client(threading.Thread):
    """Asks a service that nobody changes, one request after the other; never asks anything twice.

    A connection is left when an answer says so.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__(daemon=True)
        self.wire, self.ends = wire, threading.Event()
        self.answers: list[bytes] = []
        self.connections = 0

    def run(self) -> None:
        while not self.ends.is_set():
            self.connections += 1
            with self.wire.dial(LISTENER) as dialled:
                self._ask_on(dialled)

    def _ask_on(self, dialled: socket.socket) -> None:
        while not self.ends.is_set():
            dialled.sendall(f"GET /steady HTTP/1.1\r\nHost: {HOST}:{LISTENER}\r\n\r\n".encode())
            try:
                self.answers.append(dialled.recv(4096))
            except OSError as error:
                self.answers.append(str(error).encode())
            if not self.answers[-1].endswith(b"ok") or b"connection: close" in self.answers[-1]:
                return
            time.sleep(0.01)


def test_no_request_fails_while_the_headers_change(proxied: Proxied):
    check_load(proxied, changes=3)


@pytest.mark.long
def test_no_request_fails_in_many_changes(proxied: Proxied):
    check_load(proxied, changes=25)


def check_load(proxied: Proxied, changes: int) -> None:
    box, before, client = proxied.box, proxied.box.ids(), Client(proxied.wire)
    client.start()
    try:
        with load(box):
            change_headers(proxied, client, changes)
    finally:
        client.ends.set()
        client.join()
    assert all(answer.endswith(b"ok") for answer in client.answers), client.answers[-1]
    assert changes <= client.connections <= changes + 2, "each new process takes one over"
    kept, new = (read_load(box, name) for name in ("kept", "new"))
    assert {(code, verdict) for code, verdict, _ in kept + new} == {("200", "0")}
    assert min(len(kept), len(new)) > changes
    connections = sum(int(made) for _, _, made in kept)
    assert changes < connections <= 2 * changes + 2, "each new process takes one over"
    assert box.ids() == before


def read_load(box: Box, name: str) -> list[list[str]]:
    """Return what curl said of each request; it may have been ended in the middle of a line."""
    whole, _, _ = box.ssh(f"cat ~/{name}").ok().out.rpartition("\n")
    return [line.split() for line in whole.splitlines()]


def change_headers(proxied: Proxied, client: Client, changes: int) -> None:
    """Save new headers time and again; wait for each until upstreams see it and are asked again."""
    box, config = proxied.box, proxied.box.config_text()
    assert config.count(INJECTED) == 2
    try:
        for number in range(changes):
            text = config.replace(INJECTED, INJECTED.replace("Bearer", f"round-{number}"))
            (box.project / "agent.yaml").write_text(text)
            assert box.companion("up", "--json").ok().agent["change"] == "reload"
            wait_until(lambda n=number: seen_last(proxied) == {f"round-{n} {SECRETS['ONE']}"})
            answered = len(client.answers)
            wait_until(lambda n=answered: len(client.answers) > n)
    finally:
        (box.project / "agent.yaml").write_text(config)
        box.companion("up").ok()


def seen_last(proxied: Proxied) -> set[str]:
    return {proxied.asked(path)[-1]["authorization"] for path in ("/kept", "/new")}


def test_a_certificate_that_ends_soon_is_renewed_without_a_restart(proxied: Proxied):
    box, before = proxied.box, proxied.box.ids()
    kept = box.agent_state / "certificates" / f"{HOST}.pem"
    ending = leaf_of(box, issued=datetime.now(UTC) - certificates.LEAF_LIFETIME * 3 / 4)
    kept.write_text(ending)
    gateway = box.container("coder-gateway")
    box.engine("exec", gateway, "bash", "/usr/local/lib/companion/reload.sh")
    assert shown(proxied) == x509.load_pem_x509_certificate(ending.encode())
    plan = box.companion("plan", "--check", "--json")
    assert plan.code == 4
    assert plan.agent["steps"] == [
        {
            "step": "reload coder-gateway",
            "code": "not-loaded",
            "reason": f"changed: certificate {HOST}",
        }
    ]
    assert box.companion("up", "--json").ok().agent["change"] == "reload"
    left = shown(proxied).not_valid_after_utc - datetime.now(UTC)
    assert left > certificates.LEAF_LIFETIME - timedelta(days=1)
    assert box.companion("plan", "--check").code == 0
    assert box.ids() == before


def leaf_of(box: Box, issued: datetime) -> str:
    """Return a certificate as companion would have made it then."""
    ca = box.desk.home / ".local/share/companion/ca"
    authority = certificates.Authority((ca / "ca.crt").read_text(), (ca / "ca.key").read_text())
    return certificates.issue(authority, HOST, issued)


def shown(proxied: Proxied) -> x509.Certificate:
    """Return the certificate that the gateway shows to the agent."""
    with proxied.wire.tls(KEYED, HOST) as dialled:
        return x509.load_der_x509_certificate(dialled.getpeercert(binary_form=True))
