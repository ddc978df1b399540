"""companion cp: files go in and come out whole, and what comes out stays where it was put."""

import subprocess
from pathlib import Path

import pytest
from desk import COMPANION
from sandboxes import Box

pytestmark = pytest.mark.engine


def test_files_and_directories_go_in_and_come_out(box: Box, tmp_path: Path):
    tree = tmp_path / "some tree"
    (tree / "deep/er").mkdir(parents=True)
    (tree / "run.sh").write_text("#!/bin/sh\n")
    (tree / "run.sh").chmod(0o4755)
    (tree / "deep/er/-x 'y'\n").write_bytes(bytes(range(256)) * 4096)
    (tree / "link").symlink_to("deep/er")
    (tree / "secret").symlink_to("/etc/hostname")
    inside = box.companion("cp", str(tree), "coder:").ok().out.strip()
    assert inside == "/home/agent/some tree"
    assert box.run(f"stat -c %a '{inside}/run.sh'") == "755"
    assert box.run(f"readlink '{inside}/secret'") == "/etc/hostname"
    done = box.companion("cp", ":some tree", str(tmp_path / "back"))
    assert done.ok().out.strip() == str(tmp_path / "back")
    assert "left out 1 name: './secret'" in done.err
    same = ["diff", "-r", "--no-dereference", "--exclude=secret", tree, tmp_path / "back"]
    subprocess.run(same, check=True)
    again = box.companion("cp", "coder:some tree", str(tmp_path / "back/deep"))
    assert again.ok().out.strip() == str(tmp_path / "back/deep/some tree")
    box.run(f"rm -rf '{inside}'")


def test_a_directory_that_is_there_takes_what_comes_and_keeps_the_rest(box: Box, tmp_path: Path):
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/new").write_text("new")
    (tmp_path / "tree/both").write_text("mine\n")
    box.run("mkdir -p to/tree/deep && touch to/tree/deep/old && ln -s / to/l")
    for source, target in (("tree", "to"), ("tree/", "to/"), ("tree/.", "to/tree")):
        told = box.companion("cp", "-r", f"{tmp_path}/{source}", f"coder:{target}")
        assert told.ok().out.strip() == "/home/agent/to/tree"
    assert box.run("cd to/tree; cat both; ls -A deep; ls -A") == "mine\nnew\nold\nboth\ndeep"
    file = str(tmp_path / "tree/both")
    assert box.companion("cp", file, "coder:to/").ok().out.strip() == "/home/agent/to/both"
    missing = box.companion("cp", file, "coder:absent/").problems
    assert missing == ["there is no directory for absent/; create it first"]
    (tmp_path / "back/to").mkdir(parents=True)
    (tmp_path / "back/to/kept").write_text("kept")
    (tmp_path / "back/to/tree").write_text("no directory")
    box.run("git init -q to")
    clash = box.companion("cp", "coder:to", str(tmp_path / "back"))
    assert clash.problems[0].startswith(f"cannot write {tmp_path}/back/to/tree: it is no directory")
    assert sorted(p.name for p in (tmp_path / "back/to").iterdir()) == ["kept", "tree"]
    (tmp_path / "back/to/tree").unlink()
    done = box.companion("cp", "coder:to/.", str(tmp_path / "back/to")).ok()
    assert "left out 2 names: './l', './.git'" in done.err
    names = sorted(p.name for p in (tmp_path / "back/to").iterdir())
    assert names == ["both", "kept", "tree"]
    assert "create it first" in box.companion("cp", "coder:to/both", "absent/").problems[0]
    box.run("rm -rf to")


def test_the_desktops_git_runs_nothing_of_a_repository_that_came_out(box: Box, tmp_path: Path):
    trace = tmp_path / "trace"
    hook = "printf '#!/bin/sh\\n' >mine/.git/hooks/pre-commit && chmod +x mine/.git/hooks/*"
    box.run(f"git init -q mine && {hook} && git -C mine config core.fsmonitor 'touch {trace}; :'")
    place = tmp_path / "mine"
    done = box.companion("cp", "coder:mine", str(place)).ok()
    assert f"{place}/.git/config is renamed to config.disabled: git obeys core.fsmo" in done.err
    assert f"{place}/.git/hooks/pre-commit is renamed to pre-commit.disabled" in done.err
    status = ["git", "-c", "safe.directory=*", "-C", place, "status"]
    subprocess.run(status, check=True, capture_output=True)
    assert not trace.exists()
    (place / ".git/config.disabled").rename(place / ".git/config")
    subprocess.run(status, check=True, capture_output=True)
    assert trace.exists(), "it is no danger"
    bare = tmp_path / "bare"
    for name in ("objects", "refs"):
        (bare / name).mkdir(parents=True)
    box.run("echo ref: refs/heads/x >mine/HEAD")
    (problem,) = box.companion("cp", "coder:mine/HEAD", str(bare)).problems
    assert f"git would take {bare} for a repository, and obey HEAD in it" in problem
    assert sorted(path.name for path in bare.iterdir()) == ["objects", "refs"]
    (bare / ".git").write_text("gitdir: elsewhere\n")
    (problem,) = box.companion("cp", "coder:mine/HEAD", str(bare / ".git")).problems
    assert f"the repository of {bare} where .git says" in problem
    assert (bare / ".git").read_text() == "gitdir: elsewhere\n"
    box.run("rm -rf mine")


def test_a_slow_reader_gets_everything(box: Box, tmp_path: Path):
    """Docker forgets what was not read two seconds after the program's end."""
    sizes = [1_310_000 + 45_000 * number for number in range(3)]
    for size in sizes:
        box.run(f"mkdir d{size} && head -c {size} /dev/zero > d{size}/zeros")
    slow = "inject=mkdirat:delay_enter=3000000:when=2"
    argv = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=mkdirat", "-e", slow, COMPANION]
    started = [
        subprocess.Popen(
            [*argv, "-C", box.project, "cp", f"coder:d{size}", tmp_path / str(size)],
            env=box.desk.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for size in sizes
    ]  # fmt: skip
    said = [one.communicate()[0] for one in started]
    assert [one.returncode for one in started] == [0, 0, 0], said
    assert [(tmp_path / str(size) / "zeros").stat().st_size for size in sizes] == sizes
    box.run("rm -r d1*")


def test_a_file_is_replaced_as_a_whole_and_never_through_a_link(box: Box, tmp_path: Path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to("mine")
    box.run("echo one > new; ln -sf new alias")
    assert box.companion("cp", "coder:alias", str(tmp_path / "link")).ok().out
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "link").read_text() == "one\n"
    assert not (tmp_path / "link").is_symlink()
    path = box.companion("cp", str(tmp_path / "link"), ":~/renamed", "--json").ok().data["path"]
    assert path == "/home/agent/renamed"
    assert box.run("cat renamed; ls -A | grep companion-cp || true") == "one"
    assert (
        box.companion("cp", "coder:absent", str(tmp_path))
        .problems[0]
        .startswith("there is no absent in coder")
    )
    missing = box.companion("cp", str(tmp_path / "mine"), ":absent/mine").problems
    assert missing == ["there is no directory for absent/mine; create it first"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "mine"]
    box.run("rm new alias renamed")


def test_what_is_no_file_inside_stays_there(box: Box, tmp_path: Path):
    """Forged archives are tried in tests/laws/test_unpack.py."""
    box.run("mkdir forged && ln -s /etc forged/etc && mkfifo forged/pipe && touch forged/file")
    done = box.companion("cp", "coder:forged", str(tmp_path)).ok()
    assert sorted(p.name for p in (tmp_path / "forged").iterdir()) == ["file"]
    assert "left out 2 names" in done.err
    box.run("rm -r forged")


def test_a_link_that_an_agent_could_make_on_the_desktop_is_not_followed(box: Box, tmp_path: Path):
    (tmp_path / "private").mkdir()
    (tmp_path / "private/key").write_text("a secret")
    box.run("touch file")
    for link in ("work/out", "work/key"):
        (box.project / link).unlink(missing_ok=True)
    (box.project / "work/out").symlink_to(tmp_path / "private")
    (box.project / "work/key").symlink_to(tmp_path / "private/key")
    tries = (
        ("coder:file", str(box.project / "work/out")),
        ("coder:file", str(box.project / "work/out/key")),
        (str(box.project / "work/out/key"), "coder:stolen"),
        (str(box.project / "work/key"), "coder:stolen"),
    )
    for argv in tries:
        assert "an agent may have made" in box.companion("cp", *argv).problems[0]
    assert (tmp_path / "private/key").read_text() == "a secret"
    assert box.ssh("test -e stolen").code == 1
    box.run("rm file")
    for link in ("work/out", "work/key"):
        (box.project / link).unlink()
