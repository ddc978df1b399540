"""The .deb, the .rpm and the archive are made from one description, around a bundle."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from desk import ROOT

from companion import __version__
from companion.cli import catalogue

LINTIAN = shutil.which("lintian")
COMMON = {
    "usr/bin/companion",
    "usr/lib/companion/companion",
    "usr/lib/systemd/user/companion-watch.service",
    "usr/share/applications/companion.desktop",
    "usr/share/bash-completion/completions/companion",
    "usr/share/doc/companion-sandbox/changelog.gz",
    "usr/share/doc/companion-sandbox/copyright",
    "usr/share/fish/vendor_completions.d/companion.fish",
    "usr/share/icons/hicolor/48x48/apps/companion.png",
    "usr/share/icons/hicolor/scalable/apps/companion.svg",
    "usr/share/man/man1/companion.1.gz",
    "usr/share/man/man5/companion-agent.yaml.5.gz",
    *(f"usr/share/man/man1/companion-{command.name}.1.gz" for command in catalogue.COMMANDS),
}


def build(target: Path, bundle: Path) -> Path:
    """Build the packages around a bundle; return the directory where they are."""
    environment = {**os.environ, "BUNDLE": str(bundle), "SOURCE_DATE_EPOCH": "1790000000"}
    argv = ["bash", ROOT / "installer/linux/build.sh", target]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for the real bundle, which takes a minute to build."""
    place = tmp_path_factory.mktemp("bundle") / "companion"
    (place / "_internal").mkdir(parents=True)
    shutil.copy("/bin/true", place / "companion")
    (place / "_internal/base_library.zip").write_text("stand-in")
    return place


@pytest.fixture(scope="module")
def packages(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("packages"), bundle)


def deb(packages: Path) -> Path:
    return packages / f"companion-sandbox_{__version__}-1_amd64.deb"


def unpacked(packages: Path, place: Path) -> Path:
    subprocess.run(["dpkg-deb", "--extract", deb(packages), place], check=True)
    return place


def test_the_deb_has_menu_entry_icons_unit_manual_pages_and_completions(
    packages: Path, tmp_path: Path
):
    root = unpacked(packages, tmp_path)
    there = {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}
    assert there >= COMMON | {"usr/share/zsh/vendor-completions/_companion"}
    assert os.access(root / "usr/bin/companion", os.X_OK), "the link leads to the program"
    assert not [name for name in there if "__pycache__" in name]


def test_the_archive_has_the_bundle_and_what_is_shared(packages: Path):
    (archive,) = packages.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    assert {"companion/companion", "companion/share/man/man1/companion.1.gz"} <= {
        member.name for member in members
    }
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}


def test_two_builds_of_the_packages_are_the_same(packages: Path, bundle: Path, tmp_path: Path):
    again = build(tmp_path, bundle)
    for package in packages.iterdir():
        assert package.read_bytes() == (again / package.name).read_bytes(), package.name


def test_who_removes_the_package_is_told_of_sandboxes_that_stay(tmp_path: Path):
    (tmp_path / "ada/.local/share/companion").mkdir(parents=True)
    users = tmp_path / "getent"
    users.write_text(f"#!/bin/sh\nprintf 'u:x:7:7::{tmp_path}/%s:/bin/sh\\n' ada bob\n")
    users.chmod(0o755)

    def told(*why: str) -> str:
        argv = ["sh", ROOT / "installer/linux/preremove.sh", *why]
        path = {"PATH": f"{tmp_path}:{os.defpath}"}
        return subprocess.run(argv, env=path, capture_output=True, text=True, check=True).stderr

    for why in ("remove", "0"):
        assert told(why).count("stay") == 1
        assert f"the sandboxes of {tmp_path}/ada stay" in told(why)
        assert "companion uninstall" in told(why)
    assert [told("upgrade", "0.3"), told("1")] == ["", ""]


@pytest.mark.long
@pytest.mark.skipif(not LINTIAN, reason="there is no lintian: apt-get install lintian")
def test_lintian_finds_no_error_in_the_deb(packages: Path):
    argv = [LINTIAN, "--fail-on=error", "--allow-root", deb(packages)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    not shutil.which("desktop-file-validate"),
    reason="there is no desktop-file-validate: apt-get install desktop-file-utils",
)
def test_the_menu_entry_is_valid():
    argv = ["desktop-file-validate", ROOT / "installer/linux/companion.desktop"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
