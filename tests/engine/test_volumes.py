"""What is mounted for an agent to write to can be written to, or `up` says that it cannot."""

import os
import subprocess

import pytest
from desk import Desk
from sandboxes import FIRST_PORT

pytestmark = pytest.mark.engine
CONFIG = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: {engine}
gateway: false
features:
  - plugin: ssh
    port: {port}
  - plugin: custom-runtime
    runtime_volumes:
      - "data:/srv/data"
      - "library:/srv/library:ro"
      - "cache:{{{{ .AGENT_HOME }}}}/.cache/tool"
      - "./deep:{{{{ .AGENT_HOME }}}}/a/b"
      - "./foreign:/srv/foreign"
"""


def labeled(engine: str, desk: Desk) -> set[str]:
    """Return the volumes that the engine finds by the label of the desk's only project."""
    (project,) = (path.name for path in desk.paths.projects.iterdir())
    ours = ("--filter", f"label=dev.companion.project={project}")
    listed = subprocess.run(
        [engine, "volume", "ls", "--quiet", *ours], capture_output=True, text=True, check=True
    )
    return {name.removeprefix(f"{project}_coder_") for name in listed.stdout.split()}


def test_new_volumes_and_what_lies_above_a_mount_belong_to_the_agent(engine: str, desk: Desk):
    project = desk.project(CONFIG.format(engine=engine, port=FIRST_PORT[engine] + 5))
    for name in ("deep", "foreign"):
        (project / name).mkdir()
    for name in (".", "work", "deep"):
        os.chown(project / name, 1000, 1000)
    there = ("-C", str(project))
    try:
        done = desk.companion(*there, "up", "--yes").ok()
        touched = "for place in /srv/data ~/.cache ~/.cache/tool ~/a ~/a/b; do touch $place/x; done"
        desk.ssh("coder.sandbox", f"set -e; {touched}").ok()
        assert desk.ssh("coder.sandbox", "ls /srv/library && touch /srv/library/x").code == 1
        foreign = f"the agent cannot write to {project}/foreign, which belongs to user 0"
        assert labeled(engine, desk) == {"cache", "data", "home", "library"}
        assert foreign in done.err
        assert done.err.count("the agent cannot write to") == 1
        assert desk.ssh("coder.sandbox", "touch /srv/foreign/x").code != 0
    finally:
        desk.companion(*there, "down", "--volumes")
