"""Git in a sandbox against a real server: cloning, signing and pushing with an injected token."""

import subprocess
from pathlib import Path

import pytest
from sandboxes import Box

pytestmark = pytest.mark.engine
HOST = "host.containers.internal"


def test_a_signed_commit_is_pushed_with_a_token_that_the_agent_never_has(box: Box, tmp_path: Path):
    assert box.git
    bare = box.git.create("team.git")
    unasked = ("curl", "-sk", "-w", "%{http_code}", f"https://{box.bridge}:8450/team.git/info/refs")
    assert subprocess.run(unasked, check=True, capture_output=True, text=True).stdout == "401"
    said = box.run(
        f"cd && rm -rf team && git clone -q git@{HOST}:team.git 2>/dev/null && cd team &&"
        " echo hello >file && git add file && git commit -qm hello &&"
        " git verify-commit HEAD && git push -q origin HEAD:main && git rev-parse HEAD"
    )
    commit = said.splitlines()[-1]
    assert set(box.git.users) == {"oauth2"}
    shown = _git(bare, "log", "-1", "--format=%H %an <%ae>", "main")
    assert shown == f"{commit} Ada Lovelace <ada@example.com>"
    public = box.companion("keys", "signing", "coder").ok().out
    signers = tmp_path / "signers"
    signers.write_text(f"ada@example.com {public}")
    trusted = ("-c", f"gpg.ssh.allowedSignersFile={signers}")
    _git(bare, *trusted, "verify-commit", commit)
    signers.write_text(f"ada@example.com {(box.agent_state / 'sshd/host_key.pub').read_text()}")
    with pytest.raises(subprocess.CalledProcessError):
        _git(bare, *trusted, "verify-commit", commit)


ATTACKS = {
    "changing the configuration": "echo '[core]fsmonitor=evil' >>.git/config",
    "setting it by git": "git config core.fsmonitor evil",
    "replacing the configuration": "cp .git/HEAD .git/x && mv .git/x .git/config",
    "a link for the configuration": "ln -sf HEAD .git/config",
    "removing the configuration": "rm -f .git/config",
    "a hook": "echo evil >.git/hooks/post-index-change",
    "other hooks": "mv .git/hooks .git/old",
    "another repository": "mv .git .old",
    "no repository": "rm -rf .git/hooks || rmdir .git",
    "another directory to obey": "echo ../evil >.git/commondir",
    "replacing the directory to obey": "rm .git/commondir || mv .git/HEAD .git/commondir",
    "configuration of a worktree": "echo evil >.git/config.worktree",
    "a worktree": "mkdir .git/worktrees/x",
    "unmounting": "umount .git/config",
    "the copy": "echo evil >/companion/git/config",
}


def test_no_file_that_the_desktops_git_obeys_can_be_changed_from_inside(box: Box):
    work = box.project / "work"
    before = _obeyed(work / ".git")
    assert box.run("cd work && echo a >a && git add a && git commit -qm a && git log --format=%an")
    for title, attack in ATTACKS.items():
        assert box.ssh(f"cd work && {{ {attack}; }} 2>&1").code, title
    assert _obeyed(work / ".git") == before
    assert _git(work, "log", "-1", "--format=%s") == "a"
    assert _git(work, "status", "--porcelain") == ""
    _git(work, "config", "companion.test", "the desktop's own git may")


def _obeyed(directory: Path) -> dict[str, object]:
    names = ("config", "config.worktree", "commondir", "hooks", "worktrees")
    found = {name: directory / name for name in names}
    return {
        name: sorted(path.iterdir()) if path.is_dir() else path.read_bytes()
        for name, path in found.items()
    }


def _git(directory: Path, *words: str) -> str:
    argv = ["git", "-c", "safe.directory=*", "-C", str(directory), *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
