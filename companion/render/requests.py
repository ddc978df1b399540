"""HAProxy rules for requests: sanity checks, upgrades, and the injection of secret headers."""

from collections.abc import Iterator

from companion.plugins.contribution import EnvVar, Header, OAuthToken, Upstream
from companion.render import credentials
from companion.render.literals import literal, quote
from companion.sandbox.logins import login_by

NAME = r"[a-z0-9_-]+(\.[a-z0-9_-]+)*"

# Requests that two parsers could read differently are refused before any other rule; txn.port is
# the port that the agent dialed.
SANE = """\
  http-request set-var(txn.path) path
  http-request set-var(txn.method) method
  http-request set-var(txn.hosthdr) req.hdr(host),lower
  http-request set-var(txn.host) var(txn.hosthdr),field(1,:)
  http-request set-var(txn.hostport) var(txn.hosthdr),field(2,:)
  http-request set-var(txn.authority) url,field(3,/),lower if { url -m beg http:// https:// }
  http-request set-var(txn.endpoint) var(txn.host),concat(:,txn.port)
  http-request set-var(txn.reason) str(host)
  http-request return status 400 content-type text/plain string "gateway: exactly one Host is required\\n" unless { req.hdr_cnt(host) eq 1 }
  http-request return status 400 content-type text/plain string "gateway: not a host name\\n" unless { var(txn.hosthdr) -m reg ^NAME(:[0-9]*)?$ }
  http-request return status 400 content-type text/plain string "gateway: Host and request target differ\\n" if { var(txn.authority) -m found } !{ var(txn.authority),strcmp(txn.hosthdr) eq 0 }
  http-request set-var(txn.reason) str(framing)
  http-request return status 400 content-type text/plain string "gateway: a control character in a header\\n" if { req.hdrs -m reg '[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]' }
  http-request return status 400 content-type text/plain string "gateway: HTTP/1.0 has no transfer encodings\\n" if { req.ver 1.0 } { req.hdr(transfer-encoding) -m found }
  http-request set-var(txn.reason) str(method)
  http-request return status 405 content-type text/plain string "gateway: method refused\\n" if { method -m str -i TRACE TRACK CONNECT }
  http-request set-var(txn.reason) str(misdirected)
  http-request return status 421 content-type text/plain string "gateway: Host names another port\\n" if { var(txn.hostport) -m found } !{ var(txn.hostport) -m len 0 } !{ var(txn.hostport),strcmp(txn.port) eq 0 }
""".replace("NAME", NAME)  # noqa: E501 - HAProxy has no line continuation

# Nothing after an upgrade is checked. Therefore only WebSocket is allowed, where no second request
# can follow; over HTTP/2 (h2c) one could. `Connection` could also name one of our headers, which
# some upstreams would then drop.
UPGRADES = """\
  http-request del-header connection
  http-request del-header http2-settings
  http-request del-header upgrade unless WEBSOCKET
  http-request set-header connection upgrade if WEBSOCKET
""".replace("WEBSOCKET", "{ req.fhdr_cnt(upgrade) eq 1 } { req.fhdr(upgrade) -m str -i websocket }")

_INJECTED = "{ var(txn.injected) -m bool }"


def injections(upstreams: tuple[Upstream, ...]) -> Iterator[str]:
    """Yield the rules that set the headers of each upstream, with their secrets.

    What the agent sent is deleted before anything is set: our headers may resemble each other.
    """
    injecting = tuple(upstream for upstream in upstreams if upstream.headers)
    for upstream in injecting:
        yield f"  http-request set-var(txn.injected) bool(true) {_at(upstream)}\n"
        for index, header in enumerate(upstream.headers):
            yield from _lookup(upstream, header, f"txn.secret{index}")
    if injecting:
        yield from _only_ours()
    for upstream in injecting:
        for spellings in filter(None, (credentials.header(h.name) for h in upstream.headers)):
            yield f'  http-request del-header "{literal(spellings)}" -m reg {_at(upstream)}\n'
        for index, header in enumerate(upstream.headers):
            value = _value(header, f"txn.secret{index}")
            yield f'  http-request set-header "{literal(header.name)}" "{value}" {_at(upstream)}\n'


def _at(upstream: Upstream) -> str:
    return f"if {{ var(txn.endpoint) -m str {upstream.endpoint} }}"


def _only_ours() -> Iterator[str]:
    """Yield the rules that remove or refuse every credential of the agent's own.

    A header is removed. A query is part of what is asked for, so a request with a credential there
    is refused. A session that a service opens for our credential is not handed to the agent.
    """
    at_google = f"{{ var(txn.host) -m end {credentials.GOOGLE} }}"
    protocol = "req.hdr(sec-websocket-protocol)"
    yield "  http-request set-var(txn.reason) str(credential)\n"
    # Names may be encoded. A query that cannot be decoded could hide one.
    yield _refusal("the query", "{ query -m found } !{ query,url_dec -m found }")
    yield _refusal("the query", _matches("query,url_dec", credentials.any_parameter()))
    googles = _matches("query,url_dec", credentials.googles_parameter())
    yield _refusal("the query", f"{at_google} {googles}")
    yield _refusal("Sec-WebSocket-Protocol", _matches(protocol, credentials.SUBPROTOCOL))
    header = literal(credentials.any_header())
    yield f'  http-request del-header "{header}" -m reg if {_INJECTED}\n'
    yield f"  http-response del-header set-cookie if {_INJECTED}\n"


def _refusal(place: str, condition: str) -> str:
    return (
        "  http-request return status 403 content-type text/plain string"
        f' "gateway: refused, {place} may not carry a credential: the gateway adds it\\n"'
        f" if {_INJECTED} {condition}\n"
    )


def _matches(sample: str, expression: str) -> str:
    return f'{{ {sample} -m reg -i "{literal(expression)}" }}'


def _lookup(upstream: Upstream, header: Header, variable: str) -> Iterator[str]:
    """Yield the rules that read a secret's value, and those that refuse a request without it.

    Agents retry a 503 for minutes and say nothing; a 403 of their model's host they show at once.
    """
    status = 403 if login_by(upstream, header) else 503
    condition = _at(upstream)
    missing = f"{condition} !{{ var({variable}) -m found }}"
    lookup = f"str({header.secret.name}),map_str(secrets.map),b64dec"
    yield f"  http-request set-var({variable}) {lookup} {condition}\n"
    yield f"  http-request set-var(txn.reason) str(no-secret) {missing}\n"
    yield (
        f"  http-request return status {status} content-type text/plain string"
        f' "gateway: {_missing(upstream, header)}\\n" {missing}\n'
    )


def _value(header: Header, variable: str) -> str:
    secret = f"var({variable})"
    if header.basic_user:
        secret = f"str({header.basic_user}:),concat(,{variable}),base64"
    return f"{quote(header.prefix)}%[{secret}]{quote(header.suffix)}"


def _missing(upstream: Upstream, header: Header) -> str:
    """Return what the agent is told when a header's secret has no value."""
    match header.secret:
        case EnvVar(name):
            step = ": run `companion login` on the desktop" if login_by(upstream, header) else ""
            return f"{name} has no value{step}"
        case OAuthToken(provider, is_account=is_account):
            command = "companion login" if is_account else f"companion oauth {provider}"
            return f"no valid token for {provider}: run `{command}` on the desktop"
