"""A project's acp_cmd in editors' settings: no editor may run any of it on the desktop."""

from pathlib import Path

import pytest

from editors import jetbrains, zed
from editors.base import Remote
from editors.catalogue import EDITORS

PROOF = "/tmp/proof-of-acp"
COMMANDS = (
    ("bash", "-c", f"touch {PROOF}"),
    (f"-oProxyCommand=/home/me/clone/{Path(PROOF).name}",),
    ("-F./clone/ssh_config", "x"),
    ("-w", f"-oLocalCommand=touch {PROOF}"),
    ("--", f"-oProxyCommand={PROOF}"),
)


def remote(*command: str) -> Remote:
    return Remote("codex.sandbox", "codex", "/home/agent", command, "/usr/bin/ssh")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_editor_of_the_desktop_is_given_no_command_of_a_project(command):
    for editor in EDITORS:
        for entry in editor.entries(remote(*command)):
            server = entry.value if entry.path[0] == "agent_servers" else {}
            assert server.get("command") in {None, "/usr/bin/ssh", zed.PROGRAM_IN_SANDBOX}
            if editor is not jetbrains.EDITOR:
                assert entry == next(e for e in editor.entries(remote("x")) if e.path == entry.path)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_word_of_a_command_over_ssh_is_an_option_of_ssh(command, ssh, tmp_path):
    (entry,) = jetbrains.EDITOR.entries(remote(*command))
    (tmp_path / "config").write_text("")
    plain = ssh("-G", "-F", tmp_path / "config", "-T", "codex.sandbox")
    judged = ssh("-G", "-F", tmp_path / "config", *entry.value["args"])
    assert (judged.returncode, judged.stdout) == (0, plain.stdout), judged.stderr


def test_an_agent_with_the_name_of_an_editors_own_agent_does_not_replace_it():
    names = {
        entry.path[1]
        for editor in EDITORS
        for entry in editor.entries(remote("x"))
        if entry.path[0] == "agent_servers"
    }
    assert names == {"codex (sandbox)", "codex.sandbox"}
