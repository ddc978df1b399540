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


def _git(directory: Path, *words: str) -> str:
    argv = ["git", "-c", "safe.directory=*", "-C", str(directory), *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
