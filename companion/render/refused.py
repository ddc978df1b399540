"""HAProxy rules for TLS connections that are refused: they get a certificate whose name says so.

It is for no host and was made beforehand on the desktop: no key here makes others. Whoever ignores
that it is for another name can read why, as one who asks by plain HTTP can. Only a few are answered
at once; beyond that, connections are closed.
"""

from collections.abc import Iterator

from companion.sandbox.model import Sandbox

CERTIFICATE = "REFUSED.pem"
"""Its file among the certificates; those of hosts are in small letters."""
AT_ONCE = 16
"""Connections that are told. Each may need 100 KB of the gateway for up to SECONDS."""
SECONDS = 5
A_SECOND = 20
"""Connections that are told in a second: a handshake costs six times as much as a refusal."""


def rules(condition: str) -> Iterator[str]:
    """Yield the rules for connections that meet a condition; to be followed by use()."""
    yield f"  tcp-request content reject if {condition} {{ be_conn(refused) ge {AT_ONCE} }}\n"
    yield f"  tcp-request content reject if {condition} {{ be_sess_rate(refused) ge {A_SECOND} }}\n"
    yield f"  tcp-request content set-var(sess.told) bool(true) if {condition}\n"
    yield f"  tcp-request content accept if {condition}\n"


def use() -> str:
    """Return the rule that sends them on."""
    return "  use_backend refused if { var(sess.told) -m bool }\n"


def sections(sandbox: Sandbox) -> Iterator[str]:
    """Yield the sections that shake hands and answer."""
    allow = f"companion allow {sandbox.agent} %[ssl_fc_sni,lower]"
    yield f"\nbackend refused\n  mode tcp\n  server loop abns@refused maxconn {AT_ONCE}\n"
    yield (
        "\nfrontend refusing\n  mode http\n  no log\n"
        f"  timeout client {SECONDS}s\n  timeout http-request {SECONDS}s\n"
        f"  timeout http-keep-alive 1s\n  bind abns@refused ssl crt certificates/{CERTIFICATE}\n"
        "  http-request return status 403 content-type text/plain hdr Connection close lf-string"
        ' "gateway: refused, this host is not in the egress list of agent.yaml;'
        f' your user can allow it: {allow}\\n"\n'
    )
