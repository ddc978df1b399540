"""Requests meant to get past request rules, each with its control."""

import pytest
from asking import END, past, through
from attacks import fields, get
from internet import tell_address
from proxied import HOST, KEYED, LISTENER, RULED, SECRETS, Proxied
from ruled import ALLOWED, BY_HTTP_2, OVERRIDES, REFUSED, Evasion
from sandboxes import wait_until

from companion.plugins import instructions

pytestmark = pytest.mark.engine
HERE = f"{RULED}:{LISTENER}"
DENY = 'deny: ["POST /repos/*/merge",'
REASON = "a request rule forbids it"


@pytest.fixture(autouse=True)
def _named(proxied: Proxied):
    tell_address(proxied.box, RULED, proxied.box.bridge)


def sent(tried: Evasion, *headers: str) -> str:
    return get(HERE, *headers, method=tried.method, target=tried.target) + END


def test_no_spelling_of_a_request_gets_past_the_rules(proxied: Proxied):
    for what, tried in REFUSED.items():
        answer, heard = through(proxied, sent(tried))
        assert answer.startswith(b"HTTP/1.1 403"), (what, answer)
        assert not heard, what
        assert past(proxied, sent(tried)), f"{what} reaches nobody anyway"
    for target in ALLOWED:
        _, heard = through(proxied, sent(Evasion(target, "GET")))
        assert [one.target for one in heard] == [target], target
    wait_until(lambda: REASON in line_of(proxied), 5, lambda: line_of(proxied))


def line_of(proxied: Proxied) -> str:
    """Return what `companion network` says of the service."""
    said = proxied.box.companion("network", "coder").ok().out
    return next((line for line in said.splitlines() if HERE in line), said)


def test_by_http_2_the_rules_hold_alike(proxied: Proxied):
    def ask(tried: Evasion) -> str:
        asked = fields(method=tried.method, path=tried.target, authority=HERE, scheme="http")
        return proxied.wire.ask_h2(LISTENER, "", asked)

    before = len(proxied.listener.heard)
    for what in BY_HTTP_2:
        said = ask(REFUSED[what])
        assert "refused" in said or said == "reset", (what, said)
    assert len(proxied.listener.heard) == before
    assert ask(Evasion("/repos/a/merged")) == "ok"


def test_over_tls_the_rules_hold_alike(proxied: Proxied):
    for what in ("the denied request itself", "with an encoded letter", "with dots"):
        tried = REFUSED[what]
        request = get(f"{RULED}:{KEYED}", method=tried.method, target=tried.target) + END
        answer, _ = through(proxied, request, KEYED, RULED)
        assert answer.startswith(b"HTTP/1.1 403"), what
        assert not proxied.asked(tried.target)
    request = get(f"{RULED}:{KEYED}", target="/repos/ruled") + END
    through(proxied, request, KEYED, RULED)
    assert [r["authorization"] for r in proxied.asked("/repos/ruled")] == [
        f"Bearer {SECRETS['THREE']}"
    ]


@pytest.mark.one_engine
def test_no_header_names_another_method_or_path(proxied: Proxied):
    tried = sent(Evasion("/repos/a"), *OVERRIDES, "X-Method: other")
    _, (heard,) = through(proxied, tried)
    names = {line.partition(b":")[0].lower() for line in heard.head.split(b"\r\n")}
    assert not names & {line.partition(":")[0].lower().encode() for line in OVERRIDES}
    assert b"x-method" in names
    (control,) = past(proxied, tried)
    assert control.head.count(b": DELETE") == 3


def test_a_changed_rule_takes_effect_on_kept_connections_without_a_restart(proxied: Proxied):
    box, config = proxied.box, proxied.box.config_text()
    before, target = box.ids(), "/repos/kept"
    request = get(HERE, target=target) + "\r\n\r\n"
    with proxied.wire.dial(LISTENER) as kept, proxied.wire.dial(LISTENER) as other:
        for dialled, host in ((kept, HERE), (other, f"{HOST}:{LISTENER}")):
            dialled.sendall(request.replace(HERE, host).encode())
            assert dialled.recv(4096).endswith(b"ok")
        try:
            text = config.replace(DENY, DENY + ' "GET /repos/kept",')
            assert text != config
            (box.project / "agent.yaml").write_text(text)
            assert box.companion("up", "--json").ok().agent["change"] == "reload"
            told = box.run(f"cat {instructions.FILE}")
            assert "never GET /repos/kept" in told
            tell_address(box, RULED, box.bridge)
            heard = len(proxied.listener.heard)
            kept.sendall(request.encode())
            assert not kept.recv(4096).startswith(b"HTTP/1.1 200")
            answer, _ = through(proxied, request.removesuffix("\r\n\r\n") + END)
            assert answer.startswith(b"HTTP/1.1 403")
            assert b"agent.yaml denies GET /repos/kept" in answer
            assert len(proxied.listener.heard) == heard
            other.sendall(request.replace(HERE, f"{HOST}:{LISTENER}").encode())
            assert other.recv(4096).startswith(b"HTTP/1.1 200"), "another service's was ended"
        finally:
            (box.project / "agent.yaml").write_text(config)
            box.companion("up").ok()
    assert box.ids() == before
    assert "never GET /repos/kept" not in box.run(f"cat {instructions.FILE}")
    assert box.ssh(f"echo '  evil.test' >>{instructions.FILE}").code != 0
