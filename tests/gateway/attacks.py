"""Which requests are made to deceive a gateway? Texts, with `{path}` for a path to know them by."""

from dataclasses import dataclass

from proxied import APP, HOST, KEYED, LISTENER, LISTENER_TLS, OTHER, PUBLIC

HERE, SAFE = f"{HOST}:{LISTENER}", f"{HOST}:{LISTENER_TLS}"
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)


@dataclass(frozen=True)
class Try:
    """A request that must not arrive: its first lines, how it is sent, and what is answered."""

    lines: str
    status: str
    port: int = LISTENER
    tls: str = ""


def get(host: str, *more: str, method: str = "GET", target: str = "{path}") -> str:
    return "\r\n".join((f"{method} {target} HTTP/1.1", f"Host: {host}", *more))


MISLEADING = {
    "the Host of another service over TLS": Try(get(f"{OTHER}:{KEYED}"), "421", KEYED, HOST),
    "the same, the other way around": Try(get(f"{HOST}:{KEYED}"), "421", KEYED, OTHER),
    "the Host of a service on another one's port": Try(get(f"{OTHER}:{LISTENER}"), "403"),
    "a listed host on a service's port": Try(get(f"{PUBLIC}:{LISTENER}"), "403"),
    "the port of another service": Try(get(f"{HOST}:{APP}"), "421"),
    "a trailing dot": Try(get(f"{HOST}.:{LISTENER}"), "400"),
    "more than a port after the host": Try(get(f"{HERE}:@{OTHER}"), "400"),
    "two hosts": Try(get(HERE, f"Host: {OTHER}:{LISTENER}"), "400"),
    "two hosts in one line": Try(get(f"{HERE}, {OTHER}:{LISTENER}"), "400"),
    "another authority": Try(get(HERE, target=f"http://{OTHER}:{LISTENER}{{path}}"), "400"),
    "another authority, in capitals": Try(get(HERE, target=f"HTTP://{OTHER}{{path}}"), "400"),
    "another authority for a WebSocket": Try(get(HERE, target=f"ws://{OTHER}{{path}}"), "400"),
    "a user before the authority": Try(get(HERE, target=f"http://{OTHER}@{HERE}{{path}}"), "400"),
    "the host as user info": Try(get(HERE, target=f"http://{HERE}@{OTHER}{{path}}"), "400"),
    "a WebSocket to a host that is not listed": Try(get(f"evil.test:{LISTENER}", UPGRADE), "403"),
    "a WebSocket to another service": Try(get(f"{OTHER}:{KEYED}", UPGRADE), "421", KEYED, HOST),
    "trace": Try(get(HERE, method="trace"), "405"),
    "Track": Try(get(HERE, method="Track"), "405"),
    "connect": Try(get(HERE, method="connect"), "405"),
    "connect to another host": Try(get(HERE, method="connect", target="evil.test:443"), "400"),
    "an injected header with a space": Try(get(HERE, "X-Api-Key : mine"), "400"),
}  # fmt: skip

INNER = f"GET {{path}}-inner HTTP/1.1\r\nHost: {HERE}\r\nConnection: close\r\n\r\n"


def post(*lines: str, body: str = "", version: str = "1.1", end: str = "\r\n") -> str:
    return end.join((f"POST {{path}} HTTP/{version}", f"Host: {HERE}", *lines, "", "")) + body


_CHUNKED, _NOTHING = "Transfer-Encoding: chunked", "0\r\n\r\n"
SMUGGLED = {
    "length and chunks": post("Content-Length: 99", _CHUNKED, body=_NOTHING + INNER),
    "chunks and length": post(_CHUNKED, "Content-Length: 5", body=_NOTHING + INNER),
    "two lengths": post("Content-Length: 0", "Content-Length: 99", body=INNER),
    "a list of lengths": post("Content-Length: 0, 99", body=INNER),
    "an empty length": post("Content-Length: ", body=INNER),
    "a length with a sign": post("Content-Length: +0", body=INNER),
    "a hexadecimal length": post("Content-Length: 0x0", body=INNER),
    "an unknown encoding": post("Transfer-Encoding: xchunked", body=_NOTHING + INNER),
    "an unknown encoding and a length": post(
        "Transfer-Encoding: identity", "Content-Length: 5", body=_NOTHING + INNER
    ),
    "chunked, then another encoding": post("Transfer-Encoding: chunked, identity", body=_NOTHING),
    "chunked twice": post(_CHUNKED, _CHUNKED, body=_NOTHING + INNER),
    "chunked with a control character": post("Transfer-Encoding: \x0bchunked", body=_NOTHING),
    "chunked with a space": post("Transfer-Encoding : chunked", body=_NOTHING + INNER),
    "chunked on a line of its own": post("Transfer-Encoding:\r\n chunked", body=_NOTHING + INNER),
    "chunked in HTTP/1.0": post(_CHUNKED, body=_NOTHING + INNER, version="1.0"),
    "a chunk with an extension": post(_CHUNKED, body=f"2;a=b\r\nhi\r\n{_NOTHING}{INNER}"),
    "an extension that ends early": post(_CHUNKED, body=f"2;\nxx\r\n{_NOTHING}{INNER}"),
    "chunks without carriage returns": post(_CHUNKED, body=f"2\nhi\n0\n\n{INNER}"),
    "a chunk size that overflows": post(_CHUNKED, body=f"10000000000000000\r\n{INNER}"),
    "lines without carriage returns": post("Content-Length: 0", end="\n", body=INNER),
    "a carriage return in a line": post("X-A: a\rTransfer-Encoding: chunked", body=_NOTHING),
    "a folded line": post("X-A: a", " Content-Length: 99", "Content-Length: 0", body=INNER),
    "a NUL in a value": post("X-A: a\0b", "Content-Length: 0", body=INNER),
    "a NUL in a name": post("X\0A: b", "Content-Length: 0", body=INNER),
    "a header without a name": post(": b", "Content-Length: 0", body=INNER),
    "a line that is not a header": post("nothing", "Content-Length: 0", body=INNER),
}

Fields = tuple[tuple[str, str], ...]


def fields(*more: tuple[str, str], authority: str = SAFE, **pseudo: str) -> Fields:
    """Return a request's fields as HTTP/2 has them."""
    first = {"method": "POST", "scheme": "https", "path": "{path}", "authority": authority} | pseudo
    return (*((f":{name}", value) for name, value in first.items()), *more)


H2_SMUGGLED: dict[str, tuple[Fields, bytes]] = {
    "a line break in a value": (fields(("x-a", "b\r\nx-c: d")), b""),
    "a line break in a name": (fields(("x-a: b\r\nx-c", "d")), b""),
    "a NUL in a value": (fields(("x-a", "b\0c")), b""),
    "a line break in the path": (fields(path="{path} HTTP/1.1\r\nx-a: b"), b""),
    "a space in the path": (fields(path="{path} HTTP/1.1"), b""),
    "a URL as the path": (fields(path=f"http://{OTHER}{{path}}"), b""),
    "a line break in the method": (fields(method="GET / HTTP/1.1\r\nx-a: b\r\n"), b""),
    "chunks": (fields(("transfer-encoding", "chunked")), b"0\r\n\r\n" + INNER.encode()),
    "a length that is too short": (fields(("content-length", "1")), b"x" + INNER.encode()),
    "a length that is too long": (fields(("content-length", "9999")), b"x"),
    "Connection": (fields(("connection", "authorization")), b""),
    "an upgrade": (fields(("upgrade", "h2c")), b""),
    "a name in capitals": (fields(("Authorization", "mine")), b""),
}
H2_MISLEADING: dict[str, tuple[Fields, str]] = {
    "another authority": (fields(authority=f"{OTHER}:{LISTENER_TLS}"), "TLS server name differ"),
    "another authority, the right Host": (
        fields(("host", SAFE), authority=f"{OTHER}:{LISTENER_TLS}"), "TLS server name differ"
    ),
    "a user before the authority": (fields(authority=f"{OTHER}@{SAFE}"), "not a host name"),
    "a WebSocket to another authority": (
        fields(authority=f"{OTHER}:{LISTENER_TLS}", method="CONNECT", protocol="websocket"),
        "TLS server name differ",
    ),
    "trace": (fields(method="trace"), "method refused"),
    "CONNECT": (((":method", "CONNECT"), (":authority", SAFE)), "method refused"),
}  # fmt: skip
