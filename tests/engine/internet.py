"""A host with a public address, in a network namespace: what passes through can be seen to pass."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sandboxes import Box, wait_until

from companion.reconcile import certificates
from companion.system import locks

NAME, ADDRESS = "stream.test", "11.99.0.2"
_OURS = "10.199.99.1"
"""A private one: a public address of the desktop's would be news to every sandbox."""
_LOCK = Path("/run/companion-test-internet.lock")
_NAMESPACE, _OUTER, _INNER = "cpn-test", "cpn-test0", "cpn-test1"

SERVER = """
import ssl, sys, threading, time
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

MEGABYTE = bytes(2**20)

class Ticks(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path.startswith("/megabytes/"):
            for _ in range(int(self.path.rpartition("/")[2])):
                self.wfile.write(MEGABYTE)
            return
        try:
            while True:
                self.wfile.write(b"tick\\n")
                time.sleep(0.1)
        except OSError:
            pass
    def log_message(self, *_):
        pass

address, certificate = sys.argv[1:]
plain, tls = (ThreadingTCPServer((address, port), Ticks) for port in (80, 443))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
tls.socket = context.wrap_socket(tls.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=plain.serve_forever, daemon=True).start()
tls.serve_forever()
"""


@contextmanager
def internet(top: Path) -> Iterator[None]:
    """Serve endless answers at ADDRESS on ports 80 and 443, with a certificate for NAME."""
    certificate = top / "public.pem"
    now = datetime.now(UTC)
    certificate.write_text(certificates.issue(certificates.new_authority(now), NAME, now))
    with elsewhere(sys.executable, "-c", SERVER, ADDRESS, certificate):
        wait_until(lambda: _answers(80) and _answers(443))
        yield


@contextmanager
def elsewhere(*server: str | Path) -> Iterator[None]:
    """Run a server in a namespace that has ADDRESS; one test of this machine at a time has it."""
    with locks.exclusive(_LOCK), ExitStack() as stack:
        _clear()  # of a run that was killed
        stack.callback(_clear)
        _ip("netns", "add", _NAMESPACE)
        _ip("link", "add", _OUTER, "type", "veth", "peer", _INNER, "netns", _NAMESPACE)
        _ip("addr", "add", f"{_OURS}/32", "dev", _OUTER)
        _ip("link", "set", _OUTER, "up")
        _ip("route", "add", f"{ADDRESS}/32", "dev", _OUTER, "src", _OURS)
        _ip("-n", _NAMESPACE, "addr", "add", f"{ADDRESS}/32", "dev", _INNER)
        _ip("-n", _NAMESPACE, "link", "set", _INNER, "up")
        _ip("-n", _NAMESPACE, "route", "add", f"{_OURS}/32", "dev", _INNER)
        _ip("-n", _NAMESPACE, "route", "add", "default", "via", _OURS)
        running = subprocess.Popen(["ip", "netns", "exec", _NAMESPACE, *server])
        stack.callback(running.wait)
        stack.callback(running.terminate)
        yield


def tell_address(box: Box, name: str, address: str, agent: str = "coder") -> None:
    """Let the gateway's resolver know a name, as the engine's resolver would."""
    container = box.inspect(f"{agent}-gateway")["State"]["Pid"]
    with Path(f"/proc/{container}/root/tmp/names.hosts").open("a") as hosts:
        hosts.write(f"{address} {name}\n")
    for pid in descendants(container):
        if Path(f"/proc/{pid}/comm").read_text() == "dnsmasq\n":
            os.kill(pid, signal.SIGHUP)


def descendants(pid: int) -> Iterator[int]:
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        yield child
        yield from descendants(child)


def _clear() -> None:
    """A namespace that is in use somewhere outlives its name, and would keep the link."""
    _ip("link", "delete", _OUTER, check=False)
    _ip("netns", "delete", _NAMESPACE, check=False)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection((ADDRESS, port), 1):
        return True
    return False


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=True)
