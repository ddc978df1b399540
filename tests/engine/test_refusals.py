"""What a real engine refuses is told as what happened, with the next step."""

import pytest
from desk import Desk

pytestmark = pytest.mark.engine
CONFIG = """\
name: coder
runtime: {{base_image: "registry.invalid/base:1"}}
container_runtime: {engine}
gateway: false
features: []
"""


def test_a_base_image_that_cannot_be_pulled_is_named_with_the_setting_that_helps(
    engine: str, desk: Desk
):
    project = desk.project(CONFIG.format(engine=engine))
    done = desk.companion("-C", str(project), "up")
    assert done.code == 1
    assert "cannot pull registry.invalid/base:1, the base of the agent image" in done.err
    assert "no such host" in done.err
    assert f"images: in {desk.home}/.config/companion/settings.yaml" in done.err
