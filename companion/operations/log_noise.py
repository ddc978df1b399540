"""Which lines of a sandbox's logs say nothing to its user: routine of sshd, HAProxy, dnsmasq. Pure.

Refusals are never noise. A line of the agent's own program is only taken for sshd's if all of it is
what sshd writes.
"""

import re

from companion.spec.identity import Role
from companion.traffic import log

_FROM = r"\d+(\.\d+){3} port \d+"
_SSHD = re.compile(
    rf"Server listening on \S+ port \d+\.|Accepted publickey for \S+ from {_FROM} ssh2: .*"
    rf"|Connection (closed|reset) by (authenticating user \S+ )?{_FROM}( \[preauth\])?"
    rf"|Received disconnect from {_FROM}:\d+: .*|Disconnected from (user \S+ )?{_FROM}"
    r"|kex_exchange_identification: (read: )?Connection (closed|reset) by (remote host|peer)"
    r"|Received SIGHUP; restarting\.|Received signal 15; terminating\."
    r"|Attempt to write login records by non-root user \(aborting\)"
)
_AROUND = re.compile(
    r"\[(NOTICE|WARNING)\] .*|\[ALERT\] .*failed in logger #2: .*|in port=\d+ .*|taken in"
    r"|dnsmasq(\[\d+\])?: .*|\s*"
)


def is_noise(role: Role | None, text: str) -> bool:
    """Tell whether a line of a container with this role is left out unless all is asked for."""
    if role is Role.AGENT:
        return bool(_SSHD.fullmatch(text))
    passage = log.parse(text)
    return not passage.was_refused if passage else _is_routine(text)


def is_traffic(text: str) -> bool:
    """Tell whether a line says what passed the gateway, or was refused."""
    return log.parse(text) is not None


def _is_routine(text: str) -> bool:
    is_hook = log.word(text) is not None
    return is_hook or bool(_AROUND.fullmatch(text)) or f" why={log.INTERCEPTED} " in text
