"""Requests meant to deceive the gateway, each with its control."""

import os
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import ruled
from asking import END, past, through
from attacks import (
    H2_MISLEADING,
    H2_SMUGGLED,
    HERE,
    INNER,
    MISLEADING,
    SMUGGLED,
    UPGRADE,
    fields,
    get,
    post,
)
from desk import ROOT
from internet import tell_address
from listener import Heard
from proxied import (
    GOOGLE,
    HOST,
    KEYED,
    LISTENER,
    LISTENER_TLS,
    OTHER,
    PUBLIC,
    SECOND,
    SECRETS,
    Proxied,
)
from sandboxes import wait_until
from wire import client_hello, read_all

pytestmark = pytest.mark.engine
SWITCHING = "\r\n\r\n"
REFUSED = re.compile(rb"gateway: .*(no address|private address|not a host name)\n$")
IS_TLS = b"\x16\x03"


DOCUMENT = ROOT / "docs/gateway-attacks.md"
HEAD = """\
# Requests meant to deceive the gateway

The tests in `tests/isolation` (`test_gateway_attacks.py`, `test_request_rules_held.py`) send each
request from inside a sandbox to a real upstream, on Podman and on Docker at every run; the headers
that name another method or path on Docker in `make test-long` only.
They fail if this table is not true. As a control, each request is shown to be an attack, or an
honest one next to it is shown to arrive.

| request | result |
|---|---|
"""
NEVER_ARRIVES = "this header is deleted: the upstream sees the injected value only"
DELETED = "this header is deleted"
ARRIVES_AS_JUDGED = "refused, or it arrives as the one request that the gateway judged"


def test_the_document_names_every_request(request: pytest.FixtureRequest):
    rows = [(what, f"refused: {tried.status}") for what, tried in MISLEADING.items()]
    rows += [(f"{w}, over HTTP/2", f"refused: {said}") for w, (_, said) in H2_MISLEADING.items()]
    rows += [(f"past request rules: {what}", "refused: 403") for what in ruled.REFUSED]
    rows += [(f"`{line}` to a service with request rules", DELETED) for line in ruled.OVERRIDES]
    rows += [(what, ARRIVES_AS_JUDGED) for what in SMUGGLED]
    rows += [(f"{what}, over HTTP/2", "refused: the stream is reset") for what in H2_SMUGGLED]
    rows += [(f"`{line}` for the injected `X-Api-Key`", NEVER_ARRIVES) for line in OWN]
    rows += [
        (f"`{line}` for the injected `Authorization`", NEVER_ARRIVES) for line in AUTHORIZATION
    ]
    rows += [(f"`{line}` beside an injected header", DELETED) for line in CREDENTIALS]
    rows += [(f"a query `{q[-30:]}` to such a service", "refused: 403") for q in QUERIES]
    rows += [(f"a query `{q}` to Google", "refused: 403") for q in GOOGLES]
    rows += [(f"`Sec-WebSocket-Protocol: {one}`", "refused: 403") for one in SUBPROTOCOLS]
    text = HEAD + "".join(f"| {what} | {became} |\n" for what, became in rows)
    if request.config.getoption("--update"):
        DOCUMENT.write_text(text)
    assert DOCUMENT.read_text() == text, "run `pytest tests/isolation --update`"


@pytest.mark.parametrize("what", MISLEADING)
def test_a_request_that_could_mean_two_places_is_refused(proxied: Proxied, what: str):
    tried, path = MISLEADING[what], f"/misleading-{list(MISLEADING).index(what)}"
    request = tried.lines.format(path=path) + (SWITCHING if "Upgrade" in tried.lines else END)
    answer, heard = through(proxied, request, tried.port, tried.tls)
    assert answer.startswith(f"HTTP/1.1 {tried.status} ".encode()), answer
    assert not heard
    assert not proxied.asked(path)
    honest = get(f"{tried.tls or HOST}:{tried.port}").format(path=f"{path}-honest") + END
    answer, heard = through(proxied, honest, tried.port, tried.tls)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert heard or proxied.asked(f"{path}-honest")


@pytest.mark.parametrize("what", H2_MISLEADING)
def test_by_http_2_it_is_refused_alike(proxied: Proxied, what: str):
    tried, answer = H2_MISLEADING[what]
    before = len(proxied.listener.heard)
    assert answer in ask_h2(proxied, tried, "/misleading-h2")
    assert len(proxied.listener.heard) == before
    assert ask_h2(proxied, fields(), "/honest-h2") == "ok"
    assert proxied.listener.heard[-1].target == "/honest-h2"


def ask_h2(
    proxied: Proxied, tried: tuple[tuple[str, str], ...], path: str, body: bytes = b""
) -> str:
    named = [(name, value.replace("{path}", path)) for name, value in tried]
    return proxied.wire.ask_h2(LISTENER_TLS, HOST, named, body)


def test_http_2_without_tls_is_judged_alike(proxied: Proxied):
    for authority, answer in ((f"{OTHER}:{LISTENER}", "refused"), (HERE, "ok")):
        tried = fields(authority=authority, scheme="http", path="/prior-knowledge")
        assert answer in proxied.wire.ask_h2(LISTENER, "", tried)


def test_an_upstream_gets_just_the_requests_that_the_gateway_judged(proxied: Proxied):
    paths = {what: f"/smuggled-{number}" for number, what in enumerate(SMUGGLED)}
    start = len(proxied.listener.heard)
    for what, path in paths.items():
        request = SMUGGLED[what].format(path=path)
        before = len(proxied.listener.heard)
        through(proxied, request)
        arrived = proxied.listener.heard[before:]
        assert all(heard.is_plain for heard in arrived), (what, arrived)
        for heard in arrived:
            assert heard.values("x-api-key") == [SECRETS["TWO"]], what
    honest = (post("Content-Length: 2", body="hi") + INNER).format(path="/smuggled-none")
    _, arrived = through(proxied, honest)
    assert [heard.target for heard in arrived] == ["/smuggled-none", "/smuggled-none-inner"]
    counted = Counter(heard.target for heard in proxied.listener.heard[start:])
    wait_until(lambda: judged(proxied) == counted, 5, lambda: f"{judged(proxied)} {counted}")
    for what in SMUGGLED:
        heard = past(proxied, SMUGGLED[what].format(path="/control"))
        assert not all(one.is_plain for one in heard), f"{what} is no attack"


def judged(proxied: Proxied) -> Counter[str]:
    """Return how often the gateway says that it let a path through."""
    logs = proxied.box.companion("logs", "coder", "-v").ok().out
    return Counter(re.findall(r" (/smuggled-\S+) status=\d+ why=ok", logs))


def test_what_http_2_smuggles_is_no_request_to_an_upstream(proxied: Proxied):
    for what, (tried, body) in H2_SMUGGLED.items():
        before = len(proxied.listener.heard)
        assert ask_h2(proxied, tried, "/smuggled-h2", body) == "reset", what
        assert len(proxied.listener.heard) == before, what
    assert ask_h2(proxied, fields(("x-a", "b")), "/honest-h2", b"body") == "ok"
    assert proxied.listener.heard[-1].body == b"body"


OWN = (
    *("X-Api-Key: mine", "x-api-key: mine", "X_Api_Key: mine", "x-api_KEY: mine"),
    *("X.Api.Key: mine", "X~Api~Key: mine", "XApiKey: mine", "_X-Api--Key-: mine"),
)
OTHERS_OWN = ("Idempotency-Key: other", "Mcp-Session-Id: other")
AUTHORIZATION = (
    *("Authorization: mine", "AUTHORIZATION: Bearer mine", "authorization: mine"),
    *("Authorization.: mine", "author_ization: mine"),
)
CREDENTIALS = (
    *("Authorization: Bearer mine", "Proxy-Authorization: Basic mine", "X_Authorization: mine"),
    *("Api-Key: mine", "X-Api-Keys: mine", "X-Goog-Api-Key: mine", "X.Goog.Api.Key: mine"),
    *("Cookie: session=mine", "cookie2: mine", "ChatGPT-Account-ID: mine"),
    *("OpenAI-Organization: mine", "OpenAI-Project: mine", "X-Goog-User-Project: mine"),
    *("Private-Token: mine", "X-Auth-Key: mine", "X-Amz-Security-Token: mine"),
)
QUERIES = (
    *("api_key=mine", "a=b&API%5Fkey=mine", "%61ccess_token=mine", "a;api-key=mine", "token=mine"),
    *("X-Amz-Credential=mine", f"{'a-' * 9000}&api_key=mine", "a=%&access_token=mine"),
)
GOOGLES = ("key=mine", "alt=sse&%6B%65y=mine", "%24key=mine")
HONEST = ("", "alt=sse&page_token=a&monkey=b", "a=%2Fapi_key&beta=true")
SUBPROTOCOLS = ("realtime, openai-insecure-api-key.mine", "base64url.bearer.authorization.k8s.io.m")
SPELLINGS = {
    "WSGI and nginx": lambda name: name.upper().replace("-", "_"),
    "PHP": lambda name: re.sub("[-. ]", "_", name.upper()),
    "Apache": lambda name: re.sub("[^A-Z0-9]", "_", name.upper()),
    "nothing but letters and digits": lambda name: re.sub("[^A-Z0-9]", "", name.upper()),
}
"""How applications name the variable of a header, so that they take several for one."""


def test_an_upstream_sees_the_injected_value_only(proxied: Proxied):
    request = get(HERE, *OWN, *OTHERS_OWN).format(path="/own-key") + END
    _, (heard,) = through(proxied, request)
    assert heard.values("x-api-key") == [SECRETS["TWO"]]
    assert b"mine" not in heard.head
    assert heard.head.count(b"other") == len(OTHERS_OWN)
    (control,) = past(proxied, request)
    assert control.head.count(b"mine") == len(OWN)
    for taken in SPELLINGS.values():
        assert values(heard, taken, "X-Api-Key") == [SECRETS["TWO"]]
        assert "mine" in values(control, taken, "X-Api-Key")[1:], "this one takes no other for it"
    place = f"{HOST}:{LISTENER_TLS}"
    request = get(place, *AUTHORIZATION).format(path="/own-authorization") + END
    _, (heard,) = through(proxied, request, LISTENER_TLS, HOST)
    assert heard.values("authorization") == [f"Bearer {SECRETS['FOUR']}"]
    assert b"mine" not in heard.head
    assert ask_h2(proxied, fields(("authorization", "mine")), "/own-h2") == "ok"
    assert proxied.listener.heard[-1].values("authorization") == [f"Bearer {SECRETS['FOUR']}"]


@pytest.mark.one_engine
def test_a_request_with_an_injected_credential_carries_no_other_one(proxied: Proxied):
    request = get(HERE, *CREDENTIALS, *OTHERS_OWN).format(path="/no-other") + END
    _, (heard,) = through(proxied, request)
    assert heard.values("x-api-key") == [SECRETS["TWO"]]
    assert b"mine" not in heard.head
    assert heard.head.count(b"other") == len(OTHERS_OWN) + 1
    (control,) = past(proxied, request)
    assert control.head.count(b"mine") == len(CREDENTIALS)
    own = [tuple(line.lower().split(": ")) for line in CREDENTIALS]
    assert ask_h2(proxied, fields(*own), "/no-other-h2") == "ok"
    assert b"mine" not in proxied.listener.heard[-1].head


@pytest.mark.one_engine
def test_no_credential_is_hidden_in_a_query_or_a_subprotocol(proxied: Proxied):
    tell_address(proxied.box, GOOGLE, proxied.box.bridge)
    at_google = f"{GOOGLE}:{LISTENER}"
    tried = [get(HERE, target=f"/query?{query}") for query in QUERIES]
    tried += [get(at_google, target=f"/query?{query}") for query in (*QUERIES, *GOOGLES)]
    tried += [get(HERE, UPGRADE, f"Sec-WebSocket-Protocol: {one}") for one in SUBPROTOCOLS]
    for request in tried:
        answer, heard = through(proxied, request.format(path="/query") + END)
        assert answer.startswith(b"HTTP/1.1 403"), request
        assert b"may not carry a credential" in answer
        assert not heard
    honest = [get(at_google, target=f"/query?{query}") for query in HONEST]
    honest += [get(HERE, target=f"/query?{query}") for query in (*HONEST, *GOOGLES)]
    honest += [get(HERE, UPGRADE, "Sec-WebSocket-Protocol: graphql-transport-ws")]
    for request in honest:
        _, heard = through(proxied, request.format(path="/query") + END)
        assert len(heard) == 1, request


def test_a_session_that_a_service_opens_is_not_handed_to_the_agent(proxied: Proxied):
    request = get(HERE).format(path="/session") + END
    answer, _ = through(proxied, request)
    assert b"200 OK" in answer
    assert b"set-cookie" not in answer.lower()
    with socket.create_connection((proxied.box.bridge, LISTENER), 5) as dialled:
        dialled.sendall(request.encode())
        assert b"set-cookie" in read_all(dialled).lower()


def values(heard: Heard, taken: Callable[[str], str], name: str) -> list[str]:
    """Return the values that an application finds for a header by its own spelling of names."""
    pairs = [line.partition(": ") for line in heard.head.decode().split("\r\n")[1:]]
    return [value for other, _, value in pairs if taken(other) == taken(name)]


def test_connection_cannot_take_the_injected_header_away(proxied: Proxied):
    request = get(HERE, "Connection: close, X-Api-Key").format(path="/hop") + SWITCHING
    _, (heard,) = through(proxied, request)
    assert heard.values("x-api-key") == [SECRETS["TWO"]]
    assert "x-api-key" not in " ".join(heard.values("connection")).lower()
    (control,) = past(proxied, request)
    assert control.values("connection") == ["close, X-Api-Key"]


@pytest.mark.parametrize("protocol", ["h2c", "H2C", "TLS/1.0", "anything", "websocket, h2c"])
def test_nothing_but_a_websocket_follows_an_upgrade(proxied: Proxied, protocol: str):
    """The listener agrees to all; what followed would reach it unseen and unjudged."""
    lines = UPGRADE.replace("Upgrade: websocket", f"Upgrade: {protocol}")
    more = "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
    request = get(HERE, lines, more).format(path="/upgrade") + SWITCHING + "PRI * HTTP/2.0\r\n"
    tunnelled = proxied.listener.tunnelled
    tunnelled.clear()
    answer, heard = through(proxied, request)
    assert not answer.startswith(b"HTTP/1.1 101")
    assert not [one for one in heard if one.values("upgrade") or one.values("http2-settings")]
    assert not tunnelled
    past(proxied, request)
    assert b"".join(tunnelled) == b"PRI * HTTP/2.0\r\n"


def test_a_tls_name_without_a_service_gets_no_handshake(proxied: Proxied):
    for port, name in ((SECOND, OTHER), (KEYED, f"{HOST}."), (KEYED, f"{HOST}\0"), (KEYED, "x")):
        assert proxied.wire.ask(port, client_hello(name)) == b"", name
    for port, name in ((SECOND, HOST), (KEYED, OTHER), (KEYED, HOST), (KEYED, HOST.upper())):
        assert proxied.wire.ask(port, client_hello(name)).startswith(IS_TLS), name


def test_names_in_capitals_mean_the_same_service(proxied: Proxied):
    request = get(HERE.upper()).format(path="/capitals") + END
    _, (heard,) = through(proxied, request)
    assert heard.values("x-api-key") == [SECRETS["TWO"]]
    request = get(f"{OTHER.upper()}:{KEYED}").format(path="/capitals-tls") + END
    answer, _ = through(proxied, request, KEYED, HOST)
    assert answer.startswith(b"HTTP/1.1 421")


def test_a_service_by_tls_is_not_asked_without_it_nor_the_other_way_round(proxied: Proxied):
    request = get(f"{HOST}:{KEYED}").format(path="/in-clear") + END
    assert through(proxied, request, KEYED) == (b"", [])
    assert not proxied.asked("/in-clear")
    assert through(proxied, request, KEYED, HOST)[0].startswith(b"HTTP/1.1 200")
    answer = proxied.wire.ask(LISTENER, client_hello(HOST))
    assert answer.startswith(b"HTTP/1.1 400"), answer
    request = get(HOST).format(path="/in-clear") + END
    assert b"egress list" in through(proxied, request, 80)[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a network namespace")
def test_a_listed_name_that_comes_to_lead_to_a_private_address_is_refused(public: Proxied):
    with trap(public.box.bridge, 80) as plain, trap(public.box.bridge, 443) as tls:
        for name in (OTHER, "rebound.test"):
            request = get(name).format(path="/") + END
            assert b"private address" in through(public, request, 80)[0], name
            assert public.wire.ask(443, client_hello(name)) == b"", name
        for listening in (plain, tls):
            with pytest.raises(BlockingIOError):
                listening.accept()
            socket.create_connection(listening.getsockname()).close()
            listening.accept()[0].close()
    request = get(PUBLIC).format(path="/megabytes/0") + END
    assert through(public, request, 80)[0].startswith(b"HTTP/1.0 200")
    assert public.wire.ask(443, client_hello(PUBLIC)).startswith(IS_TLS)


def spellings(address: str) -> list[str]:
    """Return an address as some programs would still understand it."""
    parts = [int(part) for part in address.split(".")]
    whole = int.from_bytes(bytes(parts))
    return [
        address,
        ".".join(f"{part:03}" for part in parts),
        ".".join(f"0{part:o}" for part in parts),
        ".".join(f"0x{part:x}" for part in parts),
        f"{parts[0]}.{whole & 0xFFFFFF}",
        str(whole),
        hex(whole),
        f"[::ffff:{address}]",
    ]


def test_a_private_address_is_refused_in_any_spelling(proxied: Proxied):
    """In the mode open, where a name need not be listed."""
    config = proxied.box.project / "agent.yaml"
    kept = config.read_text()

    def ask(host: str) -> bytes:
        request = get(host).format(path="/") + END
        return proxied.wire.ask(80, request.encode(), silence=10)

    config.write_text(re.sub("mode: listed\n  allow: .*", "mode: open", kept))
    try:
        assert proxied.box.companion("up", "--json").ok().agent["change"] == "reload"
        private = [*spellings(proxied.box.bridge), *spellings("127.0.0.1")]
        hosts = [*private, "999.0.0.1", "any.invalid"]
        with trap(proxied.box.bridge, 80) as listening, ThreadPoolExecutor(len(hosts)) as pool:
            answers = dict(zip(hosts, pool.map(ask, hosts), strict=True))
            with pytest.raises(BlockingIOError):
                listening.accept()
        assert not {h: a for h, a in answers.items() if not REFUSED.search(a)}
        assert answers["any.invalid"].endswith(b"no address\n"), "it would be let through"
    finally:
        config.write_text(kept)
        proxied.box.companion("up").ok()


@contextmanager
def trap(address: str, port: int) -> Iterator[socket.socket]:
    """Listen where nobody may come."""
    with socket.create_server((address, port)) as listening:
        listening.setblocking(False)
        yield listening
