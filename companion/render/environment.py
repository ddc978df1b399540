"""Environment of the agent's processes: configured variables, and those that point to the CA."""

from companion.sandbox.model import Sandbox

CA_FILE = "/usr/local/share/ca-certificates/companion-sandbox.crt"
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


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
    return tuple(sorted({**trust, **{v.name: v.value for v in sandbox.variables}}.items()))
