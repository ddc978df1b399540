"""HAProxy rules for what the agent's hooks say of its work; see `traffic/attention.py`.

The gateway answers them itself. What it logs is a word of its own, never the agent's text, and of
many within a second it logs only the first.
"""

from collections.abc import Iterator

from companion.traffic import log
from companion.traffic.attention import HOST, PATH, Word

_MOST = 20
"""Words within a second that are logged."""
_ASKED = f"{{ var(txn.endpoint) -m str {HOST}:80 }}"

COUNT = "\nbackend attention\n  stick-table type integer size 1 store http_req_rate(1s)\n"


def rules() -> Iterator[str]:
    """Yield the rules, which come before those that let a host through."""
    yield f"  http-request track-sc2 int(1) table attention if {_ASKED}\n"
    yield (
        "  http-request set-log-level silent"
        f" if {_ASKED} {{ sc2_http_req_rate(attention) gt {_MOST} }}\n"
    )
    yield f"  http-request set-var(txn.reason) str({log.ATTENTION}) if {_ASKED}\n"
    for word in Word:
        said = f"{_ASKED} {{ path {PATH}{word} }}"
        yield f"  http-request set-var(txn.reason) str({log.ATTENTION}-{word}) if {said}\n"
        yield f"  http-request return status 204 if {said}\n"
    yield (
        "  http-request return status 404 content-type text/plain string"
        f' "gateway: no such word\\n" if {_ASKED}\n'
    )
