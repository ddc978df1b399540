"""Environment of the agent's processes: its user, the CA, tools in its home, configured variables.

What the agent installs for itself lies in its home, the only directory that outlives a rebuild.
"""

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
    ours = session | trust | _installers(sandbox.program.home) | dict(sandbox.program.variables)
    return tuple(sorted({**ours, **configured}.items()))


def programs(home: str) -> tuple[str, ...]:
    """Return the directories of the programs that the agent installs, the first ones first."""
    return f"{home}/.local/bin", f"{home}/.cargo/bin", f"{home}/go/bin"


def _installers(home: str) -> dict[str, str]:
    """Return what leads installers below the home; the image's file system is read-only.

    Images of toolchains set some of them to directories of the image.
    """
    return {
        "NPM_CONFIG_PREFIX": f"{home}/.local",
        "CARGO_HOME": f"{home}/.cargo",
        "GOPATH": f"{home}/go",
        # Debian's pip otherwise asks for a virtual environment, to protect a system that cannot be
        # changed here anyway.
        "PIP_BREAK_SYSTEM_PACKAGES": "1",
    }
