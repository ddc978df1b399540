"""Images of a cluster on the desktop's engine, here a script that keeps its tags as files."""

from pathlib import Path

import pytest

from companion.engine.client import Engine
from companion.engine.model import EngineChoice
from companion.errors import EngineError
from companion.kubernetes.images import Images
from companion.spec.build_network import BuildNetwork
from companion.spec.containers import Image
from companion.spec.identity import Role

PODMAN = """\
#!/bin/bash
cd "${0%/*}"
case "$1 $2" in
  "pull "*) touch fetched ;;  # and another build of ours tags it and removes this name
  "tag registry"*) echo "Error: registry.test/team/gateway:1: image not known" >&2; exit 125 ;;
  "image inspect") [ -e fetched ] && echo "${@: -1}" ||
    { echo "Error: gateway:1: image not known" >&2; exit 125; } ;;
  *) exit 0 ;;
esac
"""


def test_a_gateway_image_that_two_builds_fetch_at_once_is_there_for_both(tmp_path: Path):
    program = tmp_path / "podman"
    program.write_text(PODMAN)
    program.chmod(0o755)
    images = Images("registry.test/team", Engine(EngineChoice("podman", str(program))))
    coder, network = Image("coder", Role.AGENT, (), ()), BuildNetwork(router="gateway:1")
    assert images.build(coder, tmp_path, network, print, lambda: True) == 0
    (tmp_path / "fetched").unlink()
    program.write_text(PODMAN.replace("touch fetched", ":"))
    with pytest.raises(EngineError, match="image not known"):
        images.build(coder, tmp_path, network, print, lambda: True)
