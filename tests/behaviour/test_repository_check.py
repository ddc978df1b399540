"""What an agent may leave in a repository for git on the desktop: each seen to work, then found."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import Desk
from fake_project import fresh

from companion.operations.disarming import disarm
from companion.operations.repository_check import dangers
from companion.reconcile import git_baseline
from companion.reconcile.git_baseline import Known
from companion.reconcile.git_obeys import Effort
from companion.system import merge
from companion.system.git import committed, recorded

QUIET = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_EDITOR": "true",
    **{f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(where: Path, *words: str, check: bool = True) -> str:
    argv = ("git", "-c", "protocol.file.allow=always", "-C", str(where), *words)
    done = subprocess.run(argv, env=os.environ | QUIET, capture_output=True, text=True, check=check)
    return done.stdout.strip()


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with a submodule, such as many are."""
    library, made = tmp_path / "library", tmp_path / "app"
    for path in (library, made):
        git(tmp_path, "init", "-q", "-b", "main", str(path))
        git(path, "commit", "-q", "--allow-empty", "-m", "one")
    git(made, "submodule", "--quiet", "add", str(library), "library")
    git(made, "config", "remote.origin.url", "https://example.test/app.git")
    (made / "file").write_text("text\n")
    git(made, "add", ".")
    git(made, "commit", "-qm", "two")
    return made


def _script(top: Path) -> str:
    """Return a command that leaves a trace outside of the repository."""
    path = top / "evil.sh"
    path.write_text(f"#!/bin/sh\ntouch {top.parent}/trace\n")
    path.chmod(0o755)
    return str(path)


def _inner_repository(top: Path) -> list[str]:
    inner = top / "inner"
    git(top, "init", "-q", str(inner))
    git(inner, "commit", "-q", "--allow-empty", "-m", "x")
    git(top, "add", "inner")
    git(inner, "config", "core.fsmonitor", _script(top))
    return ["status"]


def _new_repository(top: Path) -> list[str]:
    """An editor asks it for its status by itself."""
    git(top, "init", "-q", str(top / "deep/down"))
    git(top / "deep/down", "config", "core.fsmonitor", _script(top))
    return ["-C", "deep/down", "status"]


def _inner_hook(top: Path) -> list[str]:
    _inner_repository(top)
    inner = top / "inner"
    git(inner, "config", "--unset", "core.fsmonitor")
    (inner / "f").write_text("1")
    git(inner, "add", "f")
    (inner / ".git/hooks/post-index-change").write_text((top / "evil.sh").read_text())
    (inner / ".git/hooks/post-index-change").chmod(0o755)
    os.utime(inner / "f", (1, 1))
    return ["status"]


def _exchanged_submodule(top: Path) -> list[str]:
    (top / "library").rename(top / "old")
    git(top, "clone", "-q", str(top.parent / "library"), str(top / "library"))
    git(top / "library", "config", "core.fsmonitor", _script(top))
    return ["status"]


def _obeys_elsewhere(top: Path) -> list[str]:
    _exchanged_submodule(top)
    inner = top / "library/.git"
    evil = top / "evil"
    inner.rename(evil)
    inner.mkdir()
    for name in ("HEAD", "index"):
        (inner / name).write_bytes((evil / name).read_bytes())
    (inner / "commondir").write_text("../../evil\n")
    return ["status"]


def _repository_without_a_git(top: Path) -> list[str]:
    """A shell's prompt asks it for its status as soon as the user is there."""
    inner = top / "src"
    for name in ("objects", "refs"):
        (inner / name).mkdir(parents=True)
    (inner / "HEAD").write_text("ref: refs/heads/main\n")
    settings = f"bare = false\nworktree = .\nfsmonitor = {_script(top)}\n"
    (inner / "config").write_text(f"[core]\nrepositoryformatversion = 0\n{settings}")
    return ["-C", "src", "status"]


def _files_of_another_directory(top: Path) -> list[str]:
    """Its own index decides what is written there."""
    git(top, "init", "-q", "inner")
    inner = top / "inner"
    (inner / "trace").write_text("evil")
    git(inner, "add", "trace")
    git(inner, "config", "core.worktree", str(top.parent))
    return ["-C", "inner", "checkout", "-q", "--", ":/"]


def _command_of_a_remote(top: Path) -> list[str]:
    """Editors fetch by themselves."""
    git(top, "init", "-q", "inner")
    git(top / "inner", "config", "protocol.ext.allow", "always")
    git(top / "inner", "config", "remote.origin.url", f"ext::{_script(top)}")
    return ["-C", "inner", "fetch"]


def _update_of_a_submodule(top: Path) -> list[str]:
    inner = top / "inner"
    git(top, "clone", "-q", "--recurse-submodules", ".", str(inner))
    git(inner, "config", "submodule.library.update", f"!{_script(top)}")
    git(inner / "library", "commit", "-q", "--allow-empty", "-m", "another")
    return ["-C", "inner", "submodule", "update"]


def _submodule_that_is_not_checked_out(top: Path) -> list[str]:
    git(top, "submodule", "--quiet", "deinit", "-f", "library")
    hook = top / ".git/modules/library/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(Path(_script(top)).read_text())
    hook.chmod(0o755)
    return ["submodule", "--quiet", "update", "--init"]


def _unfinished_rebase(top: Path) -> list[str]:
    state = top / ".git/rebase-merge"
    git(top, "-c", "sequence.editor=echo break >", "rebase", "-qi", "HEAD~1", check=False)
    (state / "git-rebase-todo").write_text(f"exec {_script(top)}\n")
    return ["rebase", "--continue"]


def _link_in_a_log(top: Path) -> list[str]:
    log = top / ".git/logs/HEAD"
    log.unlink()
    log.symlink_to(top.parent / "trace")
    return ["commit", "-q", "--allow-empty", "-m", "mine"]


def _link_for_a_message(top: Path) -> list[str]:
    message = top / ".git/COMMIT_EDITMSG"
    message.unlink()
    message.symlink_to(top.parent / "trace")
    return ["commit", "-q", "--allow-empty", "-m", "mine"]


def _hooks_in_the_tree(top: Path) -> list[str]:
    """The user chose them; the agent writes them."""
    git(top, "config", "core.hooksPath", ".husky")
    (top / ".husky").mkdir()
    (top / ".husky/pre-commit").write_text(Path(_script(top)).read_text())
    (top / ".husky/pre-commit").chmod(0o755)
    return ["commit", "-q", "--allow-empty", "-m", "mine"]


def _old_remote(top: Path) -> list[str]:
    """A name in a file of its own, such as git had before it had a configuration."""
    git(top, "init", "-q", "--bare", str(top / "backup"))
    (top / "backup/hooks/pre-receive").write_text(Path(_script(top)).read_text())
    (top / "backup/hooks/pre-receive").chmod(0o755)
    (top / ".git/remotes").mkdir()
    (top / ".git/remotes/backup").write_text(f"URL: {top}/backup\nPush: HEAD:refs/heads/x\n")
    return ["push", "backup"]


def _old_branch(top: Path) -> list[str]:
    _old_remote(top)
    (top / ".git/remotes").rename(top / ".git/branches")
    (top / ".git/branches/backup").write_text(f"{top}/backup\n")
    return ["push", "backup", "HEAD"]


def _strategy_of_a_rebase(top: Path) -> list[str]:
    """A name of a strategy is a part of the name of a program, and may lead into the tree."""
    program = top / "git-merge-x/evil"
    program.parent.mkdir()
    shutil.copy(_script(top), program)
    git(top, "-c", "sequence.editor=echo break >", "rebase", "-qi", "HEAD~1", check=False)
    (top / ".git/rebase-merge/strategy").write_text("x/evil\n")
    (top / ".git/rebase-merge/git-rebase-todo").write_text("pick ORIG_HEAD\n")
    git(top, "reset", "-q", "--hard", "HEAD")
    git(top, "commit", "-q", "--allow-empty", "-m", "another")
    return ["rebase", "--continue"]


def _strategy_of_picks(top: Path) -> list[str]:
    program = top / "git-merge-x/evil"
    program.parent.mkdir()
    shutil.copy(_script(top), program)
    for text in ("a", "b"):
        (top / "file").write_text(text)
        git(top, "commit", "-qam", text)
    git(top, "checkout", "-q", "HEAD~2")
    git(top, "cherry-pick", "main", "main~1", check=False)
    git(top, "checkout", "-q", "HEAD", "file")
    (top / ".git/sequencer/opts").write_text("[options]\nstrategy = x/evil\n")
    return ["cherry-pick", "--skip"]


def _link_among_branches(top: Path) -> list[str]:
    """A fetch writes files that are called as on the server."""
    (top / ".git/refs/tags").rmdir()
    (top / ".git/refs/tags").symlink_to(top.parent)
    return ["tag", "trace"]


def _settings_in_the_tree(top: Path) -> list[str]:
    """The user includes them, as some teams do; the agent writes them."""
    git(top, "config", "include.path", "../.gitconfig")
    (top / ".gitconfig").write_text(f"[core]\nfsmonitor = {_script(top)}\n")
    return ["status"]


def _script_of_a_filter(top: Path) -> list[str]:
    _script(top)
    git(top, "config", "filter.tidy.clean", "/bin/sh evil.sh %f")
    (top / ".gitattributes").write_text("* filter=tidy\n")
    return ["add", "."]


ATTACKS = {
    _strategy_of_a_rebase: "continuing the rebase runs `git merge-x/evil`",
    _strategy_of_picks: "sequencer/opts: continuing runs `git merge-x/evil`",
    _link_among_branches: "refs/tags is a link: git writes to ",
    _settings_in_the_tree: ".gitconfig: git uses it (include.path), and the agent may change it",
    _script_of_a_filter: "evil.sh: git uses it (filter.tidy.clean), and the agent may change it",
    _inner_repository: "core.fsmonitor=",
    _new_repository: "core.fsmonitor=",
    _inner_hook: "post-index-change",
    _exchanged_submodule: "core.fsmonitor=",
    _obeys_elsewhere: "commondir: git obeys another directory",
    _repository_without_a_git: "src/config: git obeys core.fsmonitor=",
    _files_of_another_directory: "inner/.git/config: git obeys core.worktree=",
    _command_of_a_remote: "inner/.git/config: git obeys protocol.ext.allow=always",
    _update_of_a_submodule: "inner/.git/config: git obeys submodule.library.update=!",
    _submodule_that_is_not_checked_out: "modules/library/hooks/post-checkout: git may run it",
    _unfinished_rebase: "continuing the rebase runs `",
    _link_in_a_log: "logs/HEAD is a link: git writes to ",
    _link_for_a_message: "COMMIT_EDITMSG is a link: git writes to ",
    _old_remote: ".git/remotes/backup: `git push backup` and `git fetch backup` go where it says",
    _old_branch: ".git/branches/backup: `git push backup` and `git fetch backup` go where it says",
    _hooks_in_the_tree: ".husky: git uses it (core.hookspath), and the agent may change it",
}


BY_HAND = {
    _unfinished_rebase,
    _strategy_of_a_rebase,
    _strategy_of_picks,
    _link_in_a_log,
    _link_for_a_message,
    _link_among_branches,
}
"""Attacks that a copy keeps: links out of it stay inside, and you end a rebase yourself."""


@pytest.mark.parametrize(
    ("attack", "sign"), ATTACKS.items(), ids=lambda a: getattr(a, "__name__", "")
)
def test_what_git_would_run_is_found_and_not_run(
    attack: Callable[[Path], list[str]], sign: str, top: Path
):
    assert not [*dangers(top)]
    words, trace = attack(top), top.parent / "trace"
    trace.unlink(missing_ok=True)
    found = [*dangers(top)]
    committed(top / "file")
    recorded(top / "file")
    assert not trace.exists()
    assert [one for one in found if sign in one], found
    if attack not in BY_HAND:
        copy = top.with_name("copy")
        shutil.copytree(top, copy, symlinks=True)
        disarmed = disarm(copy)
        assert disarmed.is_whole
        git(copy, *words, check=False)
        assert not trace.exists(), disarmed.renamed
    git(top, *words, check=False)
    assert trace.exists(), "it is no danger"


def test_hooks_in_the_tree_of_a_worktree_are_the_agents_too(top: Path):
    git(top, "config", "core.hooksPath", ".husky")
    tree = top.with_name("tree")
    git(top, "worktree", "add", "-q", "--detach", str(tree))
    (tree / ".husky").mkdir()
    assert [*dangers(tree)] == [
        f"{tree}/.husky: git uses it (core.hookspath), and the agent may change it"
    ]


def _commit_in_place_of_another(top: Path) -> None:
    was = git(top, "commit-tree", "HEAD~1^{tree}", "-p", "HEAD~1", "-m", "two")
    git(top, "replace", "HEAD", was)


def _replacement_that_is_packed(top: Path) -> None:
    _commit_in_place_of_another(top)
    git(top, "pack-refs", "--all")
    shutil.rmtree(top / ".git/refs/replace", ignore_errors=True)


def _grafted_history(top: Path) -> None:
    (top / ".git/info/grafts").write_text(f"{git(top, 'rev-parse', 'HEAD')}\n")


def _file_that_is_assumed_unchanged(top: Path) -> None:
    git(top, "update-index", "--assume-unchanged", "file")


def _file_that_is_skipped(top: Path) -> None:
    git(top, "update-index", "--skip-worktree", "file")


HIDING = {
    _commit_in_place_of_another: "refs/replace: `git log` and `git diff` show other commits",
    _replacement_that_is_packed: "packed-refs: `git log` and `git diff` show other commits",
    _grafted_history: "info/grafts: `git log` and `git diff` show other commits",
    _file_that_is_assumed_unchanged: "`git status` and `git diff` show no change of file (assume-",
    _file_that_is_skipped: "index: `git status` and `git diff` show no change of file (assume-",
}


@pytest.mark.parametrize(
    ("attack", "sign"), HIDING.items(), ids=lambda a: getattr(a, "__name__", "")
)
def test_what_hides_an_agents_work_from_its_user_is_found(
    attack: Callable[[Path], None], sign: str, top: Path
):
    (top / "file").write_text("evil\n")
    seen = ("log", "-p", "--format=%H", "HEAD"), ("diff",)
    before = [git(top, *words) for words in seen]
    attack(top)
    assert [git(top, *words) for words in seen] != before, "it hides nothing"
    assert [one for one in dangers(top) if sign in one], [*dangers(top)]


@pytest.mark.parametrize("kind", ["named worktrees", "bare", "submodule"])
def test_a_repository_in_a_directory_called_worktrees_is_no_worktree(kind: str, top: Path):
    place = top.parent / "worktrees"
    if kind == "submodule":
        git(top, "submodule", "--quiet", "add", str(top.parent / "library"), "worktrees/app")
        place = top / "worktrees/app"
    elif kind == "bare":
        git(top, "clone", "-q", "--bare", str(top), str(place := place / "app"))
    else:
        top.rename(place)
    git(place, "config", "core.hooksPath", ".husky")
    (place / ".husky").mkdir()
    git(place, "replace", "HEAD", git(place, "commit-tree", "HEAD^{tree}", "-m", "other"))
    found = [*dangers(place)]
    for sign in (f"{place}/.husky: git uses it (core.hookspath)", "refs/replace: `git log`"):
        assert [one for one in found if sign in one], found


def test_a_worktree_is_no_danger_to_its_repository(top: Path):
    git(top, "worktree", "add", "-q", "--detach", str(top.with_name("tree")))
    own = top / ".git/worktrees/tree"
    assert [*dangers(top / ".git")] == []
    (own / "commondir").write_text("../../../src\n")
    assert [*dangers(top / ".git")] == [f"{own}/commondir: git obeys another directory"]


def test_a_copy_leads_to_no_repository_of_the_desktop(top: Path):
    copy = top.with_name("copy")
    (copy / "deep").mkdir(parents=True)
    (copy / "deep/.git").write_text(f"gitdir: {top}/.git\n")
    git(top, "config", "core.fsmonitor", _script(top))
    assert [*disarm(copy).renamed] == ["deep/.git"]
    assert (copy / "deep/.git.disabled").exists()
    assert "fsmonitor" in (top / ".git/config").read_text()


def test_a_repository_that_was_not_there_at_the_start_is_the_agents(top: Path, tmp_path: Path):
    git(top, "config", "core.sshCommand", "evil")
    assert not [*dangers(top)]
    (one,) = git_baseline.new(top, Known(is_mounted=True), Effort())
    assert str(one) == f"{top}/.git/config: git obeys core.sshcommand=evil"


def test_a_directory_without_a_repository_is_no_danger(tmp_path: Path):
    assert not [*dangers(tmp_path)]
    assert not [*dangers(tmp_path / "gone")]


def test_a_git_file_that_leads_nowhere_ends_no_command(desk: Desk, tmp_path: Path):
    fake, top = fresh(desk), tmp_path / "top"
    top.mkdir()
    mount = f'  - plugin: custom-runtime\n    runtime_volumes: ["{top}:/srv/app"]\n'
    with (fake.project / "agent.yaml").open("a") as config:
        config.write(mount)
    fake.companion("up", "--yes").ok()
    for text in (b"gitdir: /nonexistent\n", b"gitdir: a\0b\n", b"x" * 5000, b""):
        (top / ".git").write_bytes(text)
        assert desk.companion("doctor").code in {0, 1}, text
        fake.companion("down").ok()


def test_a_git_file_that_leads_to_a_repository_of_the_agents_hides_nothing(tmp_path: Path):
    (tmp_path / ".git").write_text("gitdir: evil\n")
    git(tmp_path, "init", "-q", "--bare", str(tmp_path / "evil"))
    git(tmp_path / "evil", "config", "core.fsmonitor", "evil")
    assert f"{tmp_path}/evil/config: git obeys core.fsmonitor=evil" in [*dangers(tmp_path)]


def test_what_is_too_much_to_look_at_is_said_and_not_waited_for(top: Path, tmp_path: Path):
    subprocess.run(("mkdir", "-p", tmp_path / "deep" / ("d/" * 1100)), check=True)
    try:
        assert not [*dangers(tmp_path / "deep")]
    finally:  # pytest could not remove it
        subprocess.run(("rm", "-rf", tmp_path / "deep/d"), check=True)
    for effort in (Effort(seconds=0), Effort(directories=0), Effort(repositories=0)):
        assert [one for one in dangers(top, effort=effort) if "not everything was looked at" in one]
    (tmp_path / "deep/.git").mkdir()
    (tmp_path / "deep/inner").mkdir()
    git(top, "init", "-q", str(tmp_path / "deep/inner"))
    for config in (tmp_path / "deep/.git/config", tmp_path / "deep/inner/.git/config"):
        config.write_bytes(b"[a]\n" + b"x=1\n" * (1 << 18))
    found = [*dangers(tmp_path / "deep")]
    assert len([one for one in found if one.endswith("config that cannot be read")]) == 1, found
    assert not [*dangers(top)]


@pytest.mark.parametrize(
    ("name", "text", "sign"),
    [
        ("sequencer/opts", "[options]\nstrategy = x/evil\n", "cannot be read: continuing may run"),
        ("rebase-merge/strategy", "x/evil\n", "cannot be read: continuing the rebase may run"),
        (
            "info/grafts",
            "1" * 40 + "\n",
            "info/grafts: `git log` and `git diff` show other commits",
        ),
        ("packed-refs", f"{'1' * 40} refs/replace/x\n", "packed-refs: `git log`"),
    ],
)
def test_a_long_file_hides_nothing(name: str, text: str, sign: str, top: Path):
    path = top / ".git" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("#\n" * (1 << 20) + text)
    assert [one for one in dangers(top) if sign in one], [*dangers(top)]
    os.truncate(path, 65 << 20)
    assert [one for one in dangers(top) if f"{path} cannot be read" in one]


def test_a_pipe_in_place_of_the_index_is_said(top: Path):
    (top / ".git/index").unlink()
    os.mkfifo(top / ".git/index")
    effort = Effort()
    assert [*dangers(top, effort=effort)] == [f"the index of {top} cannot be read"]
    assert not effort.is_spent


def test_git_gets_no_more_time_than_the_check(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    slow = tmp_path / "bin/git"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\nsleep 4\ntouch {tmp_path}/answered\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(slow.parent), prepend=os.pathsep)
    (found,) = dangers(top, effort=Effort(seconds=0.5))
    assert "not everything was looked at" in found
    assert not (tmp_path / "answered").exists()


def test_a_command_is_no_alarm_because_of_a_name_in_the_tree(top: Path):
    for name, value in (("alias.d", "diff src"), ("core.editor", "vim"), ("gpg.program", "vim")):
        git(top, "config", name, value)
    (top / "src").mkdir()
    (top / "vim").write_text("")
    assert not [*dangers(top)]
    git(top, "config", "core.editor", "./vim")
    assert len([*dangers(top)]) == 1
    git(top, "config", "core.editor", "sh vim")
    assert len([*dangers(top)]) == 1


def test_a_repository_that_an_agent_took_apart_is_not_mounted_again(desk: Desk, tmp_path: Path):
    """Else it would be completed while nothing protects it."""
    fake, bare = fresh(desk), tmp_path / "bare"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    mount = f'  - plugin: custom-runtime\n    runtime_volumes: ["{bare}:/srv/app"]\n'
    with (fake.project / "agent.yaml").open("a") as config:
        config.write(mount)
    fake.companion("up", "--yes").ok()
    (bare / "HEAD").unlink()
    for command in ("up", "down", "up"):
        done = fake.companion(command)
        assert done.code == (command == "up")
        assert "was a repository when it was last mounted, and is none any more" in done.err
    git(tmp_path, "init", "-q", "--bare", str(bare))
    fake.companion("up").ok()


def test_doctor_and_down_name_what_an_agent_left(desk: Desk, top: Path):
    fake = fresh(desk)
    mount = f'  - plugin: custom-runtime\n    runtime_volumes: ["{top}:/srv/app"]\n'
    with (fake.project / "agent.yaml").open("a") as config:
        config.write(mount)
    git(top, "config", "alias.old", "!mine")
    fake.companion("up", "--yes").ok()
    assert (top / ".git/commondir").read_text() == ".\n"
    _link_for_a_message(top)
    warned = [one["what"] for one in desk.companion("doctor", "--json").data]
    assert [one for one in warned if "COMMIT_EDITMSG is a link" in one]
    git(top, "config", "alias.new", "!evil")
    found = fake.companion("down").ok().err
    assert f"{top}/.git/config: git obeys alias.new, which is new" in found
    assert "alias.old" not in found
    assert "COMMIT_EDITMSG is a link" in fake.companion("down").ok().err
    assert not (top / ".git/commondir").exists()


def test_a_repository_is_hidden_from_a_copy_nowhere_below_git(top: Path):
    own = top / ".git/inner"
    shutil.copytree(top / ".git", own)
    kept = own / "worktrees/x"
    kept.mkdir(parents=True)
    (kept / "HEAD").write_text("ref: refs/heads/main\n")
    (kept / "commondir").write_text("../..\n")
    (top / "tree").mkdir()
    (top / "tree/.git").write_text(f"gitdir: {kept}\n")
    assert f"{kept}/commondir: git obeys another directory" in [*dangers(top)]


def test_two_copies_make_no_repository(tmp_path: Path):
    for name in ("out/data/HEAD", "there/data/config", "there/data/objects/x", "there/data/refs/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    parent, there = (os.open(tmp_path / name, os.O_RDONLY) for name in (".", "there"))
    assert merge.move(parent, "out", there) == ["./data/HEAD"]
    assert not (tmp_path / "there/data/HEAD").exists()
    os.close(parent)
    os.close(there)
