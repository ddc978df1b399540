"""An engine elsewhere mounts volumes only; the same sandbox here mounts what it always did."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_cases import HERE, generated

from companion.engine.arguments import create_argv
from companion.engine.dialect import DIALECTS
from companion.errors import EngineError
from companion.spec.containers import Bind, Directory, Files, HostPath, Role


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_our_directories_are_volumes_there_and_nothing_of_the_desktop_is_mounted(
    name: str, tmp_path: Path
):
    gateway = generated(HERE / "smallest", tmp_path).target.service(Role.GATEWAY)
    there = replace(DIALECTS[name], shares_files=False)
    whole = [b for b in gateway.binds if isinstance(b.source, Files) and not b.source.file]
    argv = create_argv(
        there, "p", "coder", replace(gateway, binds=tuple(whole)), "/ours", "/profiles"
    )
    mounts = [argv[n + 1] for n, word in enumerate(argv) if word == "--mount"]
    assert [m.split(",")[0] for m in mounts] == ["type=volume"] * len(whole)
    assert "type=volume,source=p_coder.secrets,target=/companion/secrets,ro" in mounts
    for source in (Files(Directory.GATEWAY, "one"), HostPath("/home/me/work")):
        alone = replace(gateway, binds=(Bind(source, "/x", read_only=True),))
        assert "type=bind" in str(
            create_argv(DIALECTS[name], "p", "coder", alone, "/ours", "/profiles")
        )
        with pytest.raises(EngineError, match="/x would be a file of this desktop"):
            create_argv(there, "p", "coder", alone, "/ours", "/profiles")
