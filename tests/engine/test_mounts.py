"""What a mount of the system lets an agent do, with all that a config can ask for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk

pytestmark = pytest.mark.engine
CONFIG = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: {engine}
egress: listed
features:
  - plugin: custom-runtime
    root_hooks: [root.sh]
    capabilities: [CHOWN, DAC_OVERRIDE, FOWNER]
    runtime_volumes: ["/usr/local/lib:/srv/system{mode}", "./work:/srv/own"]
"""
HOOK = """\
for place in own system/{name}; do
    cp /bin/true /srv/$place/tool && chown 0:0 /srv/$place/tool && chmod 4755 /srv/$place/tool
done || true
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory of the system, which only root may write to."""
    made = Path(f"/usr/local/lib/companion-test-{os.getpid()}")
    made.mkdir(mode=0o700)
    yield made
    for path in made.iterdir():
        path.unlink()
    made.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory of the system")
def test_a_root_hook_with_every_capability_changes_nothing_of_the_system(
    desk: Desk, engine: str, directory: Path
):
    hook = HOOK.format(name=directory.name)
    project = desk.project(CONFIG.format(engine=engine, mode=""), root=hook)
    (project / "root").rename(project / "root.sh")
    writable = desk.companion("-C", str(project), "up")
    assert "agent.yaml:9:23: the mount '/usr/local/lib' belongs to the system" in writable.err
    assert writable.code == 1
    (project / "agent.yaml").write_text(CONFIG.format(engine=engine, mode=":ro"))
    try:
        desk.companion("-C", str(project), "up").ok()
        own = project / "work/tool"
        assert (own.stat().st_uid, own.stat().st_mode & 0o7777) == (0, 0o4755)
        assert not list(directory.iterdir())
    finally:
        desk.companion("-C", str(project), "down", "--volumes")
