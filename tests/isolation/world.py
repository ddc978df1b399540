"""A world in one network namespace, where every attack of audit.sh gets through: the control.

Run as root in namespaces of its own (`unshare --net --mount`): takes the addresses that the attacks
try, answers on them by HTTP, TLS, UDP and DNS, and then runs audit.sh, whose path is the argument.
"""

import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

BRIDGE, PORT, INGRESS, OTHER = "10.9.9.1", 4999, "10.9.9.2", "10.9.8.2"
ADDRESSES = (BRIDGE, INGRESS, OTHER, "198.51.100.7", "192.0.2.1", "169.254.169.254", "10.0.0.1",
             "192.168.0.1", "192.168.1.1")  # fmt: skip
ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"world" * 20_000
"""More than a pipe holds: an answer is one however long it is."""
REFUSED = b"HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: 14\r\n\r\ngateway: world"


def main(script: str, directory: Path) -> None:
    for address in ADDRESSES:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    (directory / "resolv.conf").write_text(f"nameserver {BRIDGE}\n")
    mount = ["mount", "--bind", str(directory / "resolv.conf"), "/etc/resolv.conf"]
    subprocess.run(mount, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "world.pem")
    for port in (80, 443, PORT, 2222):
        spawn(accept, socket.create_server(("0.0.0.0", port)), context, port == 443)
    for port in (53, 123, 443, 4433, PORT):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("0.0.0.0", port))
        spawn(datagrams, server)
    words = ("all", BRIDGE, str(PORT), INGRESS, OTHER)
    sys.stdout.flush()
    done = subprocess.run(["bash", script, *words], stdout=subprocess.PIPE, check=False)
    os.write(1, done.stdout)
    os._exit(0)


def spawn(function, *arguments) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


def accept(server: socket.socket, context: ssl.SSLContext, tls: bool) -> None:
    while True:
        caller, _ = server.accept()
        spawn(answer, caller, context, tls)


def answer(caller: socket.socket, context: ssl.SSLContext, tls: bool) -> None:
    try:
        if tls:
            caller = context.wrap_socket(caller, server_side=True)
        asked = caller.recv(8192)
        if asked.startswith(b"CONNECT"):
            caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            answer(caller, context, True)
            return
        caller.sendall(ANSWER if b"host:" in asked.lower() else REFUSED)
        caller.close()
    except OSError:
        pass


def datagrams(server: socket.socket) -> None:
    """Answer questions for names with 203.0.113.9; swallow all else."""
    while True:
        asked, caller = server.recvfrom(512)
        if len(asked) > 12:
            head = asked[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
            end = asked.index(b"\x00", 12) + 5
            record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xcb\x00\x71\x09"
            server.sendto(head + asked[12:end] + record, caller)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
