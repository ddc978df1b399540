"""Which tools does an agent find, and where does what it installs for itself go?"""

import shutil

import pytest
from sandboxes import Box

pytestmark = pytest.mark.engine
TOOLS = "fd git jq less make pip python python3 rg ssh-keygen tmux"
PACKAGE = """\
from setuptools import setup
setup(name="hello", py_modules=["hello"], entry_points={"console_scripts": ["hello=hello:say"]})
"""
MODULE = "def say():\n    print('gr\u00fc\u00df dich')\n"
INSTALL = "cd $(mktemp -d) && cat >hello.py <<'E'\n{}E\ncat >setup.py <<'E'\n{}E\n{}"
PIP = "pip install --quiet --no-index --no-build-isolation ."
IMPOSTORS = "seq sleep find sha256sum env cat cp mkdir dirname touch grep"
"""Programs that the entrypoint uses."""


def test_what_coding_agents_take_for_granted_is_there(box: Box):
    assert box.run(f"for tool in {TOOLS}; do command -v $tool >/dev/null || echo $tool; done") == ""
    homes = "/home/agent/.local /home/agent/.cargo /home/agent/go"
    assert box.run("echo $NPM_CONFIG_PREFIX $CARGO_HOME $GOPATH") == homes
    box.run("python3 -m venv /tmp/venv && /tmp/venv/bin/pip --version && rm -r /tmp/venv")


def test_pip_installs_into_the_home_and_its_programs_are_found_by_every_way_in(box: Box):
    box.run(INSTALL.format(MODULE, PACKAGE, PIP))
    try:
        shown = {
            box.run("hello; command -v hello"),
            box.run("bash -lc 'hello; command -v hello'"),
            box.companion("exec", "coder", "--", "sh", "-c", "hello; command -v hello")
            .ok()
            .out.strip(),
        }
        assert shown == {"gr\u00fc\u00df dich\n/home/agent/.local/bin/hello"}
    finally:
        box.run("pip uninstall --quiet --yes hello")


def test_a_program_of_the_agents_own_cannot_keep_its_sandbox_from_starting(box: Box):
    box.run(
        f"mkdir -p ~/.local/bin; for name in {IMPOSTORS}; do"
        " printf '#!/bin/sh\\nexit 1\\n' >~/.local/bin/$name && chmod +x ~/.local/bin/$name; done"
    )
    try:
        box.companion("restart").ok()
    finally:
        box.companion("exec", "coder", "--", "/bin/sh", "-c", "/bin/rm -r ~/.local/bin").ok()


def test_the_users_own_settings_arrive_and_later_edits_too_but_nothing_flows_back(box: Box):
    own, settings = box.desk.home / ".claude", box.desk.home / ".config/companion/settings.yaml"
    kept = settings.read_text()
    (own / "skills/review").mkdir(parents=True)
    (own / "CLAUDE.md").write_text("Be brief.\n")
    (own / ".credentials.json").write_text("sk-ant-oat01-canary")
    (own / "skills/review/SKILL.md").write_text("one\n")
    settings.write_text(f"{kept}bring: [~/.claude]\n")
    skill = "~/.claude/skills/review/SKILL.md"
    try:
        said = box.companion("up").ok()
        assert "~/.claude/.credentials.json is never brought" in said.err
        assert box.run(f"cat ~/.claude/CLAUDE.md {skill}") == "Be brief.\none"
        assert "canary" not in box.run("grep -r canary /companion ~/.claude || true")
        box.run("echo mine >~/.claude/CLAUDE.md; touch /companion/brought/x || true")
        (own / "CLAUDE.md").write_text("Be very brief.\n")
        (own / "skills/review/SKILL.md").write_text("two\n")
        done = box.companion("up", "--json").ok()
        assert done.agent["steps"] == ["reload coder"]
        assert box.run(f"cat ~/.claude/CLAUDE.md {skill}") == "mine\ntwo"
        assert (own / "CLAUDE.md").read_text() == "Be very brief.\n"
        assert not (box.agent_state / "brought/x").exists()
    finally:
        settings.write_text(kept)
        shutil.rmtree(own)
        box.companion("up").ok()
        box.run("rm -rf ~/.claude")
