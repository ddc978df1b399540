"""Configuration of the HAProxy process that controls egress.

`egress.cfg` decides by SNI or Host plus the listener's port; the address that the agent dialed
grants nothing. What changes often is kept in maps, which a running process can update: hosts, and
the secrets (`secrets.map`, written in the gateway).
"""

from collections.abc import Iterable, Iterator

from companion.plugins.contribution import Upstream
from companion.render import (
    attention,
    forward,
    joined,
    limits,
    refused,
    request_rules,
    requests,
    streams,
)
from companion.render.streams import server
from companion.sandbox.addressing import Addressing
from companion.sandbox.model import Sandbox
from companion.spec.containers import File
from companion.spec.identity import LOG_SOCKET
from companion.traffic import log

CONFIG = "/companion/gateway"
SECRETS = "/companion/secrets"
CERTIFICATES = "/companion/certificates"
CONTROL = "/companion/control"
_LISTENER = f"{CONTROL}/{LOG_SOCKET}"
"""Where a watcher on the desktop listens, or nobody: what cannot be sent is dropped."""
RESOLVER_PORT = 5353
HTTP_DEFAULT, TLS_DEFAULT = 80, 443
DIRECT_PORT = 1
"""Port that receives TLS to port 443 of a configured service; net.sh redirects it here."""
OWN_PORTS = (HTTP_DEFAULT, TLS_DEFAULT, DIRECT_PORT)
"""Ports on which the gateway listens, or may listen, for the agent."""

GLOBAL = """\
global
  default-path config
  log stdout format raw local0 {log_level}
  fd-hard-limit {descriptors}
  nbthread 1
  hard-stop-after 24h
  # Its own client, which nothing here uses, would read all public CAs at each start.
  httpclient.ssl.verify none
"""

_TLS_OPTIONS = """\
  # The default is room for 20000 sessions, in 5 MB: there is one client.
  tune.ssl.cachesize 1000
  ssl-default-bind-options ssl-min-ver TLSv1.2
  ssl-default-server-options ssl-min-ver TLSv1.2
"""

_RESOLVING = """\
  accepted_payload_size 4096
  resolve_retries 3
  timeout resolve 1s
  timeout retry 1s
  hold valid 10s
  hold nx 2s
"""

_DEFAULTS = """
resolvers engine
  nameserver inner 127.0.0.1:{resolver}
{resolving}{networks}
defaults
  log global
  option dontlognull
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout tunnel 24h
  timeout http-request 30s
  timeout http-keep-alive 5m
  retries 1
  errorfile 503 unreachable.http
"""

# HAProxy answers 503 when nothing listens upstream; for the agent that is a 502 of the gateway.
_UNREACHABLE = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"gateway: the service does not answer\n"
)

# Connections kept by an older worker must not send further requests under removed rules.
_STALE = "  http-request reject if { var(txn.endpoint) -m str -f stale.lst }\n"
_USE = "  use-server %[var({variable})] if TRUE\n"
_SERVER = f"0.0.0.0:0 {limits.SERVER}"
_ANY_STREAM = f"  server any {_SERVER}\n  server-template s 0-{streams.SLOTS - 1} {_SERVER}\n"

_LOG = f'  log-format "{log.REQUEST}"\n'


def render(sandbox: Sandbox, at: Addressing) -> tuple[File, ...]:
    """Return egress.cfg and the files that it and the gateway's scripts read."""
    return (
        File("egress.cfg", _egress(sandbox, at).encode()),
        File("unreachable.http", _UNREACHABLE),
        File("trusted.pem", sandbox.host.trusted_certificates),
        joined.render(sandbox),
        *streams.render(sandbox),
    )


def _egress(sandbox: Sandbox, at: Addressing) -> str:
    http, https = sandbox.upstreams_by("http"), sandbox.upstreams_by("https")
    listener = f"  log {_LISTENER} format raw local0 {sandbox.log_level}\n"
    socket = "  stats socket /tmp/gateway.sock mode 600 level admin expose-fd listeners\n"
    return "".join((
        GLOBAL.format(log_level=sandbox.log_level, descriptors=8192),
        listener,
        socket,
        limits.GLOBAL,
        _TLS_OPTIONS,
        _DEFAULTS.format(
            resolver=RESOLVER_PORT,
            resolving=_RESOLVING,
            networks="".join(joined.resolvers(sandbox, _RESOLVING)),
        ),
        limits.DEFAULTS,
        "  http-reuse aggressive\n",
        limits.COUNTS,
        attention.COUNT,
        *_http_in(sandbox, at, http),
        *_tls_in(sandbox, at, https),
        *(refused.sections(sandbox) if sandbox.egress.mode == "listed" else ()),
        *(_intercept(at, https) if https else ()),
    ))  # fmt: skip


def _http_in(sandbox: Sandbox, at: Addressing, upstreams: tuple[Upstream, ...]) -> Iterator[str]:
    yield "\nfrontend http\n  mode http\n  option idle-close-on-response\n"
    yield from _binds(at.listen, ports(upstreams, HTTP_DEFAULT))
    yield _only_from_agent(at)
    yield limits.CONNECTION
    yield _LOG.format(kind="http")
    yield limits.REQUEST
    yield "  http-request set-var(txn.port) dst_port\n"
    yield requests.SANE
    yield from attention.rules()
    yield requests.UPGRADES
    yield _STALE
    yield "  http-request set-var(txn.server) var(txn.endpoint),map_str(http.map)\n"
    yield _listed(sandbox, "http-request", "txn.server", "txn.host")
    yield "  http-request set-var(txn.reason) str(egress)\n"
    yield from (
        f"  http-request return status 403 content-type text/plain lf-string"
        f' "gateway: refused, {sentence}\\n" if {condition}\n'
        for sentence, condition in _http_refusals(sandbox)
    )
    yield from request_rules.judge(upstreams)
    yield from joined.rules(sandbox)
    yield forward.TO_UPSTREAM.format(endpoints="http.map")
    yield from requests.injections(upstreams)
    yield forward.FORWARD
    yield "  default_backend http_upstream\n"
    yield "\nbackend http_upstream\n  mode http\n"
    yield _USE.format(variable="txn.server")
    yield _ANY_STREAM
    yield from (f"  server {server(u)} {_SERVER}\n" for u in upstreams)


def _http_refusals(sandbox: Sandbox) -> Iterator[tuple[str, str]]:
    yield (
        "only configured services may be reached on this port",
        f"!{{ var(txn.endpoint),map_str(http.map) -m found }} !{{ dst_port {HTTP_DEFAULT} }}",
    )
    if sandbox.egress.mode == "listed":
        allow = f"companion allow {sandbox.agent} %[var(txn.host)]"
        yield (
            f"this host is not in the egress list of agent.yaml; your user can allow it: {allow}",
            "!{ var(txn.server) -m found }",
        )


def _tls_in(sandbox: Sandbox, at: Addressing, upstreams: tuple[Upstream, ...]) -> Iterator[str]:
    yield "\nfrontend tls\n  mode tcp\n"
    yield from _binds(at.listen, ports(upstreams, TLS_DEFAULT))
    yield _only_from_agent(at)
    yield limits.TUNNEL
    yield (
        f'  log-format "{log.TLS}"\n'
        "  tcp-request inspect-delay 5s\n"
        "  tcp-request content set-var(sess.port) dst_port\n"
        "  tcp-request content set-var(sess.reason) str(not-tls)\n"
        # HAProxy waits at this rule for the complete ClientHello, in however many segments.
        "  tcp-request content reject if !{ req.ssl_hello_type 1 }\n"
        "  tcp-request content set-var(sess.sni) req.ssl_sni,lower\n"
        "  tcp-request content set-var(sess.reason) str(name)\n"
        f"  tcp-request content reject if !{{ var(sess.sni) -m reg ^{requests.NAME}$ }}\n"
        "  tcp-request content set-var(sess.endpoint) var(sess.sni),concat(:,sess.port)\n"
        "  acl configured var(sess.endpoint),map_str(https.map) -m found\n"
        "  tcp-request content set-var(sess.reason) str(intercepted)\n"
        "  tcp-request content accept if configured\n"
        "  tcp-request content set-var(sess.reason) str(egress)\n"
        f"  tcp-request content reject if !{{ var(sess.port) -m int {TLS_DEFAULT} }}\n"
    )
    yield _listed(sandbox, "tcp-request content", "sess.server", "sess.sni")
    if sandbox.egress.mode == "listed":
        yield from refused.rules("!{ var(sess.server) -m found }")
    yield (
        "  tcp-request content do-resolve(sess.ip,engine,ipv4) var(sess.sni)\n"
        "  tcp-request content set-var(sess.reason) str(unresolved)\n"
        "  tcp-request content reject if !{ var(sess.ip) -m found }\n"
        "  tcp-request content set-var(sess.reason) str(private)\n"
        "  tcp-request content reject if { var(sess.ip) -m ip -f never.lst }\n"
        "  tcp-request content reject if { var(sess.ip) -m sub : }\n"
        "  tcp-request content set-dst var(sess.ip)\n"
        "  tcp-request content set-var(sess.reason) str(ok)\n"
        + (refused.use() if sandbox.egress.mode == "listed" else "")
        + ("  use_backend intercept if configured\n" if upstreams else "")
        + "  default_backend passthrough\n"
        "\nbackend passthrough\n  mode tcp\n  option splice-response\n"
        + _USE.format(variable="sess.server")
        + _ANY_STREAM
    )


def _intercept(at: Addressing, upstreams: tuple[Upstream, ...]) -> Iterator[str]:
    """Yield the frontend that terminates TLS for configured endpoints and adds their headers.

    Connections to addressing.DIRECT arrive here directly, others through the frontend that reads
    the SNI. The same checks apply to both.
    """
    yield "\nbackend intercept\n  mode tcp\n  server loop abns@intercept send-proxy-v2\n"
    yield "\nfrontend intercepted\n  mode http\n  option idle-close-on-response\n"
    tls = "ssl crt certificates/ strict-sni alpn h2,http/1.1"
    yield f"  bind abns@intercept accept-proxy {tls}\n"
    yield f"  bind {at.listen}:{DIRECT_PORT} {tls}\n"
    is_direct = f"{{ dst_port {DIRECT_PORT} }}"
    yield _only_from_agent(at, is_direct)
    yield limits.CONNECTION
    yield _LOG.format(kind="https")
    yield limits.REQUEST
    yield "  http-request set-var(txn.port) dst_port\n"
    yield f"  http-request set-var(txn.port) int({TLS_DEFAULT}) if {is_direct}\n"
    yield requests.SANE
    yield requests.UPGRADES
    yield _STALE
    yield (
        "  http-request set-var(txn.sni) ssl_fc_sni,lower\n"
        "  http-request return status 421 content-type text/plain string"
        ' "gateway: Host and TLS server name differ\\n"'
        " unless { var(txn.host),strcmp(txn.sni) eq 0 }\n"
        "  http-request set-var(txn.server) var(txn.endpoint),map_str(https.map)\n"
        "  http-request set-var(txn.reason) str(egress)\n"
        "  http-request return status 403 content-type text/plain string"
        ' "gateway: refused, not a configured service\\n" unless { var(txn.server) -m found }\n'
    )
    yield from request_rules.judge(upstreams)
    yield forward.TO_UPSTREAM.format(endpoints="https.map")
    yield from requests.injections(upstreams)
    yield forward.FORWARD
    # A reused h2 connection answers 502 to an upgrade: WebSocket gets its own HTTP/1.1 backend.
    yield "  use_backend https_upgrade if { req.hdr(upgrade) -m found }\n"
    yield "  default_backend https_upstream\n"
    # With `sni`, HAProxy checks the upstream's certificate against that name.
    verify = "ssl verify required ca-file trusted.pem sni var(txn.sni)"
    use = _USE.format(variable="txn.server")
    yield f"\nbackend https_upstream\n  mode http\n{use}"
    yield from (f"  server {server(u)} {_SERVER} {verify} alpn h2,http/1.1\n" for u in upstreams)
    yield f"\nbackend https_upgrade\n  mode http\n  http-reuse never\n{use}"
    yield from (f"  server {server(u)} {_SERVER} {verify} alpn http/1.1\n" for u in upstreams)


def ports(upstreams: tuple[Upstream, ...], *defaults: int) -> list[int]:
    """Return the services' ports and the defaults, sorted and without duplicates."""
    return sorted({*defaults, *(u.port for u in upstreams)})


def _binds(address: str, ports: Iterable[int]) -> Iterator[str]:
    return (f"  bind {address}:{port}\n" for port in ports)


def _only_from_agent(at: Addressing, condition: str = "") -> str:
    """Reject all clients but the agent.

    The desktop has an address on this network, too, and its other users must get no secret.
    """
    stranger = f"!{{ src {at.clients} }}"
    return f"  tcp-request connection reject if {f'{condition} {stranger}'.lstrip()}\n"


def _listed(sandbox: Sandbox, rule: str, server: str, name: str) -> str:
    """Return rules that set the server of a listed host; in open mode every host has one."""
    any_host = f"  {rule} set-var({server}) str(any) unless {{ var({server}) -m found }}\n"
    return (
        f"  {rule} set-var({server}) var({name}),map_str(hosts.map)"
        f" unless {{ var({server}) -m found }}\n"
        f"  {rule} set-var({server}) var({name}),map_end(suffixes.map)"
        f" unless {{ var({server}) -m found }}\n"
        + (any_host if sandbox.egress.mode == "open" else "")
    )
