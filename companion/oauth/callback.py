"""How does the answer come back from the browser? To a port of ours on 127.0.0.1 (RFC 8252).

Where the browser runs on another machine, its user pastes the address that it could not open.
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

_PATIENCE = 600.0
_SILENCE = 10.0
_LINE = 1 << 16
_PATH = "/callback"
_PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Companion</title><p>{text}</p></html>
"""
_TAKEN = "Companion has the answer: go back to your terminal. This window can be closed."
_STRANGE = "This is not what Companion waits for."


@dataclass(slots=True)
class Callback:
    """A place that a browser is sent back to, and what came there."""

    redirect: str
    """The address that an authorization server shall send the browser to."""
    is_answer: Callable[[str], bool] = lambda _: False
    """Judges each address that comes; all others are refused, and waited on."""
    _answers: "SimpleQueue[str]" = field(default_factory=SimpleQueue)

    def offer(self, url: str) -> bool:
        """Take an address that came back, if it is the answer."""
        if not self.is_answer(url):
            return False
        self._answers.put(url)
        return True

    def wait(self) -> str:
        """Return the answer.

        Raises:
            CompanionError: nobody came back in ten minutes.
        """
        try:
            return self._answers.get(timeout=_PATIENCE)
        except Empty:
            what = "nobody came back from the browser in ten minutes"
            raise CompanionError(what, "run the command again") from None


@contextmanager
def listening(port: int) -> Iterator[Callback]:
    """Listen for the browser on a port of 127.0.0.1, 0 for any that is free.

    Raises:
        CompanionError: the port is taken.
    """
    try:
        server = _Server(("127.0.0.1", port), _Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        what = f"cannot listen on port {port} of 127.0.0.1: {reason}"
        raise CompanionError(what, "give another --port") from None
    callback = Callback(f"http://127.0.0.1:{server.server_port}{_PATH}")
    server.callback = callback
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield callback
    finally:
        server.shutdown()
        server.server_close()


def hear_pastes(callback: Callback, tell: Callable[[str], None]) -> None:
    """Take addresses that the user pastes into the terminal, too; what is none is said."""

    def read() -> None:
        # Not by sys.stdin: a thread that waits in there is in the way of the end of the process.
        while said := os.read(sys.stdin.fileno(), _LINE):
            for pasted in said.decode(errors="replace").split():
                if callback.offer(pasted):
                    return
                tell(f"that is not the answer, which begins with {callback.redirect}?")

    threading.Thread(target=read, daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False
    callback: Callback


class _Handler(BaseHTTPRequestHandler):
    timeout = _SILENCE
    server: _Server

    def do_GET(self) -> None:
        """Take the answer, or say that this is none."""
        callback = self.server.callback
        taken = callback.offer(callback.redirect.removesuffix(_PATH) + self.path)
        page = _PAGE.format(text=_TAKEN if taken else _STRANGE).encode()
        self.send_response(200 if taken else 400)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Say nothing: the address has the code in it."""
