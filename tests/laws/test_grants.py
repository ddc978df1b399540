"""OAuth without a sandbox: which answers count, and when a token must be renewed."""

import json
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.config.origin import Origin
from companion.daemon.timers import Timers
from companion.errors import CompanionError
from companion.oauth import answers, discovery, grants, protocol
from companion.oauth.answers import AuthorizationServer, Client, Tokens
from companion.oauth.grants import Grant
from companion.oauth.protocol import AuthorizationRequest
from companion.oauth.web import Web
from companion.plugins.contribution import Provider
from companion.reconcile import certificates

URL, ISSUER = "https://mcp.test/mcp", "https://as.test/tenant"
SERVER = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://as.test/authorize?tenant=1",
    "token_endpoint": "https://as.test/token",
}
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # of RFC 7636, appendix B
REQUEST = AuthorizationRequest("the-state", VERIFIER, "http://127.0.0.1:4000/callback")
GRANT = Grant("n", URL, URL, ISSUER, SERVER["token_endpoint"], "me", "", "none", "a", "r", 0, 3600)


def refused(call, *arguments: str) -> str:
    with pytest.raises(CompanionError) as caught:
        call(*arguments)
    return str(caught.value)


def test_metadata_is_looked_for_where_the_standards_say():
    assert discovery.resource_metadata_urls(f"{URL}?x=1", "") == (
        "https://mcp.test/.well-known/oauth-protected-resource/mcp?x=1",
        "https://mcp.test/.well-known/oauth-protected-resource",
    )
    named = 'Bearer realm="x", resource_metadata="https://mcp.test/about"'
    assert discovery.resource_metadata_urls(URL, named)[0] == "https://mcp.test/about"
    assert len(discovery.resource_metadata_urls(URL, named.replace("https", "http"))) == 2
    assert discovery.server_metadata_urls(ISSUER) == (
        "https://as.test/.well-known/oauth-authorization-server/tenant",
        "https://as.test/.well-known/openid-configuration/tenant",
        "https://as.test/tenant/.well-known/openid-configuration",
    )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"issuer": "https://evil.test"}, "belongs to another server, https://evil.test"),
        ({"issuer": f"{ISSUER}/more"}, "belongs to another server"),
        ({"token_endpoint": "http://as.test/token"}, "is not valid OAuth: token_endpoint"),
        ({"token_endpoint": "https://as.test@evil.test/"}, "not valid OAuth: token_endpoint"),
        ({"token_endpoint": "https://as.test/#x"}, "is not valid OAuth: token_endpoint"),
        ({"token_endpoint": "https:///token"}, "is not valid OAuth: token_endpoint"),
        ({"token_endpoint": None}, "is not valid OAuth: token_endpoint"),
        ({"authorization_endpoint": "file:///etc/passwd"}, "valid OAuth: authorization_endpoint"),
        ({"authorization_endpoint": "javascript:1"}, "valid OAuth: authorization_endpoint"),
        ({"authorization_endpoint": "https://as.test/ --x"}, "valid OAuth: authorization_endpoint"),
        ({"registration_endpoint": "http://as.test"}, "valid OAuth: registration_endpoint"),
        ({"code_challenge_methods_supported": ["plain"]}, "does not support PKCE with S256"),
    ],
)
def test_metadata_of_somebody_else_or_without_tls_is_refused(changed: dict[str, object], says: str):
    assert discovery.server(json.dumps(SERVER), ISSUER).issuer == ISSUER
    assert says in refused(discovery.server, json.dumps(SERVER | changed), ISSUER)


@pytest.mark.parametrize(
    ("resource", "fits"),
    [
        (URL, True),
        ("https://mcp.test", True),
        ("https://MCP.test:443/mcp/", True),
        ("https://mcp.test/mc", False),
        ("https://mcp.test/mcp/deeper", False),
        ("https://mcp.test:444/mcp", False),
        ("https://evil.test/mcp", False),
        ("http://mcp.test/mcp", False),
    ],
)
def test_a_resource_is_the_server_that_was_asked_or_what_it_is_part_of(resource: str, fits: bool):
    text = json.dumps({"resource": resource, "authorization_servers": [ISSUER]})
    if fits:
        assert discovery.resource(text, URL).issuer == ISSUER
    else:
        refused(discovery.resource, text, URL)
    nobody = json.dumps({"resource": resource, "authorization_servers": []})
    refused(discovery.resource, nobody, URL)


def test_the_browser_is_sent_with_a_challenge_a_state_and_the_resource():
    text = {"resource": URL, "authorization_servers": [ISSUER], "scopes_supported": ["read"]}
    what = discovery.resource(json.dumps(text), URL)
    where = AuthorizationServer(**SERVER, scopes_supported=("offline_access",))
    url = protocol.authorization_url(where, what, "me & you", REQUEST)
    assert url.startswith("https://as.test/authorize?tenant=1&")
    assert VERIFIER not in url
    asked = {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
    assert asked == {
        "tenant": "1",
        "response_type": "code",
        "client_id": "me & you",
        "redirect_uri": "http://127.0.0.1:4000/callback",
        "state": "the-state",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "resource": URL,
        "scope": "read offline_access",
    }


@pytest.mark.parametrize(
    ("query", "is_ours"),
    [
        ("/callback?code=c&state=the-state", True),
        ("/callback?code=c&state=another", False),
        ("/callback?code=c&state=the-state&state=the-state", False),
        ("/callback?code=c", False),
        ("/elsewhere?code=c&state=the-state", False),
    ],
)
def test_only_an_answer_with_our_state_is_ours(query: str, is_ours: bool):
    assert protocol.is_response(f"http://127.0.0.1:4000{query}", REQUEST) is is_ours


def test_an_answer_of_another_issuer_is_refused_and_one_without_if_it_was_promised():
    where = AuthorizationServer(**SERVER)
    careful = AuthorizationServer(**SERVER, authorization_response_iss_parameter_supported=True)
    back = f"{REQUEST.redirect}?code=c&state=the-state"
    assert protocol.code(back, where) == "c"
    assert protocol.code(f"{back}&iss={ISSUER}", careful) == "c"
    for url, server in ((f"{back}&iss=https://evil.test", where), (back, careful)):
        assert "the response is not from https://as.test/tenant" in refused(
            lambda u=url, s=server: protocol.code(u, s)
        )


@pytest.mark.parametrize(
    ("known", "offered", "how"),
    [
        (Client(client_id="me"), ("client_secret_basic",), "none"),
        (
            Client(client_id="me", client_secret="s"),
            ("client_secret_basic",),
            "client_secret_basic",
        ),
        (Client(client_id="me", client_secret="s"), ("client_secret_post",), "client_secret_post"),
        (Client(client_id="me", client_secret="s"), (), "client_secret_basic"),
        (
            Client(
                client_id="me", client_secret="s", token_endpoint_auth_method="client_secret_post"
            ),
            ("client_secret_basic",),
            "client_secret_post",
        ),
    ],
)
def test_a_client_shows_its_secret_as_the_server_wants(
    known: Client, offered: tuple[str, ...], how: str
):
    where = AuthorizationServer(**SERVER, token_endpoint_auth_methods_supported=offered)
    assert protocol.method(known, where) == how
    form, headers = protocol.authenticated({"a": "b"}, "me", known.client_secret or "", how)
    assert bool(headers) == (how == "client_secret_basic")
    assert (form.get("client_id"), form.get("client_secret")) == {
        "none": ("me", None),
        "client_secret_basic": (None, None),
        "client_secret_post": ("me", "s"),
    }[how]


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": "a b", "token_type": "bearer"},
        {"access_token": "a\r\nX: y", "token_type": "bearer"},
        {"access_token": "secret-ü", "token_type": "bearer"},
        {"access_token": "secret", "token_type": "mac"},
        {"access_token": "secret", "token_type": "bearer", "expires_in": "soon"},
        ["secret"],
    ],
)
def test_tokens_that_no_header_can_carry_are_refused_without_repeating_them(answer: object):
    assert "secret" not in refused(protocol.tokens, json.dumps(answer))


@pytest.mark.parametrize(
    ("said", "life"), [(60, 60), ("60", 60), (None, 3600), (0, 3600), (-5, 3600), (1e300, 3600)]
)
def test_a_life_that_is_not_said_is_an_hour(said: object, life: float):
    text = json.dumps({"access_token": "a", "token_type": "Bearer", "expires_in": said})
    assert protocol.tokens(text).lifetime == life


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        ('{"error": "invalid_grant"}', "invalid_grant", "invalid_grant"),
        ('{"error": "e", "error_description": "why\\n not"}', "e", "e (why not)"),
        ('{"error": "e", "error_description": "you sent hush"}', "e", "e"),
        ('{"error": "a\\nb"}', "", ""),
        ('{"error": "invalid_grant\\n"}', "", ""),
        ("<html>", "", ""),
        ("[" * 100_000, "", ""),
    ],
)
def test_what_a_server_says_is_repeated_but_no_secret_of_ours(text: str, code: str, sentence: str):
    assert answers.oauth_error(text, ("hush", "")) == (code, sentence)


@given(
    since=st.floats(0, 1e9),
    life=st.floats(1, 1e6),
    tried=st.floats(0, 2e9),
    now=st.floats(0, 2e9),
    renewable=st.booleans(),
)
def test_a_token_counts_until_its_end_and_is_renewed_before(since, life, tried, now, renewable):
    grant = replace(GRANT, since=since, until=since + life, refused=not renewable)
    assert bool(grants.token(grant, now)) == (now < grant.until)
    assert grants.is_due(grant, grant.until) == renewable
    if renewable:
        assert grant.until - grants.MARGIN <= grant.due <= grant.until
        assert grant.due >= since
        later = replace(grant, tried=tried)
        assert tried < since or not tried or not grants.is_due(later, tried + grants.PAUSE - 1)
        assert grants.is_due(grant, since - 1), "the clock has been set back"
    after = grants.renewed(grant, Tokens(access_token="b", token_type="Bearer"), now)
    assert (after.access_token, after.refresh_token, after.tried) == ("b", "r", 0)
    assert after.due > now


def test_an_hour_is_renewed_five_minutes_before_and_a_short_life_at_four_fifths():
    assert GRANT.due == 3300
    assert replace(GRANT, until=100).due == 80
    assert replace(GRANT, until=100, refresh_token="").due == 100
    other = replace(GRANT, until=100)
    assert grants.next_due({"a": GRANT, "b": other}, ("a", "b", "c")) == 80


def test_an_alarm_rings_once_for_each_moment():
    timers = Timers()
    timers.set("a", 5)
    timers.set("b", 9)
    assert timers.due(4) == ()
    assert timers.due(5) == timers.due(6) == ("a",)
    timers.ring("a")
    timers.set("a", 5)
    assert timers.due(8) == ()
    timers.set("a", 7)
    assert set(timers.due(10)) == {"a", "b"}
    timers.forget("a")
    assert timers.due(10) == ("b",)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 fine\r\n"])
def test_an_answer_that_never_ends_is_not_waited_for(tmp_path: Path, said: bytes):
    authority = certificates.new_authority(datetime.now(UTC))
    certificate = tmp_path / "server.pem"
    certificate.write_text(certificates.issue(authority, "localhost", datetime.now(UTC)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def drip(listener: ssl.SSLSocket) -> None:
        caller, _ = listener.accept()
        with suppress(OSError), caller:
            caller.sendall(said)
            while True:
                caller.sendall(b"X-More: and more\r\n" if said else b"")
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]
        tls = context.wrap_socket(plain, server_side=True)
        threading.Thread(target=drip, args=(tls,), daemon=True).start()
        web = Web(authority.certificate.encode(), patience=1)
        assert "did not complete its response" in refused(web.get, f"https://localhost:{port}/")


def test_what_is_lacking_is_said_as_long_as_it_is():
    provider = Provider("notion", URL, "", None, Origin(("features", 0)))
    gone = replace(GRANT, refused=True, failure="invalid_grant")
    for grant, now, says in (
        (None, 0, "notion is not authorized yet; run `companion oauth notion`"),
        (gone, 0, "no longer renews the token for notion: invalid_grant; authorize again"),
        (replace(GRANT, refresh_token=""), 3600, "expired at 1970-01-01 01:00 UTC; run `companion"),
        (
            replace(GRANT, failure="as.test does not answer"),
            3600,
            "has expired and could not be renewed: as.test",
        ),
    ):
        assert says in str(grants.problem(provider, grant, now))
    assert grants.problem(provider, GRANT, 3599) is None
