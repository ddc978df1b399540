"""Receive the authorization response on a port of 127.0.0.1 (RFC 8252).

If the browser runs on another machine, the user pastes the address that it could not open.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue

from companion.errors import CompanionError

_WAIT_TIMEOUT = 600.0
_READ_TIMEOUT = 10.0
_READ_SIZE = 1 << 16
PATH = "/callback"
_PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Companion</title><p>{text}</p></html>
"""
_ACCEPTED = (
    "Companion received the response. You can close this window and return to your terminal."
)
_REFUSED = "This is not the response that Companion is waiting for."


@dataclass(slots=True)
class Callback:
    """A local redirect URI, and the response that arrives there."""

    origin: str
    """Scheme, address and port where we listen."""
    path: str = PATH
    is_response: Callable[[str], bool] = lambda _: False
    """Decides which address is the response; others are refused and the wait continues."""
    _answers: "SimpleQueue[str]" = field(default_factory=SimpleQueue)

    @property
    def redirect(self) -> str:
        """The redirect URI (RFC 6749) that the authorization server sends the browser to."""
        return f"{self.origin}{self.path}"

    def offer(self, url: str) -> bool:
        """Accept an address if it is the response; return whether it was."""
        if not self.is_response(url):
            return False
        self._answers.put(url)
        return True

    def wait(self) -> str:
        """Return the address of the response.

        Raises:
            CompanionError: none came within ten minutes.
        """
        try:
            return self._answers.get(timeout=_WAIT_TIMEOUT)
        except Empty:
            what = "no response from the browser within ten minutes"
            raise CompanionError(what, "run the command again") from None


@contextmanager
def listen(port: int, path: str = PATH) -> Iterator[Callback]:
    """Listen for the browser at a path on a port of 127.0.0.1; 0: any free port.

    Raises:
        CompanionError: the port cannot be used.
    """
    try:
        server = _Server(("127.0.0.1", port), _Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        what = f"cannot listen on port {port} of 127.0.0.1: {reason}"
        raise CompanionError(what, "choose another --port") from None
    callback = Callback(f"http://127.0.0.1:{server.server_port}", path)
    server.callback = callback
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield callback
    finally:
        server.shutdown()
        server.server_close()


def accept_pasted(callback: Callback, tell: Callable[[str], None]) -> None:
    """Also accept addresses that the user pastes into the terminal, in a thread of its own."""

    def read() -> None:
        # Not sys.stdin: a thread that blocks in there keeps the process from ending.
        while data := os.read(sys.stdin.fileno(), _READ_SIZE):
            for pasted in data.decode(errors="replace").split():
                if callback.offer(pasted):
                    return
                tell(f"that is not the address to paste; it starts with {callback.redirect}?")

    threading.Thread(target=read, daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False
    callback: Callback


class _Handler(BaseHTTPRequestHandler):
    timeout = _READ_TIMEOUT
    server: _Server

    def do_GET(self) -> None:
        """Accept the response, or answer 400."""
        callback = self.server.callback
        accepted = callback.offer(callback.origin + self.path)
        page = _PAGE.format(text=_ACCEPTED if accepted else _REFUSED).encode()
        self.send_response(200 if accepted else 400)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Log nothing: the address contains the authorization code."""
