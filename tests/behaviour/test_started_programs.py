"""What is started on the desktop is not what an agent or a clone put in the way."""

import configparser
import plistlib
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from desk import COMPANION, Desk
from fake_project import Fake, config

from companion.desktop import autostart
from companion.errors import CompanionError
from companion.system import programs

NAMES = ("docker", "podman", "ssh", "ip", "code", "zed", "dpkg-query", "rpm", "git")


def traps(place: Path, proof: Path) -> Path:
    """Put programs into a directory that tell of it when they are run."""
    place.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        program = place / name
        program.write_text(f'#!/bin/sh\necho "$0" >>{proof}\n')
        program.chmod(0o755)
    return place


@pytest.fixture
def fake(desk: Desk) -> Fake:
    """A project whose agent writes to work/ and to a directory outside, once it was started."""
    code = desk.home / "code"
    (code / "venv/bin").mkdir(parents=True)
    mounts = f'    runtime_volumes: ["./work:/work", "{code}:/code"]\n'
    fake = Fake(desk, desk.project(config(command="") + mounts))
    fake.companion("up").ok()
    return fake


def test_programs_are_not_looked_up_where_an_agent_or_a_clone_has_put_some(
    fake: Fake, tmp_path: Path
):
    desk, proof, kept = fake.desk, tmp_path / "proof", fake.desk.environment["PATH"]
    home, work = desk.home, traps(desk.home / "project/work", proof)
    (home / "linked").symlink_to(home / "code/venv/bin")
    for name in ("project/work/bin", "project/bin", "code/venv/bin", "tools"):
        traps(home / name, proof)
    absolute = [
        str(home / n) for n in ("project/work/bin", "project/bin", "code/venv/bin", "linked")
    ]
    desk.environment["PATH"] = ":".join([*absolute, "", ".", "bin", kept])
    said = desk.companion("doctor", cwd=work).out
    assert not proof.exists(), proof.read_text()
    for entry in absolute:
        shown = f"~/{Path(entry).relative_to(home)}"
        assert f"programs are not looked up in {shown}:" in said
    desk.environment["PATH"] = f"{home / 'tools'}:{kept}"
    said = desk.companion("doctor", cwd=work).out
    assert str(home / "tools") in proof.read_text(), "control"
    assert "programs are not looked up" not in said


def test_a_program_of_ours_finds_no_module_of_an_agent(fake: Fake, tmp_path: Path):
    """podman-compose is a Python program, as others may be."""
    proof, tool = tmp_path / "proof", fake.desk.home / "programs" / "podman-compose"
    tool.write_text(f"#!{sys.executable}\nimport helper\n")
    tool.chmod(0o755)
    module = fake.desk.home / "code" / "helper.py"
    module.write_text(f"open({str(proof)!r}, 'w').write('ran')\n")
    fake.desk.environment |= {"PYTHONPATH": str(module.parent), "PYTHONSTARTUP": str(module)}
    control = subprocess.run([tool], env=fake.desk.environment, check=False)
    assert (control.returncode, proof.exists()) == (0, True), "control: it would find it"
    proof.unlink()
    fake.companion("compose", "ps")
    assert not proof.exists()


def test_what_compose_shows_of_a_sandbox_steers_no_terminal(fake: Fake):
    tool = fake.desk.home / "programs" / "podman-compose"
    say = r"printf '\033]0;owned\007\033[31mred\n'"
    tool.write_text(f"#!/bin/sh\n{say}; {say} >&2; exit 5\n")
    tool.chmod(0o755)
    done = fake.companion("compose", "logs")
    shown = "\\x1b]0;owned\\x07\x1b[31mred\x1b[0m\n"
    assert (done.code, done.out, done.err) == (5, shown, shown)


def _desktop_entry() -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(autostart.desktop_entry(list(programs.companion("tray"))))
    return shlex.split(parser["Desktop Entry"]["Exec"])


def _launch_agent() -> list[str]:
    text = autostart.launch_agent(list(programs.companion("tray")))
    return plistlib.loads(text.encode())["ProgramArguments"]


@pytest.mark.parametrize("argv", [_desktop_entry(), _launch_agent(), [*programs.companion(), "x"]])
def test_companion_starts_itself_and_not_a_package_that_lies_where_it_works(
    argv: list[str], desk: Desk, tmp_path: Path
):
    proof, package = tmp_path / "proof", desk.home / "work" / "companion"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(f"open({str(proof)!r}, 'w').write('ran')\n")
    lured = {"cwd": package.parent, "env": desk.environment | {"PYTHONPATH": str(package.parent)}}
    plain = [sys.executable, "-m", "companion", "--version"]
    subprocess.run(plain, **lured, check=True)
    assert proof.exists(), "control: python itself takes the package for companion"
    proof.unlink()
    asked = [*argv[:-1], "--version"]
    done = subprocess.run(asked, **lured, capture_output=True, text=True, check=True)
    expected = subprocess.run([COMPANION, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == expected.stdout
    assert not proof.exists()


def test_an_editor_that_is_no_command_line_is_named_with_its_variable(monkeypatch):
    monkeypatch.setenv("VISUAL", "vim '+set")
    with pytest.raises(CompanionError, match=r"\$VISUAL is no command line: No closing quotation"):
        programs.text_editor("agent.yaml")
