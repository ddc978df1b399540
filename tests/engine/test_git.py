"""Git in a sandbox against a real server: cloning, signing and pushing with an injected token."""

import subprocess
from pathlib import Path

import pytest
from desk import Desk
from sandboxes import Box, make_repository, wait_until
from test_watch import watching

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
    "a remote of old": "mkdir -p .git/remotes; echo URL: evil >.git/remotes/x",
    "a branch of old": "mkdir -p .git/branches; echo evil >.git/branches/x",
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


def test_an_agent_that_writes_what_the_desktop_replaced_is_reported_at_once(box: Box):
    work = box.project / "work"
    config, attack = work / ".git/config", "git -C work config core.fsmonitor ./evil"
    kept = config.read_bytes()
    refused = "Device or resource busy"
    assert refused in box.ssh(attack).err
    assert refused in box.run("cat /etc/companion/network.txt")
    with watching(box) as log:
        assert not box.companion("status").ok().problems
        _git(work, "config", "user.name", "a change on the desktop drops the mount")
        exposed = f"coder can change {config}: replaced on this desktop"
        wait_until(lambda: f"project: {exposed}" in log.read_text(), tell=log.read_text)
        (said,) = box.companion("status").ok().problems
        assert said.startswith(exposed)
        box.run(attack)
        new = f"{config}: git obeys core.fsmonitor, which is new"
        wait_until(lambda: f"project: {new}" in log.read_text(), tell=log.read_text)
        assert box.companion("status").ok().problems[1].startswith(new)
        assert new in " ".join(box.companion("restart").ok().err.split())
    assert box.ssh(attack).code
    assert not box.companion("status").ok().problems
    config.write_bytes(kept)


WORKTREE = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: {engine}
gateway: false
features:
  - plugin: git
    name: Ada
    email: ada@example.com
  - plugin: custom-runtime
    runtime_volumes: ["{side}:/srv/side", "{common}:/srv/main/.git"]
"""


@pytest.mark.long
def test_an_agent_in_a_worktree_commits_there_and_reaches_no_other(desk: Desk, engine: str):
    """Of two engines, either could lose a mount that lies in another one."""
    main, side, other = (desk.home / name for name in ("main", "side", "other"))
    make_repository(main)
    who = ("-c", "user.name=a", "-c", "user.email=a@b.test")
    _git(main, *who, "commit", "-q", "--allow-empty", "-m", "one")
    for path in (side, other):
        _git(main, "worktree", "add", "-q", str(path))
    (side / ".git").write_text("gitdir: ../main/.git/worktrees/side\n")  # here and inside
    subprocess.run(["chown", "-R", "1000", main, side, other], check=True)
    common = main / ".git"
    project = desk.project(WORKTREE.format(engine=engine, side=side, common=common))
    there = ("-C", str(project))
    desk.companion(*there, "up", "--yes").ok()
    try:

        def tries(command: str) -> bool:
            words = ("exec", "coder", "--", "bash", "-c", f"cd /srv/side && {command}")
            return desk.companion(*there, *words).code == 0

        assert tries(
            "echo a >a && git add a && git commit -qm side && git status && git rebase main"
        )
        assert _git(side, "log", "-1", "--format=%an %s") == "Ada side"
        for place in ("config", "commondir", "worktrees/other/commondir", "worktrees/other/HEAD",
                      "worktrees/side/commondir", "worktrees/side/gitdir", "hooks/x"):  # fmt: skip
            assert not tries(f"echo evil >>/srv/main/.git/{place}"), place
        for attack in (
            "rm -rf .git",
            "echo evil >>.git",
            "mv /srv/main/.git/worktrees /srv/main/.git/w",
        ):
            assert not tries(attack), attack
        assert _git(other, "status", "--porcelain") == _git(side, "status", "--porcelain") == ""
        _git(main, "config", "user.name", "a change on the desktop drops the mount")
        found = {
            one["attack"]: one
            for one in desk.companion(*there, "audit", "coder", "--json").data["findings"]
        }
        assert "/srv/main/.git/config: replaced" in found["a mount that is gone"]["detail"]
        desk.companion(*there, "restart").ok()
        assert not tries("echo evil >>/srv/main/.git/config")
    finally:
        desk.companion(*there, "down", "--volumes")
    assert not (common / "commondir").exists()


def _obeyed(directory: Path) -> dict[str, object]:
    names = ("config", "config.worktree", "commondir", "hooks", "worktrees", "remotes", "branches")
    found = {name: directory / name for name in names}
    return {
        name: sorted(path.iterdir()) if path.is_dir() else path.read_bytes()
        for name, path in found.items()
    }


def _git(directory: Path, *words: str) -> str:
    argv = ["git", "-c", "safe.directory=*", "-C", str(directory), *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
