"""The shared sandbox of each engine."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from desk import make_desk
from sandboxes import CANARY, CONFIG, Box

from companion import certs


@pytest.fixture(scope="session")
def box(
    engine: str,
    tmp_path_factory: pytest.TempPathFactory,
    upstream: Callable[..., list[dict[str, str]]],
) -> Iterator[Box]:
    """Bring a sandbox up, serve its upstreams, and take it down at the end."""
    desk = make_desk(tmp_path_factory.mktemp(engine) / "home")
    authority = certs.new_authority(datetime.now(UTC))
    trusted = desk.home / "trusted.pem"
    trusted.write_text(authority.certificate)
    settings = desk.home / ".config/companion/settings.yaml"
    known = settings.read_text() if settings.exists() else ""
    settings.write_text(f'{known}trusted_certificates: ["{trusted}"]\n')
    values = f"ONE={CANARY}-one\nTWO={CANARY}-two\nTHREE={CANARY}-three$\n"
    project = desk.project(CONFIG.format(engine=engine), __env=values)
    overlay = project / "overlay/.config/tool"
    overlay.mkdir(parents=True)
    (overlay / "settings").write_text("from the project\n")
    box = Box(engine, desk, project, {})
    try:
        data = box.companion("up", "--yes", "--json").ok().agent
        box.alias, box.port = data["alias"], data["ssh_port"]
        box.bridge = box.companion("status", "--json").ok().agent["host_address"]
        state = desk.home / ".local/state/companion/projects"
        box.id = next(p.parent.name for p in state.glob("*/project.json"))
        head, last = box.bridge.rsplit(".", 1)
        box.ingress = f"{head}.{int(last) + 1}"
        _serve(box, upstream, authority, desk.home)
        yield box
    finally:
        box.companion("down", "--volumes")


def _serve(
    box: Box, upstream: Callable[..., list[dict[str, str]]], authority: certs.Authority, home: Path
) -> None:
    good, bad = home / "good.pem", home / "bad.pem"
    now = datetime.now(UTC)
    good.write_text(certs.issue(authority, "host.containers.internal", now))
    bad.write_text(certs.issue(certs.new_authority(now), "host.containers.internal", now))
    for port, certificate in (
        (81, None),
        (8000, None),
        (8001, None),
        (443, good),
        (8443, good),
        (8444, bad),
        (8099, None),
    ):
        box.seen[port] = upstream(box.bridge, port, certificate)
