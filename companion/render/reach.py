"""What the agent may reach and change, told to itself. It has no secret and no name of one."""

from collections.abc import Iterator

from companion.config.presets import PRESETS
from companion.plugins.contribution import Upstream
from companion.plugins.instructions import NETWORK
from companion.sandbox.model import Sandbox
from companion.spec.containers import File

_HEAD = "What this sandbox may reach. Companion writes this file anew whenever it changes.\n"
_NONE = "\nThis sandbox has no gateway: nothing is refused, and no credential is added.\n"
_REFUSED = """
Everything else is refused by the gateway: a request with a 403 that says why, a TLS
connection with a certificate that says so. You cannot allow more from inside the sandbox. Ask the
user to run one of these on the desktop, in the project's directory:

  companion allow {agent} HOST          from now on
  companion allow {agent} HOST --once   until the sandbox is taken down
"""


_GIT = """
Git: .git/config, .git/hooks and .git/worktrees are read-only in

  {places}

Writing them fails with "Device or resource busy". `git push -u` and `git switch` say so when they
want to remember an upstream, and work all the same; `git push` needs none. `git config` needs
--global. The user adds remotes and worktrees, on the desktop.
"""


def render(sandbox: Sandbox) -> File:
    """Return the file that lists hosts, services and request rules."""
    return File(NETWORK, "".join(_lines(sandbox)).encode())


def _lines(sandbox: Sandbox) -> Iterator[str]:
    yield _HEAD
    yield from _network(sandbox) if sandbox.gateway else (_NONE,)
    if sandbox.repositories:
        yield _GIT.format(places="\n  ".join(target for target, _ in sandbox.repositories))


def _network(sandbox: Sandbox) -> Iterator[str]:
    yield _REFUSED.format(agent=sandbox.agent)
    yield "\nHosts, on ports 443 (TLS) and 80 (HTTP):\n"
    yield from _hosts(sandbox)
    if sandbox.upstreams:
        yield "\nServices; the gateway adds the credential where there is one, so send none:\n"
    for upstream in sandbox.upstreams:
        yield from _service(upstream)


def _hosts(sandbox: Sandbox) -> Iterator[str]:
    egress = sandbox.egress
    if egress.mode == "open":
        yield "  every public host\n"
        return
    yield from (f"  {host}\n" for host in sorted(egress.allow))
    for preset in sorted(egress.presets):
        yield from (f"  {host}   (preset {preset})\n" for host in PRESETS[preset])
    yield from (f"  {host}   (once)\n" for host in sorted(sandbox.once))
    if not (egress.allow or egress.presets or sandbox.once):
        yield "  none\n"


def _service(upstream: Upstream) -> Iterator[str]:
    yield f"  {upstream.scheme}://{upstream.endpoint}\n"
    yield from (f"    only {rule}\n" for rule in upstream.rules.allow)
    yield from (f"    never {rule}\n" for rule in upstream.rules.deny)
