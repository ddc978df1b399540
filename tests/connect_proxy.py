"""How does a desk reach a server of a test by a public name? By a proxy that leads it there."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

from desk import Desk


@contextmanager
def led(desk: Desk, to: tuple[str, int], *names: str) -> Iterator[None]:
    """Lead what the desk asks of `names` ("host:port") to an address, while the block runs."""

    class Proxy(StreamRequestHandler):
        def handle(self) -> None:
            verb, name, _ = self.rfile.readline().decode().split(" ", 2)
            assert (verb, name in names) == ("CONNECT", True), f"asked for {verb} {name}"
            while self.rfile.readline().strip():
                pass
            with socket.create_connection(to) as callee:
                self.wfile.write(b"HTTP/1.1 200 fine\r\n\r\n")
                back = Thread(target=_pump, args=(callee, self.connection), daemon=True)
                back.start()
                _pump(self.connection, callee)
                back.join()

    with ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
        server.daemon_threads, server.block_on_close = True, False
        Thread(target=server.serve_forever, daemon=True).start()
        desk.environment["https_proxy"] = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield
        finally:
            del desk.environment["https_proxy"]
            server.shutdown()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while piece := one.recv(65536):
            other.sendall(piece)
        other.shutdown(socket.SHUT_WR)
