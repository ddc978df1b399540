"""Environment of the agent's processes: its user, the CA, and the configured variables."""

from companion.sandbox.model import Sandbox

CA_FILE = "/usr/local/share/ca-certificates/companion-sandbox.crt"
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
SHELL = "/bin/bash"


def render(sandbox: Sandbox) -> tuple[tuple[str, str], ...]:
    """Return (name, value) pairs, sorted; configured variables override ours."""
    trust = {
        "NODE_USE_SYSTEM_CA": "1",
        "NODE_EXTRA_CA_CERTS": CA_FILE,
        "SSL_CERT_FILE": _BUNDLE,
        "REQUESTS_CA_BUNDLE": _BUNDLE,
        "GIT_SSL_CAINFO": _BUNDLE,
    }
    if not sandbox.gateway:
        trust = {}
    user = sandbox.program.user  # sshd sets these; the engines do not
    session = {"USER": user, "LOGNAME": user, "SHELL": SHELL}
    configured = {v.name: v.value for v in sandbox.variables}
    return tuple(sorted({**session, **trust, **configured}.items()))
