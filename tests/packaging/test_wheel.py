"""The wheel is complete and contains nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from desk import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(["bash", ROOT / "installer/wheel.sh", target], check=True, capture_output=True)
    return next(target.glob("*.whl"))


def test_the_wheel_has_our_top_level_names_only_and_all_assets(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"companion", "ssh", "editors"}
    shipped = {n.removeprefix("companion/") for n in names if n.startswith("companion/assets/")}
    here = {p.relative_to(ROOT).as_posix() for p in (ROOT / "assets").rglob("*") if p.is_file()}
    assert {name for name in here if "__pycache__" not in name} == shipped


def test_the_installed_wheel_finds_its_assets(wheel: Path, tmp_path: Path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r});"
        "from companion.reconcile import host_facts;"
        "print(host_facts.__file__, host_facts.assets().agent[0].content[:9])"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(tmp_path / "site") in done.stdout
    assert "#!/bin/sh" in done.stdout
