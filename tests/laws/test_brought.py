"""What of the user's own settings comes into sandboxes, and what never does?"""

import io
import os
import tarfile
from pathlib import Path, PurePosixPath

import pytest
from pydantic import ValidationError

from companion.config.settings import Settings
from companion.reconcile import bring
from companion.sandbox import brought
from companion.spec.containers import File
from companion.system.paths import Paths


def home_of(tmp_path: Path) -> Paths:
    return Paths(tmp_path, *(tmp_path / name for name in ("config", "data", "state", "programs")))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_chosen_files_and_directories_are_there_and_nothing_else(tmp_path: Path):
    for name in ("CLAUDE.md", "skills/review/SKILL.md", "skills/review/run.sh", "other.md"):
        write(tmp_path / ".claude" / name, name)
    (tmp_path / ".claude/skills/review/run.sh").chmod(0o755)
    chosen = (".claude/CLAUDE.md", ".claude/skills", ".codex/AGENTS.md")
    found = bring.read(home_of(tmp_path), chosen)
    assert {(f.path, f.mode) for f in found.files} == {
        (".claude/CLAUDE.md", 0o644),
        (".claude/skills/review/SKILL.md", 0o644),
        (".claude/skills/review/run.sh", 0o755),
    }
    assert found.left_out == ()


@pytest.mark.parametrize(
    "name",
    [
        *(".claude/.credentials.json", ".claude.json", ".claude.json.backup", ".codex/auth.json"),
        *(".gemini/oauth_creds.json", ".local/share/opencode/auth.json", ".claude/.env"),
        *(".claude/projects/x.md", ".codex/sessions/2026/x.md", ".codex/history.jsonl"),
        *(".ssh/config", ".config/gh/hosts.yml", ".claude/skills/id_ed25519", ".aws/config"),
        *(".pi/agent/auth.json", ".netrc", ".claude/skills/key.pem", ".git-credentials"),
    ],
)
def test_a_name_of_credentials_or_records_is_never_brought(tmp_path: Path, name: str):
    write(tmp_path / name, "x")
    for chosen in {name, PurePosixPath(name).parts[0]}:
        found = bring.read(home_of(tmp_path), (chosen,))
        assert not found.files
        assert "is never brought" in found.left_out[0]


@pytest.mark.parametrize(
    "name",
    [".claude/skills/gh/SKILL.md", ".claude/skills/design-tokens.md", ".claude/commands/todos.md"],
)
def test_a_name_that_only_sounds_like_it_is_brought(tmp_path: Path, name: str):
    write(tmp_path / name, "x")
    assert bring.read(home_of(tmp_path), (".claude",)).files


@pytest.mark.parametrize(
    "text",
    [
        '{"env": {"ANTHROPIC_API_KEY": "sk-ant-api03-abcdefghijklmnop"}}',
        '{"env": {"SOME_API_KEY": "0123456789abcdef"}}',
        '{"headers": {"Authorization": "Bearer abcdefghijklmnopqrst"}}',
        'password = "correct horse"',
        "use ghp_abcdefghijklmnopqrstuvwxyz0123456789 for GitHub",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
    ],
)
def test_a_file_with_a_credential_is_left_out(tmp_path: Path, text: str):
    write(tmp_path / ".claude/settings.json", text)
    found = bring.read(home_of(tmp_path), (".claude/settings.json",))
    assert not found.files
    assert found.left_out == ("~/.claude/settings.json holds what looks like a credential",)


@pytest.mark.parametrize(
    "text",
    [
        '{"env": {"API_KEY": "${API_KEY}"}, "permissions": {"allow": ["Bash(npm test)"]}}',
        "Never commit a password: secrets are read from the environment.",
    ],
)
def test_a_file_that_only_speaks_of_credentials_is_brought(tmp_path: Path, text: str):
    write(tmp_path / ".claude/settings.json", text)
    assert bring.read(home_of(tmp_path), (".claude/settings.json",)).files


def test_no_link_is_followed_wherever_it_stands(tmp_path: Path):
    write(tmp_path / "elsewhere/skill/SKILL.md", "x")
    write(tmp_path / ".claude/skills/own/SKILL.md", "mine")
    (tmp_path / ".claude/skills/linked").symlink_to(tmp_path / "elsewhere/skill")
    (tmp_path / ".claude/skills/own/more.md").symlink_to(tmp_path / "elsewhere/skill/SKILL.md")
    os.link(tmp_path / "elsewhere/skill/SKILL.md", tmp_path / ".claude/skills/own/hard.md")
    (tmp_path / ".codex").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / ".claude/skills/pipe")
    found = bring.read(home_of(tmp_path), (".claude/skills", ".codex/skill", ".codex"))
    assert [file.content for file in found.files] == [b"mine"]
    assert sorted(line.split(" ")[0] for line in found.left_out) == [
        *("~/.claude/skills/linked", "~/.claude/skills/own/hard.md"),
        *("~/.claude/skills/own/more.md", "~/.claude/skills/pipe", "~/.codex"),
    ]


@pytest.mark.parametrize("path", ["~", "~/", "/etc/passwd", "../x", "~/a/../../x", "~other/x", ""])
def test_only_a_path_below_the_home_can_be_chosen(path: str):
    with pytest.raises(ValidationError, match="must be a path below your home"):
        Settings(bring=(path,))


def test_the_archive_is_the_same_for_the_same_files_in_any_order():
    files = (File(".a/x", b"1", 0o755), File(".b", "\u00fc".encode()))
    packed = brought.archive(files)
    assert packed == brought.archive(reversed(files))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert [(m.name, m.mode, m.mtime, m.uid) for m in tar] == [
            (".a/x", 0o755, 0, 0),
            (".b", 0o644, 0, 0),
        ]
