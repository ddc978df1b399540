"""The wheel is complete, works alone and contains nothing else."""

import shutil
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from desk import ROOT

from companion import __version__
from companion.cli import catalogue


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(["bash", ROOT / "installer/wheel.sh", target], check=True, capture_output=True)
    return next(target.glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site-packages directory that a dead package of the index was installed to before us."""
    site = tmp_path_factory.mktemp("site")
    for name in ("ssh", "editors"):
        (site / name).mkdir()
        (site / name / "__init__.py").write_text("raise SystemExit('not ours')")
    zipfile.ZipFile(wheel).extractall(site)
    return site


def python(site: Path, code: str, *words: str) -> str:
    """Return what Python prints that finds us in this directory only, with our dependencies."""
    start = (
        f"import sys; sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}];"
        f"sys.path.insert(0, {str(site)!r});"
    )
    argv = [sys.executable, "-c", start + code, *words]
    return subprocess.run(argv, cwd=site, capture_output=True, text=True, check=True).stdout


def data(wheel: Path, below: str) -> dict[str, str]:
    """Return the shared files below a directory of the prefix: name → text."""
    where = f"companion_sandbox-{__version__}.data/data/{below}/"
    archive = zipfile.ZipFile(wheel)
    names = [name for name in archive.namelist() if name.startswith(where)]
    return {name.removeprefix(where): archive.read(name).decode() for name in names}


def test_the_wheel_has_our_top_level_name_only_and_all_assets(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {t for t in tops if not t.endswith((".dist-info", ".data"))} == {"companion"}
    shipped = {n.removeprefix("companion/") for n in names if n.startswith("companion/assets/")}
    here = {p.relative_to(ROOT).as_posix() for p in (ROOT / "assets").rglob("*") if p.is_file()}
    page = "assets/troubleshooting.md"  # of which `doctor --explain` prints sections
    assert {name for name in here if "__pycache__" not in name} | {page} == shipped
    assert not [name for name in names if "__pycache__" in name]


def test_the_installed_wheel_finds_its_assets(site: Path):
    code = (
        "from companion.reconcile import host_facts;"
        "print(host_facts.__file__, host_facts.assets().agent[0].content[:9])"
    )
    told = python(site, code)
    assert str(site) in told
    assert "#!/bin/sh" in told


def test_packages_called_ssh_or_editors_neither_hide_ours_nor_are_overwritten(site: Path):
    code = (
        "import companion, ssh.config, editors.catalogue;"
        "from companion.system import assets;"
        "print(*(m.__file__ for m in (ssh.config, editors.catalogue)));"
        "print(*assets.code_directories()[0])"
    )
    told = python(site, code)
    libraries = site / "companion/libraries"
    first, second = (line.split() for line in told.splitlines())
    assert first == [str(libraries / "ssh/config.py"), str(libraries / "editors/catalogue.py")]
    assert {str(libraries / "ssh"), str(libraries / "editors")} <= set(second)
    assert (site / "ssh/__init__.py").read_text() == "raise SystemExit('not ours')"


def test_the_version_is_the_same_everywhere(wheel: Path, site: Path):
    told = python(site, "from companion.cli.main import entry; entry()", "--version")
    assert told == f"companion {__version__}\n"
    assert wheel.name.startswith(f"companion_sandbox-{__version__}-")
    newest = next(
        line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")
    )
    assert newest.split()[1] == __version__


def test_the_wheel_has_a_manual_page_for_each_command_and_completions(wheel: Path):
    pages = data(wheel, "share/man/man1")
    commands = {f"companion-{command.name}.1" for command in catalogue.COMMANDS}
    assert set(pages) == {"companion.1", *commands}
    assert ".Op Fl -branch Ar B" in pages["companion-run.1"]
    (name, page), *others = data(wheel, "share/man/man5").items()
    assert (name, others) == ("companion-agent.yaml.5", [])
    assert ".It Ic runtime_volumes" in page
    assert "_companion" in data(wheel, "share/zsh/site-functions")
    assert "companion" in data(wheel, "share/bash-completion/completions")


@pytest.mark.skipif(not shutil.which("man"), reason="there is no man: apt-get install man-db")
def test_man_has_no_warning_about_the_manual_pages(wheel: Path, tmp_path: Path):
    pages = data(wheel, "share/man/man1") | data(wheel, "share/man/man5")
    for name, text in pages.items():
        (tmp_path / name).write_text(text)
    argv = ["man", "--warnings", "-E", "UTF-8", "-Tutf8", "-l", *(tmp_path / n for n in pages)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "companion run codex ~/code/app -- --search" in done.stdout


def test_the_page_of_the_package_refers_to_no_file_beside_it(wheel: Path):
    name = f"companion_sandbox-{__version__}.dist-info/METADATA"
    text = zipfile.ZipFile(wheel).read(name).decode()
    assert HeaderParser().parsestr(text)["Description-Content-Type"] == "text/markdown"
    assert "](docs/" not in text
    assert "![" not in text
