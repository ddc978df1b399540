"""What of a mounted repository stays read-only, computed from real repositories."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from companion.errors import CompanionError
from companion.project.record import ConfigSummary
from companion.reconcile import git_facts
from companion.sandbox import repositories
from companion.sandbox.repositories import GitFacts
from companion.spec.containers import Files, HostPath
from companion.system import worktrees

QUIET = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(where: Path, *words: str) -> str:
    argv = ("git", "-C", str(where), *words)
    done = subprocess.run(argv, env=os.environ | QUIET, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    top = tmp_path / "app"
    git(tmp_path, "init", "-q", str(top))
    git(top, "commit", "-q", "--allow-empty", "-m", "one")
    return top


def mounts(*mounted: tuple[str, Path]) -> dict[str, str]:
    """Return target → `rw PATH`, `ro PATH` or `ours` of what protects mounted directories."""
    every = [(target, facts) for target, path in mounted if (facts := git_facts.find(path))]
    return {
        bind.target: f"{'ro' if bind.read_only else 'rw'} {bind.source.path}"
        if isinstance(bind.source, HostPath)
        else "ours"
        for bind in repositories.binds(every)
        if isinstance(bind.source, HostPath) or (isinstance(bind.source, Files) and bind.read_only)
    }


def test_a_repository_keeps_what_git_obeys_and_cannot_be_exchanged(repository: Path):
    inner = repository / ".git"
    assert mounts(("/w", repository)) == {
        "/w/.git": f"rw {inner}",
        "/w/.git/config": "ours",
        "/w/.git/config.worktree": "ours",
        "/w/.git/commondir": "ours",
        "/w/.git/hooks": f"ro {inner}/hooks",
        "/w/.git/worktrees": f"ro {inner}/worktrees",
        "/w/.git/remotes": f"ro {inner}/remotes",
        "/w/.git/branches": f"ro {inner}/branches",
    }


def test_a_repository_that_an_agent_took_apart_is_protected_all_the_same(
    repository: Path, tmp_path: Path
):
    """Git would not take it for one, but the agent can complete it again."""
    common, bare = repository / ".git", tmp_path / "bare"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    before = mounts(("/w", repository)), mounts(("/w", common))
    for name in ("HEAD", "refs", "objects"):
        for place in (common, bare):
            (place / name).rename(place / f"{name}.old")
        assert (mounts(("/w", repository)), mounts(("/w", common))) == before, name
    facts = git_facts.find_again(bare, [str(bare)])
    assert facts
    assert "was a repository when it was last mounted" in facts.obstacle
    assert not git_facts.find_again(tmp_path, [str(bare)])


def test_two_agents_that_start_at_once_for_the_first_time_may_share_a_repository():
    """What another one sees while this one starts: nothing of it runs that has other mounts."""
    now = ConfigSummary(writes=("/w",), holds=("/w/.git",))
    assert now.joined(ConfigSummary()).holds == now.holds
    assert not now.joined(ConfigSummary(writes=("/w",))).holds


@pytest.mark.parametrize("remember", [True, False])
def test_a_second_repository_hides_none(repository: Path, tmp_path: Path, *, remember: bool):
    bare, known = tmp_path / "bare", []
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(bare, "--git-dir", str(bare / ".git"), "init", "-q", "--bare")
    git(repository / ".git", "--git-dir", str(repository / ".git/.git"), "init", "-q", "--bare")
    shutil.copy(repository / ".git/HEAD", repository)
    for name in ("refs", "objects"):
        (repository / name).mkdir()
    if remember:
        (bare / "HEAD").unlink()
        known = [str(bare)]
    for place in (bare, repository, repository / ".git"):
        facts = git_facts.find_again(place, known)
        assert facts
        assert facts.obstacle, place


def test_a_worktree_changes_nothing_of_its_repository_but_what_is_its_own(
    repository: Path, tmp_path: Path
):
    git(repository, "worktree", "add", "-q", str(tmp_path / "side"))
    git(repository, "worktree", "add", "-q", str(tmp_path / "other"))
    common = repository / ".git"
    found = mounts(("/side", tmp_path / "side"), (str(common), common))
    assert found["/side/.git"] == "ours"
    assert found[f"{common}/worktrees"] == f"ro {common}/worktrees"
    assert found[f"{common}/worktrees/side"] == f"rw {common}/worktrees/side"
    assert found[f"{common}/config"] == found[f"{common}/worktrees/side/commondir"] == "ours"
    assert found[f"{common}/worktrees/side/gitdir"] == "ours"
    assert str(common) not in found
    assert not any("other" in target for target in found)


def test_no_place_is_opened_because_a_file_leads_there(repository: Path, tmp_path: Path):
    """Whoever writes a `.git` file chooses where it leads."""
    victim = tmp_path / "victim/.git/worktrees/x"
    victim.mkdir(parents=True)
    for name in ("commondir", "gitdir"):
        (victim / name).write_text("../..\n")
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap/.git").write_text(f"gitdir: {victim}\n")
    found = mounts(("/trap", tmp_path / "trap"), ("/w", repository))
    assert found["/trap/.git"] == "ours"
    assert not any("victim" in source for source in found.values())


def test_what_protects_a_repository_means_nothing_to_git_and_goes_without_a_trace(
    repository: Path, tmp_path: Path
):
    inner = repository / ".git"
    (inner / "hooks").rename(inner / "samples")
    before, status = {*inner.iterdir()}, git(repository, "status")
    facts = git_facts.find(repository)
    assert facts
    git_facts.make_mount_points(facts)
    assert git_facts.find(repository) == facts
    assert git(repository, "status") == status
    assert git(repository, "rev-parse", "--path-format=absolute", "--git-common-dir") == str(inner)
    git(repository, "worktree", "add", "-q", str(tmp_path / "side"))
    git(tmp_path / "side", "commit", "-q", "--allow-empty", "-m", "two")
    git(repository, "merge", "-q", "side")
    git(repository, "gc", "-q")
    git(repository, "worktree", "remove", str(tmp_path / "side"))
    git(repository, "fsck")
    git_facts.remove_mount_points([str(repository)], [str(inner)])
    assert (inner / "commondir").exists(), "a sandbox of a worktree is still protected by it"
    git_facts.remove_mount_points([str(repository)])
    left = {"ORIG_HEAD", "packed-refs", "gc.log", "hooks", "info", "COMMIT_EDITMSG"}
    assert {path.name for path in {*inner.iterdir()} - before} <= left


def _linked_git(top: Path) -> None:
    (top / ".git").rename(top / "real")
    (top / ".git").symlink_to("real")


def _linked_config(top: Path) -> None:
    (top / ".git/config").unlink()
    (top / ".git/config").symlink_to("/etc/passwd")


def _linked_hooks(top: Path) -> None:
    (top / ".git/hooks").rename(top / "hooks")
    (top / ".git/hooks").symlink_to(top / "hooks")


def _pipe(top: Path) -> None:
    os.mkfifo(top / ".git/config.worktree")


def _no_path(top: Path) -> None:
    shutil.rmtree(top / ".git")
    (top / ".git").write_bytes(b"gitdir: a\0b\n")


def _linked_remotes(top: Path) -> None:
    (top / ".git/remotes").symlink_to(top)


def _other_common(top: Path) -> None:
    (top / ".git/commondir").write_text("../evil\n")


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        (_linked_git, "has a .git that is a symbolic link"),
        (_linked_config, "has a .git/config that is no plain file"),
        (_linked_hooks, "has a .git/hooks that is no plain file"),
        (_pipe, "has a .git/config.worktree that is no plain file"),
        (_linked_remotes, "has a .git/remotes that is no plain file or directory"),
        (_no_path, "has a .git that cannot be read"),
        (_other_common, "has a .git/commondir, by which git obeys another directory"),
    ],
)
def test_a_repository_that_was_tampered_with_is_not_mounted(attack, reason: str, repository: Path):
    attack(repository)
    facts = git_facts.find(repository)
    assert isinstance(facts, GitFacts)
    assert reason in facts.obstacle


@pytest.mark.parametrize("named", ["absolute", "relative"])
def test_a_worktree_leads_to_its_repository_wherever_that_is_inside(repository: Path, named: str):
    tree = repository.with_name("tree")
    git(repository, "worktree", "add", "-q", "--detach", str(tree))
    if named == "relative":
        (tree / ".git").write_text("gitdir: ../app/.git/worktrees/tree\n")
    places = (("/h/tree", tree), ("/h/app/.git", repository / ".git"))
    mounted = [(target, facts) for target, path in places if (facts := git_facts.find(path))]
    inside = {"absolute": "/h/app", "relative": "../app"}[named]
    wanted = f"gitdir: {inside}/.git/worktrees/tree\n".encode()
    assert wanted in [file.content for file in repositories.files(mounted)]
    assert list(repositories.misled(mounted)) == ["/h/tree"] * (named == "absolute")
    same = [(str(path), facts) for _, path in places if (facts := git_facts.find(path))]
    assert not list(repositories.misled(same)), "there, a copy works"


def test_a_worktree_whose_paths_are_relative_is_known(repository: Path):
    tree = repository.with_name("tree")
    git(repository, "worktree", "add", "-q", "--detach", str(tree))
    (tree / ".git").write_text("gitdir: ../app/.git/worktrees/tree\n")
    (repository / ".git/worktrees/tree/gitdir").write_text("../../../../tree/.git\n")
    assert worktrees.common_directory(tree) == repository / ".git"
    (repository / ".git/worktrees/tree/gitdir").write_text("../../../../other/.git\n")
    with pytest.raises(CompanionError, match="is no work tree of a repository here"):
        worktrees.common_directory(tree)


@pytest.mark.parametrize(
    ("path", "is_fixed"),
    [
        ("/r/.git", True), ("/r/.git/hooks", True), ("/r/.git/worktrees/tree", True),
        ("/r", False), ("/r/.git/config", False), ("/r/.git/objects", False),
        ("/r/.git/hooks/pre-commit", False), ("/r/.git/worktrees/tree/gitdir", False),
        ("/other/.git", False), ("/other/.git/hooks", False), ("/r/.git2", False),
    ],
)  # fmt: skip
def test_what_an_agent_cannot_exchange_is_a_mount_point_in_its_sandbox(
    path: str, *, is_fixed: bool
):
    assert repositories.is_fixed(path, ["/q/.git", "/r/.git"]) is is_fixed
    assert not repositories.is_fixed(path, [])
