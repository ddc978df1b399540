"""Editors meet a running sandbox: settings written and taken back, folders opened, servers put."""

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from desk import ROOT, Done
from sandboxes import Box, wait_until

pytestmark = pytest.mark.engine

VSCODE = """\
{
\t// my font
\t"editor.fontSize": 14, // not smaller
\t"remote.SSH.remotePlatform": {
\t\t"build.example.com": "linux",
\t},
\t/* last */
}
"""
ZED = '\ufeff{\r\n  "theme": "One Dark",\r\n  "ssh_connections": [ { "host": "mine" } ]\r\n}\r\n'


@pytest.fixture
def editors(box: Box, tmp_path: Path):
    """Editors that only write down how they were called; settings as users have them."""
    config = box.desk.home / ".config"
    code, zed = config / "Code/User/settings.json", config / "zed/settings.json"
    dotfiles = tmp_path / "dotfiles" / "vscode.json"
    for path, text in ((dotfiles, VSCODE), (zed, ZED)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, newline="")
    dotfiles.chmod(0o644)
    code.parent.mkdir(parents=True, exist_ok=True)
    code.symlink_to(dotfiles)
    for name in ("code", "zed", "cursor", "xdg-open"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/{name}.called\n')
        program.chmod(0o755)
    before = box.desk.environment["PATH"]
    box.desk.environment["PATH"] = f"{tmp_path}/bin:{before}"
    yield tmp_path
    box.desk.environment["PATH"] = before
    for path in (code, zed):
        path.unlink(missing_ok=True)
    (box.desk.home / ".local/state/companion/editors.json").unlink(missing_ok=True)


def called(place: Path, name: str) -> list[str]:
    wait_until((place / f"{name}.called").exists)
    wait_until(lambda: (place / f"{name}.called").read_text().endswith("\n"))
    return (place / f"{name}.called").read_text().split()


def as_vscode_reads(path: Path) -> dict:
    """Parse with VS Code's own parser; its mistakes fail the test."""
    script = (
        "const p=require('jsonc-parser'),e=[];"
        "const v=p.parse(require('fs').readFileSync(0,'utf8').replace(/^\\ufeff/,''),e,"
        "{allowTrailingComma:true});console.log(JSON.stringify([v,e]))"
    )
    done = subprocess.run(
        ["node", "-e", script],
        env={**os.environ, "NODE_PATH": str(ROOT / "build/oracles/node_modules")},
        input=path.read_bytes(),
        capture_output=True,
        check=True,
    )
    value, mistakes = json.loads(done.stdout)
    assert mistakes == []
    return value


def test_settings_get_our_entries_and_are_as_before_without_them(box: Box, editors: Path):
    config = box.desk.home / ".config"
    code, zed, cursor = (config / p / "settings.json" for p in ("Code/User", "zed", "Cursor/User"))
    box.companion("editors", "sync").ok()
    assert as_vscode_reads(code)["remote.SSH.remotePlatform"][box.alias] == "linux"
    assert as_vscode_reads(cursor) == {"remote.SSH.remotePlatform": {box.alias: "linux"}}
    entry = {"host": box.alias, "upload_binary_over_ssh": True}
    assert as_vscode_reads(zed)["ssh_connections"] == [{"host": "mine"}, entry]
    assert code.is_symlink()
    assert code.stat().st_mode & 0o777 == 0o644
    for line in VSCODE.splitlines():
        assert line in code.read_text()
    again = box.companion("editors", "sync", "--json").ok().data
    assert {row["outcome"] for row in again} == {"unchanged"}
    box.companion("editors", "remove").ok()
    assert code.read_bytes().decode() == VSCODE
    assert zed.read_bytes().decode() == ZED
    assert not cursor.exists()
    assert not [*config.rglob("*.before-companion")]


JETBRAINS = '{"default_mcp_settings": {}, "agent_servers": {"mine": {"command": "/x"}}}\n'
ACP = 'acp_cmd: [sed, -u, "s/ping/it\'s a $HOME pong/"]'


def test_jetbrains_starts_the_agent_of_a_sandbox_over_ssh(box: Box, editors: Path):
    settings, kept = box.desk.home / ".jetbrains/acp.json", box.config_text()
    box.companion("editors", "sync").ok()
    assert not settings.parent.exists(), "it is not installed"
    settings.parent.mkdir()
    settings.write_text(JETBRAINS)
    (box.project / "agent.yaml").write_text(kept.replace('-slim"}', f'-slim", {ACP}}}', 1))
    try:
        box.companion("up").ok()
        box.companion("editors", "sync").ok()
        assert settings.read_text() == JETBRAINS, "nobody named it"
        box.companion("editors", "sync", "jetbrains").ok()
        read = json.loads(settings.read_text())
        server = read["agent_servers"].pop(box.alias)
        assert read == json.loads(JETBRAINS)
        assert set(server) == {"command", "args", "env", "use_idea_mcp", "use_custom_mcp"}
        assert server["use_idea_mcp"] is server["use_custom_mcp"] is False
        assert Path(server["command"]).is_absolute()
        # OpenSSH asks the password database where home is, not $HOME
        argv = [server["command"], "-F", box.desk.home / ".ssh/config", *server["args"]]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
            said, _ = agent.communicate(b'{"ask": "ping"}\n', timeout=60)
        assert said == b'{"ask": "it\'s a $HOME pong"}\n'
        rows = {r["id"]: r["command"] for r in box.companion("editors", "list", "--json").data}
        assert rows["jetbrains"] == "-"
        refused = box.companion("open", "coder", "--in", "jetbrains")
        assert "JetBrains IDEs cannot be told to open a folder over SSH" in refused.err
    finally:
        (box.project / "agent.yaml").write_text(kept)
        box.companion("up").ok()
    box.companion("editors", "remove").ok()
    assert settings.read_text() == JETBRAINS
    assert list(settings.parent.iterdir()) == [settings]
    settings.unlink()
    settings.parent.rmdir()
    refused = box.companion("editors", "sync", "jetbrains")
    assert "jetbrains is not here" in refused.err


def test_settings_that_do_not_parse_stay_and_the_snippet_is_shown(box: Box, editors: Path):
    code = box.desk.home / ".config/Code/User/settings.json"
    code.write_text('{\n  "a": 1\n  "b": 2\n}\n')
    done = box.companion("editors", "sync")
    assert done.code == 1
    assert f"{code}:3:3: a comma or }} is missing here" in done.err
    assert f'"{box.alias}": "linux"' in done.err
    assert code.read_text() == '{\n  "a": 1\n  "b": 2\n}\n'


def test_open_calls_the_editor_with_the_folder(box: Box, editors: Path):
    box.companion("open", "coder", "--in", "code").ok()
    folder = f"vscode-remote://ssh-remote+{box.alias}/home/agent"
    assert called(editors, "code") == ["--folder-uri", folder]
    box.companion("open", "coder", "--in", "zed", "--path", "/srv/a b").ok()
    assert called(editors, "zed") == [f"ssh://{box.alias}/srv/a%20b"]
    box.companion("open", "coder", "--in", "cursor", "--path", "work").ok()
    host = json.dumps({"hostName": box.alias}, separators=(",", ":")).encode().hex()
    address = f"vscode-remote://ssh-remote+{host}/home/agent/work"
    assert called(editors, "cursor") == ["--folder-uri", address]
    (editors / "cursor.called").unlink()
    last = box.companion("open", "coder", "--print", "--json").ok().data
    assert last["command"][0].endswith("/cursor")
    (editors / "bin/cursor").unlink()
    box.companion("open", "coder", "--in", "cursor").ok()
    (url,) = called(editors, "xdg-open")
    assert url == f"cursor://vscode-remote/ssh-remote+{host}/home/agent?windowId=_blank"


def test_open_starts_a_stopped_sandbox(box: Box, editors: Path):
    box.companion("down").ok()
    done = box.companion("open", "coder", "--in", "code").ok()
    assert "starting coder" in done.err
    assert called(editors, "code")
    assert box.run("id -un") == "agent"


def test_open_says_what_is_missing(box: Box, editors: Path):
    assert "there is no editor 'vi'" in box.companion("open", "coder", "--in", "vi").err
    assert "codium is not installed" in box.companion("open", "coder", "--in", "codium").err
    assert "there is no agent 'other'" in box.companion("open", "other", "--print").err


def test_neovim_opens_and_saves_a_file_by_the_alias(box: Box, tmp_path: Path):
    box.run("printf 'one\\n' > ~/by-neovim")
    for name in ("ssh", "scp"):  # OpenSSH asks the password database where home is, not $HOME
        wrapper = tmp_path / name
        config = box.desk.home / ".ssh/config"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {config} "$@"\n')
        wrapper.chmod(0o755)
    file = f"scp://{box.alias}//home/agent/by-neovim"
    keys = ["-c", "call append(1, 'two')", "-c", "write", "-c", "quitall!"]
    done = subprocess.run(
        ["nvim", "--headless", "-i", "NONE", file, *keys],
        env=box.desk.environment | {"PATH": f"{tmp_path}:{box.desk.environment['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert box.run("cat ~/by-neovim") == "one\ntwo"


def test_what_the_editors_servers_need_is_there(box: Box, tmp_path: Path):
    """The commands that Zed and open-remote-ssh run before they start their servers."""
    assert box.run("sh -c 'echo $SHELL'") == "/bin/bash"
    assert box.run("uname -sm").startswith("Linux ")
    program = tmp_path / "server.gz"
    program.write_bytes(gzip.compress(b"#!/bin/sh\necho server $1\n"))
    box.run("mkdir -p ~/.zed_server")
    sftp(box, f"put {program} .zed_server/s.gz").ok()
    box.run("cd ~/.zed_server && gunzip -f s.gz && chmod 755 s && mv s zed-remote-server")
    assert box.run("cd / && exec env 'K=V' ~/.zed_server/zed-remote-server proxy") == "server proxy"
    script = (
        "for c in bash base64 uname tar curl mkdir; do command -v $c >/dev/null || echo no $c; done"
    )
    assert box.run(f"echo {script!r} | base64 | base64 -d | bash -l") == ""


def sftp(box: Box, batch: str) -> Done:
    done = subprocess.run(
        ["sftp", "-F", box.desk.home / ".ssh/config", "-b", "-", box.alias],
        input=batch,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)
