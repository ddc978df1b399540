"""What `companion clean` says of a real engine: whose images are whose, and which nothing uses."""

from pathlib import Path

import pytest
from sandboxes import Box

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long,
]  # podman takes a minute where it has many images


def test_a_running_sandbox_is_in_use_and_what_a_failed_build_of_it_left_is_not(
    box: Box, tmp_path: Path
):
    image = box.engine("inspect", "--format", "{{.Config.Image}}", box.container("coder")).strip()
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nLABEL torn=1\n")
    torn = box.engine("build", "--quiet", str(tmp_path)).strip().removeprefix("sha256:")
    try:
        shown = box.companion("clean", "--dry-run", "--json").ok().data["engines"]
    finally:
        box.engine("image", "rm", torn)
    (use,) = (one for one in shown if one["engine"] == box.name)
    (sandbox,) = use["sandboxes"]
    assert sandbox["name"].startswith("coder in ")
    assert sandbox["images"] > 0
    assert sandbox["volumes"] > 0
    found = {one["name"]: one["why"] for one in use["unused"]}
    assert found == {torn[:12]: "left by a build that failed"}
