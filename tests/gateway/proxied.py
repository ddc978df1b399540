"""One sandbox per engine whose gateway has real upstreams of many kinds."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from desk import CANARY, make_desk
from internet import ADDRESS, internet, tell_address
from listener import Listener, listener
from sandboxes import FIRST_PORT, Box, trusted_authority
from upstreams import Site, application, nginx
from wire import Wire, wire

from companion.reconcile import certificates

HOST, OTHER = "host.containers.internal", "host.docker.internal"
GOOGLE = "models.googleapis.com"
"""A service whose API takes a key in the query, too."""
RULED = "ruled.test"
"""A service with request rules, by plain HTTP and by TLS."""
RULES = """allow: ["GET /**", "POST /repos/**"]
        deny: ["POST /repos/*/merge", "* /**/secrets"]"""
PUBLIC = "public.test"
"""A listed host, which a public address answers for."""
APP, LISTENER, KEYED, SECOND, UNTRUSTED, OTHER_NAME, EXPIRED, LISTENER_TLS = (
    8001, 8000, 8443, 8444, 8445, 8446, 8447, 8448,
)  # fmt: skip
ODD = "X-'#$%&*+.^`|~!"
"""A header's name may have all of these."""
SECRETS = {name: f"{CANARY}-{name.lower()}" for name in ("ONE", "TWO", "THREE", "FOUR")}
CONFIG = f"""\
name: coder
runtime: {{{{base_image: "debian:bookworm-slim"}}}}
container_runtime: {{engine}}
egress:
  mode: listed
  allow: [{PUBLIC}, "*.wild.test", {OTHER}, rebound.test]
features:
  - plugin: ssh
    port: {{port}}
  - plugin: external-services
    services:
      - url: https://{HOST}:{KEYED}
        headers: {{{{Authorization: "Bearer ${{{{ONE}}}}"}}}}
      - url: https://{HOST}:{SECOND}
        headers: {{{{Authorization: "Bearer ${{{{TWO}}}}"}}}}
      - url: https://{OTHER}:{KEYED}
        headers: {{{{Authorization: "Bearer ${{{{THREE}}}}"}}}}
      - url: https://{HOST}:{UNTRUSTED}
        headers: {{{{Authorization: "Bearer ${{{{FOUR}}}}"}}}}
      - url: https://{HOST}:{OTHER_NAME}
        headers: {{{{Authorization: "Bearer ${{{{FOUR}}}}"}}}}
      - url: https://{HOST}:{EXPIRED}
        headers: {{{{Authorization: "Bearer ${{{{FOUR}}}}"}}}}
      - url: https://{HOST}:{LISTENER_TLS}
        headers: {{{{Authorization: "Bearer ${{{{FOUR}}}}"}}}}
      - url: http://{HOST}:{LISTENER}
        headers: {{{{X-Api-Key: "${{{{TWO}}}}", "{ODD}": "${{{{ONE}}}}"}}}}
      - url: http://{GOOGLE}:{LISTENER}
        headers: {{{{X-Goog-Api-Key: "${{{{TWO}}}}"}}}}
      - url: http://{RULED}:{LISTENER}
        headers: {{{{X-Api-Key: "${{{{TWO}}}}"}}}}
        {RULES}
      - url: https://{RULED}:{KEYED}
        headers: {{{{Authorization: "Bearer ${{{{THREE}}}}"}}}}
        {RULES}
      - url: http://{HOST}:{APP}
        headers: {{{{Authorization: "Bearer ${{{{ONE}}}}"}}}}
"""
PORTS = (80, 443, APP, LISTENER, KEYED, SECOND, LISTENER_TLS)


@dataclass
class Proxied:
    """A sandbox, what its upstreams have seen, and connections from inside it."""

    box: Box
    wire: Wire
    seen: list[dict[str, str]]
    """The headers of each request that reached the application."""
    listener: Listener

    def asked(self, path: str) -> list[dict[str, str]]:
        return [request for request in self.seen if request[":path"] == path]


@pytest.fixture(scope="session")
def proxied(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Bring the sandbox up with all that it may reach, and take it down at the end."""
    desk = make_desk(tmp_path_factory.mktemp(f"proxied-{engine}") / "home", engines=True)
    authority = trusted_authority(desk)
    values = "".join(f"{name}={value}\n" for name, value in SECRETS.items())
    text = CONFIG.format(engine=engine, port=FIRST_PORT[engine] + 1)
    project = desk.project(text, name="proxied", __env=values)
    box = Box(engine, desk, project, {})
    with ExitStack() as stack:
        stack.callback(box.companion, "down", "--volumes")
        box.bring_up()
        sites = list(_sites(authority, desk.home))
        seen = stack.enter_context(application(box.bridge, APP))
        good = sites[0].certificate
        heard = stack.enter_context(listener(box.bridge, LISTENER, LISTENER_TLS, good))
        stack.enter_context(nginx(desk.home / "nginx", box.bridge, sites, APP))
        yield Proxied(box, stack.enter_context(wire(box, PORTS)), seen, heard)


def _sites(authority: certificates.Authority, home: Path) -> Iterator[Site]:
    now = datetime.now(UTC)
    long_ago = now - certificates.LEAF_LIFETIME - timedelta(days=1)
    for port, name, text in (
        (KEYED, HOST, certificates.issue(authority, HOST, now)),
        (SECOND, HOST, certificates.issue(authority, HOST, now)),
        (KEYED, OTHER, certificates.issue(authority, OTHER, now)),
        (KEYED, RULED, certificates.issue(authority, RULED, now)),
        (UNTRUSTED, HOST, certificates.issue(certificates.new_authority(now), HOST, now)),
        (OTHER_NAME, HOST, certificates.issue(authority, "elsewhere.test", now)),
        (EXPIRED, HOST, certificates.issue(authority, HOST, long_ago)),
    ):
        path = home / f"{port}-{name}.pem"
        path.write_text(text)
        yield Site(port, name, path)


@pytest.fixture
def public(proxied: Proxied, tmp_path: Path) -> Iterator[Proxied]:
    """With hosts that have a public address, and one whose name has come to lead to the desktop."""
    names = {PUBLIC: ADDRESS, "deep.wild.test": ADDRESS, "rebound.test": proxied.box.bridge}
    with internet(tmp_path):
        for name, address in names.items():
            tell_address(proxied.box, name, address)
        yield proxied
