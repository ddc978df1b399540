"""Does a file's text come with a checkout? Asked of repositories that try to run something."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from companion.system.git import committed

LOCAL = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com",
}
OURS = "name: ours\n"
THEIRS = "name: theirs\n"


def git(where: Path, *words: str, check: bool = True) -> str:
    argv = ("git", "-C", str(where), *words)
    done = subprocess.run(argv, env={**os.environ, **LOCAL}, capture_output=True, check=check)
    return done.stdout.decode().strip()


def save(path: Path, text: str) -> None:
    """Save as a user does later than git: with another time and another size."""
    path.write_text(text)
    os.utime(path, (1, 1))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a repository whose project lies in a directory of it."""
    origin = tmp_path / "origin"
    (origin / "p").mkdir(parents=True)
    git(origin, "init", "-q", "-b", "main")
    (origin / "p" / "agent.yaml").write_text(THEIRS)
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "one")
    git(tmp_path, "clone", "-q", str(origin), "clone")
    return tmp_path / "clone"


def _edited(clone: Path) -> Path:
    save(clone / "p" / "agent.yaml", OURS)
    return clone / "p" / "agent.yaml"


def _untracked(clone: Path) -> Path:
    (clone / "fleet.yaml").write_text(OURS)
    return clone / "fleet.yaml"


def _nowhere(clone: Path) -> Path:
    (clone.parent / "agent.yaml").write_text(OURS)
    return clone.parent / "agent.yaml"


def _as_cloned(clone: Path) -> Path:
    return clone / "p" / "agent.yaml"


def _edited_and_taken_back(clone: Path) -> Path:
    save(clone / "p" / "agent.yaml", THEIRS)
    return clone / "p" / "agent.yaml"


def _other_line_ends(clone: Path) -> Path:
    save(clone / "p" / "agent.yaml", THEIRS.replace("\n", "\r\n"))
    return clone / "p" / "agent.yaml"


def _packed(clone: Path) -> Path:
    git(clone, "gc", "-q")
    return _edited_and_taken_back(clone)


def _index_lost(clone: Path) -> Path:
    (clone / ".git" / "index").unlink()
    return _edited_and_taken_back(clone)


def _converted(clone: Path) -> Path:
    """What git writes is not what git keeps, as with LFS."""
    (clone / ".gitattributes").write_text("agent.yaml filter=big ident\n")
    git(clone, "config", "filter.big.smudge", "sed s/theirs/converted/")
    git(clone, "config", "filter.big.clean", "sed s/converted/theirs/")
    (clone / "p" / "agent.yaml").unlink()
    git(clone, "checkout", "-q", "--", "p")
    assert "converted" in (clone / "p" / "agent.yaml").read_text()
    return clone / "p" / "agent.yaml"


def _git_at_work(clone: Path) -> Path:
    """Git writes the files, and only then its index and HEAD."""
    (clone / ".git" / "index.lock").touch()
    return _edited(clone)


def _head_not_yet_moved(clone: Path) -> Path:
    path = _edited(clone)
    git(clone, "add", "p")
    os.utime(path, (2, 2))
    return path


def _second_work_tree(clone: Path) -> Path:
    git(clone, "worktree", "add", "-q", "../tree")
    save(clone.parent / "tree" / "p" / "agent.yaml", THEIRS)
    return clone.parent / "tree" / "p" / "agent.yaml"


def _link_to_a_tracked_file(clone: Path) -> Path:
    (clone / "agent.yaml").symlink_to("p/agent.yaml")
    return clone / "agent.yaml"


def _by_a_link_to_the_directory(clone: Path) -> Path:
    (clone.parent / "short").symlink_to(clone / "p")
    return _edited_and_taken_back(clone).parent.parent.parent / "short" / "agent.yaml"


def _name_that_is_not_utf8(clone: Path) -> Path:
    odd = clone / os.fsdecode(b"caf\xe9")
    (clone / "p").rename(odd)
    git(clone, "add", ".")
    (odd / "agent.yaml").write_text("x")
    os.utime(odd / "agent.yaml", (2, 2))
    (odd / "agent.yaml").write_text(THEIRS)
    return odd / "agent.yaml"


def _index_is_a_pipe(clone: Path) -> Path:
    (clone / ".git" / "index").unlink()
    os.mkfifo(clone / ".git" / "index")
    return _edited(clone)


def _damaged(clone: Path) -> Path:
    (clone / ".git" / "index").write_bytes(b"DIRC\0\0")
    return _edited(clone)


def _unknown_storage(clone: Path) -> Path:
    (clone / ".git" / "HEAD").write_text("ref: refs/heads/.invalid\n")
    return _edited(clone)


def _other_system(clone: Path) -> Path:
    (clone / ".jj").mkdir()
    return _edited(clone)


@pytest.mark.parametrize(
    ("situation", "answer"),
    [(one, False) for one in (_edited, _untracked, _nowhere)]
    + [
        (one, True)
        for one in (
            _as_cloned, _edited_and_taken_back, _other_line_ends, _packed, _index_lost, _converted,
            _git_at_work, _head_not_yet_moved, _second_work_tree, _link_to_a_tracked_file,
            _by_a_link_to_the_directory, _name_that_is_not_utf8, _index_is_a_pipe, _damaged,
            _unknown_storage, _other_system,
        )
    ],
)  # fmt: skip
def test_only_a_text_that_git_did_not_write_is_the_users_own(
    situation: Callable[[Path], Path], answer: bool, clone: Path
) -> None:
    assert committed(situation(clone)) is answer


def test_without_git_a_text_in_a_repository_may_be_anyones(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _edited(clone)
    monkeypatch.setenv("PATH", "")
    assert committed(path)


@pytest.fixture
def hostile(clone: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A clone that runs a program on every occasion that git knows, and where that shows."""
    proof, program = tmp_path / "proof", tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho \"$0 $*\" >>'{proof}'\ncat\n")
    program.chmod(0o755)
    hooks = clone / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "pre-commit"):
        shutil.copy(program, hooks / name)
    (clone / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    (clone / "included").write_text(f"[core]\n\tfsmonitor = {program}\n")
    for key, value in (
        ("core.fsmonitor", program), ("core.hooksPath", hooks), ("core.pager", program),
        ("core.sshCommand", program), ("core.gitProxy", program), ("core.editor", program),
        ("core.askPass", program), ("core.attributesFile", clone / ".gitattributes"),
        ("core.alternateRefsCommand", program), ("core.worktree", clone),
        ("credential.helper", program), ("diff.external", program), ("diff.evil.textconv", program),
        ("diff.evil.command", program), ("filter.evil.clean", program),
        ("filter.evil.smudge", program), ("filter.evil.process", program),
        ("filter.evil.required", "true"), ("gpg.program", program), ("log.showSignature", "true"),
        ("alias.ls-files", f"!{program}"), ("alias.ls-tree", f"!{program}"),
        ("include.path", clone / "included"), ("pager.ls-files", program),
        ("remote.evil.url", "ssh://evil/x"), ("remote.evil.uploadpack", program),
        ("remote.evil.promisor", "true"), ("extensions.partialClone", "evil"),
        ("uploadpack.packObjectsHook", program), ("trace2.normalTarget", proof),
    ):  # fmt: skip
        git(clone, "config", key, str(value))
    proof.unlink(missing_ok=True)
    return clone, proof


def _lose_objects(clone: Path) -> None:
    """Leave it to the promised remote to have them, so that git wants to fetch."""
    for place in (clone / ".git" / "objects").glob("??"):
        shutil.rmtree(place)
    shutil.rmtree(clone / ".git" / "objects" / "pack")


def test_nothing_that_a_repository_names_is_run(
    hostile: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clone, proof = hostile
    path, program = clone / "p" / "agent.yaml", str(tmp_path / "program")
    git(clone, "diff", "HEAD", "--", "p", check=False)
    assert proof.exists(), "control: git itself runs what this repository names"
    proof.unlink()
    monkeypatch.setenv("GIT_DIR", str(clone / ".git"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", program)
    monkeypatch.setenv("GIT_TRACE", str(proof))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", program)
    before = _contents(clone)
    assert committed(path)
    save(path, OURS)
    assert not committed(path)
    save(path, THEIRS)
    assert committed(path)
    assert not proof.exists(), proof.read_text()
    assert _contents(clone) == before
    _lose_objects(clone)
    save(path, OURS)
    assert committed(path), "what cannot be told is not the user's own"
    assert not proof.exists(), proof.read_text()


def _contents(clone: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for path in sorted((clone / ".git").rglob("*"))
        if stat.S_ISREG(path.stat().st_mode)
    }
