"""`companion run`: from a repository to a sandbox, and back."""

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from desk import COMPANION, RENAMES, SPAWNS, Desk, Done, killed_at, make_desk
from fake_project import Fake
from fake_sshd import answering_all

from companion.errors import CompanionError
from companion.operations import repository as repositories
from companion.operations import unfinished_runs

pytestmark = pytest.mark.timeout(300, func_only=True)  # not while it waits for its turn

OURS = ("-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "safe.directory=*")


@dataclass
class Repository:
    """A repository of a user who trusts nothing in advance, on the fake engine."""

    desk: Desk
    top: Path

    def run(self, *arguments: str, cwd: Path | None = None) -> Done:
        return self.desk.companion(*arguments, cwd=cwd or self.top)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run git as the user does, with all that the repository configures."""
        argv, where = ["git", *OURS, *arguments], cwd or self.top
        env = self.desk.environment
        done = subprocess.run(argv, cwd=where, env=env, capture_output=True, text=True, check=True)
        return done.stdout

    def commit(self, *, cwd: Path | None = None) -> None:
        self.git("add", "--all", cwd=cwd)
        self.git("commit", "--quiet", "--allow-empty", "--message=more", cwd=cwd)
        own(self.top.parent)

    def config(self, name: str) -> str:
        return (self.desk.home / ".config/companion/sandboxes" / name / "agent.yaml").read_text()

    @property
    def sandboxes(self) -> list[str]:
        where = self.desk.home / ".config/companion/sandboxes"
        return sorted(path.name for path in where.glob("*")) if where.exists() else []


def pieces(terminal: int) -> Iterator[str]:
    """Yield what is shown on a terminal that nobody writes to any more."""
    with suppress(OSError):
        while piece := os.read(terminal, 10_000):
            yield piece.decode()
    os.close(terminal)


def own(tree: Path) -> None:
    """Give a tree to the user that agents are: root's agents are an ordinary user."""
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "1000:1000", tree], check=True)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    desk = make_desk(tmp_path / "home", trusting=False)
    Fake(desk, desk.home)
    settings = "[user]\nname = Ada L.\nemail = ada@example.com\n"
    (desk.home / ".gitconfig").write_text(settings)
    top = desk.home / "code/app"
    top.mkdir(parents=True)
    (top / "package.json").write_text("{}")
    (top / ".gitignore").write_text(".env\n")
    made = Repository(desk, top)
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit()
    with answering_all(desk):
        yield made


def test_one_command_makes_a_sandbox_whose_config_says_what_it_was_inferred_from(repository):
    (repository.top / ".env").write_text("TOKEN=x\n")
    (repository.top / "api").mkdir()
    (repository.top / "api/go.mod").write_text("module x\n")
    repository.git("remote", "add", "origin", "git@github.com:ada/app.git")
    done = repository.run("run", "codex").ok()
    assert "app is running: codex in " in done.out
    assert f"companion run {repository.top}" in done.out
    assert "and see what git ignores there, too: .env." in done.err
    assert "reads and changes all files in" in done.err
    assert "codex has no credential for its model" in done.err
    assert "companion login app" in done.err
    text = repository.config("app")
    for line in (
        "name: app  # from the name of the directory",
        "runtime: codex  # as you named it",
        "- github  # because of .git/config",
        "- go  # because of api/go.mod",
        "- npm  # because of package.json",
        'name: "Ada L."',
        'email: "ada@example.com"',
        "# To let it push: `companion secret set GITHUB_TOKEN`, and without the '#':",
    ):
        assert line in text
    assert sorted(p.name for p in repository.top.iterdir()) == [
        ".env", ".git", ".gitignore", "api", "package.json"
    ]  # fmt: skip


def test_a_second_run_and_every_command_find_the_sandbox_from_inside(repository):
    repository.run("run", "codex").ok()
    inner = repository.top / "src"
    inner.mkdir()
    for command in ("run", "status", "plan", "exec -- true", "logs"):
        repository.run(*command.split(), cwd=inner).ok()
    assert repository.sandboxes == ["app"]
    assert repository.run("plan", "--json").ok().agent["change"] == "none"
    told = repository.run("run", "--json").ok().data
    assert (told["agent"], told["alias"]) == ("app", "app.sandbox")
    repository.run("down").ok()
    repository.run("run").ok()
    assert repository.run("status", "--json").ok().agent["state"] == "running"


def test_what_is_printed_leads_back_to_one_of_several_sandboxes_in_a_directory(repository):
    for agent, name in (("codex", "app"), ("claude", "app-claude")):
        told = repository.run("run", agent).ok().out
        assert f"{name} is running" in told
    command = shlex.split(told.rpartition("run `companion ")[2].partition("`")[0])
    assert repository.run(*command, "--json").ok().data["agent"] == "app-claude"


def saved(repository: Repository, old: str, new: str) -> None:
    config = repository.desk.home / ".config/companion/sandboxes/app/agent.yaml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))


def test_a_second_run_applies_what_was_edited_or_says_why_not_and_attaches(repository):
    repository.run("run", "codex").ok()
    saved(repository, "    - npm ", "    - pypi\n    - npm ")
    repository.run("run").ok()
    assert repository.run("plan", "--json").ok().agent["change"] == "none"
    more, wrong = 'mode: listed\n  allow: ["*.example.com"]', "mode: lsited"
    for new, why in ((more, "opens more than you agreed to"), (wrong, "agent.yaml:")):
        saved(repository, "mode: listed", new)
        done = repository.run("run", "--json").ok()
        assert done.data["agent"] == "app"
        assert why in done.problems[0]
        assert "the sandbox keeps running as it was" in done.err
        assert repository.run("status", "--json").agent["state"] == "running"
        saved(repository, new, "mode: listed")
    assert "warning" not in repository.run("run").ok().err


@pytest.mark.parametrize(("answer", "change"), [("y", "none"), ("n", "recreate")])
def test_a_terminal_at_work_is_not_ended_by_an_edit_unasked(repository, answer: str, change: str):
    repository.run("run", "codex").ok()
    assert "[Y/n]" not in on_terminal(repository, "", "run")[1]
    saved(repository, "egress:", "limits: {pids: 777}\negress:")
    code, shown = on_terminal(repository, f"{answer}\n", "run")
    assert (code, shown.count("Apply them now? [Y/n]")) == (0, 1)
    assert "[app.sandbox]" in shown
    assert repository.run("plan", "--json").ok().agent["change"] == change


def test_nobody_to_ask_and_yes_in_advance_end_no_terminal_at_work(repository):
    repository.run("run", "codex").ok()
    saved(repository, "egress:", "limits: {pids: 777}\negress:")
    for words in (("run",), ("run", "--yes"), ("run", "--json")):
        done = repository.run(*words).ok()
        assert "ends the agent's terminal; nothing was applied" in done.err
        assert "tip: `companion up` applies them" in done.err
        assert repository.run("plan", "--json").ok().agent["change"] == "recreate"
    code, shown = on_terminal(repository, "", "run", "--yes")
    assert (code, "nothing was applied" in shown, "[Y/n]" in shown) == (0, True, False)
    repository.run("up").ok()
    assert "warning" not in repository.run("run").ok().err


def test_the_only_agent_program_with_a_credential_is_chosen(repository):
    unclear = repository.run("run")
    assert (unclear.code, "known: claude, codex, " in unclear.err) == (2, True)
    assert repository.sandboxes == []
    settings = repository.desk.home / ".config/companion/settings.yaml"
    settings.write_text(settings.read_text() + "environment: [CLAUDE_CODE_OAUTH_TOKEN]\n")
    repository.desk.environment["CLAUDE_CODE_OAUTH_TOKEN"] = "sk-canary-7c1e90Kx4Vq2"
    done = repository.run("run").ok()
    text = repository.config("app")
    assert "runtime: claude-code  # the only one with a credential" in text
    assert "oauth_token: ${CLAUDE_CODE_OAUTH_TOKEN}\n" in text
    assert "no credential" not in done.err
    assert "sends CLAUDE_CODE_OAUTH_TOKEN to api.anthropic.com" in done.err


def test_a_vendors_key_means_the_vendors_own_program():
    from companion.plugins import clis

    def words(*known: str) -> list[str]:
        return [cli.word for cli in clis.with_login(known)]

    assert words("ANTHROPIC_API_KEY") == ["claude"]
    assert words("OPENAI_API_KEY") == ["codex"]
    assert words("ANTHROPIC_API_KEY", "OPENAI_API_KEY") == ["claude", "codex"]
    assert words() == []


def on_terminal(
    repository: Repository, typed: str, *arguments: str, ssh: bool = True
) -> tuple[int, str]:
    """Run companion on a terminal; return its code and all it showed.

    Ssh is a stand-in that shows its arguments, unless the test has its own.
    """
    ours, theirs = pty.openpty()
    stand_in = repository.desk.home / "programs/ssh"
    if ssh:
        stand_in.write_text('#!/bin/sh\nfor word; do echo "[$word]"; done\n')
        stand_in.chmod(0o755)
    os.write(ours, typed.encode())
    done = subprocess.run(
        [COMPANION, *arguments], env=repository.desk.environment, cwd=repository.top,
        stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(theirs)
    return done.returncode, "".join(pieces(ours)) + done.stderr


def sandbox_at_hand(repository: Repository) -> Path:
    """Let ssh run commands here, with a stand-in for tmux; return the log of new sessions."""
    programs, log = repository.desk.home / "programs", repository.desk.home / "sessions"
    has = f'[ "$1" != has-session ] || exec test -e {log}'
    for name, text in {
        "ssh": 'for word; do last="$word"; done\nexec sh -c "$last"',
        "tmux": f'{has}\nfor word; do echo "$word" >>{log}; done',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    return log


def test_arguments_for_an_agent_that_has_a_terminal_already_are_refused(repository):
    log = sandbox_at_hand(repository)
    words = ("run", "codex", "--yes", "--", "exec", "fix it")
    assert "app is running" in repository.run(*words).ok().out
    assert "codex exec 'fix it'" in (begun := log.read_text())
    told = repository.run(*words)
    assert (told.code, told.out) == (1, "")
    assert "app has a terminal already, so `codex exec 'fix it'` was not started" in told.err
    assert "`companion exec app -- codex exec 'fix it'`" in told.err
    code, shown = on_terminal(repository, "", *words, ssh=False)
    assert (code, "app has a terminal already" in shown) == (1, True)
    assert log.read_text() == begun
    repository.run("run", "codex").ok()


@pytest.mark.parametrize(("answer", "starts"), [("", True), ("y", True), ("n", False)])
def test_on_a_terminal_one_question_precedes_the_start(repository, answer: str, starts: bool):
    typed = f"{answer}\nn\n"
    code, shown = on_terminal(repository, typed, "run", "codex", "--", "--search", "it's")
    assert "Start it? [Y/n]" in shown
    assert shown.count("Log in now? [Y/n]") == starts
    assert shown.count("[Y/n]") == 1 + starts
    assert (code == 0) is starts
    assert repository.sandboxes == (["app"] if starts else [])
    if starts:
        assert "[app.sandbox]" in shown
        assert "tmux -u new-session -A -s agent" in shown
        assert "codex --search" in shown
        assert "codex has no credential for its model: run `companion login app`" in shown
    else:
        assert "nothing was started" in shown


@pytest.mark.parametrize("bound", ["github.com", "api.github.com"])
def test_an_agent_may_push_with_the_users_token_once_they_agreed(repository, bound: str):
    repository.git("remote", "add", "origin", "git@github.com:ada/app.git")
    token = ("secret", "set", "GITHUB_TOKEN", "--host", bound, "--from-stdin")
    repository.desk.companion(*token, stdin="ghp_canary").ok()
    push = 'push: {github.com: "${GITHUB_TOKEN}"}'
    unasked = repository.run("run", "codex", "--yes").ok()
    assert f"    # {push}\n" in repository.config("app")
    assert "GITHUB_TOKEN" not in unasked.err
    code, shown = on_terminal(repository, "\nn\n", "run", "claude")
    allowed = bound == "github.com"
    assert code == 0
    assert (f"    {push}  # from `companion secret`" in repository.config("app-claude")) is allowed
    assert ("sends GITHUB_TOKEN" in shown) is allowed


def test_a_login_that_fails_can_be_tried_again_before_the_start(repository):
    code, shown = on_terminal(repository, "\n\nq\n\nq\nn\n", "run", "claude")
    assert code == 0
    assert shown.count("no way to log in was chosen") == 2
    assert shown.count("Try again? [Y/n]") == 2
    assert "starting without a credential: run `companion login app` later" in shown


def test_parts_of_a_repository_are_looked_at_too(repository):
    part = repository.top / "services/api"
    part.mkdir(parents=True)
    (part / "pyproject.toml").write_text("[project]\n")
    repository.run("run", "codex", "--yes", cwd=part).ok()
    assert "- pypi  # because of services/api/pyproject.toml" in repository.config("app")


CONTAINER = """\
{
  // what its author wants
  "packages": [],
  "features": {
    "ghcr.io/rocker-org/devcontainer-features/apt-packages:1": {"packages": "shellcheck"}
  },
  "postCreateCommand": "npm ci",
  "initializeCommand": "touch owned"
}
"""


def test_what_a_devcontainer_asks_for_is_taken_only_with_a_yes_on_a_terminal(repository):
    (repository.top / ".devcontainer.json").write_text(CONTAINER)
    alone = repository.run("run", "codex", "--yes").ok()
    assert ".devcontainer.json is left out" in alone.err
    assert "from .devcontainer.json" not in repository.config("app")
    repository.run("remove").ok()
    code, shown = on_terminal(repository, "y\nn\n", "run", "codex")
    assert code == 0, shown
    text = repository.config("app")
    assert "packages: [shellcheck]  # from .devcontainer.json" in text
    assert "entrypoint_hooks: [hooks/created.sh]  # from .devcontainer.json" in text
    lines = [line.strip() for line in shown.splitlines()]
    taken, left = (
        lines.index(f"{how} from .devcontainer.json:") for how in ("taken over", "not taken over")
    )
    assert (
        "postCreateCommand (line 7): runs once in the sandbox, as the agent: npm ci"
        in lines[taken:left]
    )
    assert any(
        line.startswith("initializeCommand (line 8): it would run on the desktop")
        for line in lines[left:]
    )
    assert "touch owned" not in text
    repository.run("remove").ok()
    assert repository.sandboxes == []


def test_a_worktree_has_a_sandbox_of_its_own_and_is_taken_back_with_it(repository):
    repository.run("run", "codex").ok()
    done = repository.run("run", "codex", "--branch", "fix/a-b").ok()
    worktree = repository.top.with_name("app.worktrees") / "fix-a-b"
    assert f"made the worktree {worktree} on the new branch fix/a-b" in done.err
    assert repository.git("status", "--short", "--branch", cwd=worktree) == "## fix/a-b\n"
    assert repository.git("fsck", "--no-dangling") == ""
    assert str(worktree) in repository.git("worktree", "list")
    listed = {one["agent"]: one for one in repository.run("list", "--json").ok().data}
    assert listed["app-fix-a-b"]["branch"] == "fix/a-b"
    assert listed["app-fix-a-b"]["works_in"] == str(worktree)
    assert repository.run("status", "--json", cwd=worktree).ok().agent["agent"] == "app-fix-a-b"
    assert repository.run("run", "--branch", "fix/a-b", "--json").ok().data["branch"] == "fix/a-b"
    assert repository.run("run", "--json", cwd=worktree).ok().data["agent"] == "app-fix-a-b"
    repository.run("remove", cwd=worktree).ok()
    assert repository.sandboxes == ["app"]
    assert [p.name for p in repository.top.parent.iterdir()] == ["app"]
    assert repository.git("branch") == "* main\n"
    assert repository.git("status", "--short") == ""


def test_a_repository_that_another_agent_could_exchange_is_not_shared_with_a_worktree(repository):
    repository.run("run", "codex").ok()
    (record,) = (repository.desk.home / ".local/state/companion/projects").glob("*/*/agent.json")
    known = json.loads(record.read_text())
    assert known["config"]["holds"] == [str(repository.top / ".git")]
    known["config"]["holds"] = []
    record.write_text(json.dumps(known))
    done = repository.run("run", "codex", "--branch", "fix")
    assert (done.code, "where an agent can redirect it" in done.err) == (1, True)
    assert repository.sandboxes == ["app"]
    assert repository.git("branch") == "* main\n"
    assert not repository.top.with_name("app.worktrees").exists()


def test_no_worktree_is_written_through_a_link_or_where_an_agent_may_write(repository):
    mono, foreign = repository.top.parent, repository.desk.home / ".config/foreign"
    foreign.mkdir()
    link = repository.top.with_name("app.worktrees")
    link.symlink_to(foreign)
    done = repository.run("run", "codex", "--branch", "autostart")
    assert (done.code, len(done.problems)) == (1, 1)
    assert f"{link} is a symbolic link, through which Companion does not write" in done.err
    link.unlink()
    repository.git("init", "--quiet", cwd=mono)
    own(mono)
    repository.run("run", "codex", cwd=mono).ok()
    done = repository.run("run", "codex", "--branch", "autostart")
    assert (done.code, len(done.problems)) == (1, 1)
    assert f"no worktree can be made at {link}/autostart: an agent may write to {mono}" in done.err
    assert not link.exists()
    assert not list(foreign.iterdir())
    assert not (repository.top / ".git/worktrees").exists()
    assert repository.git("branch") == "* main\n"


@pytest.mark.parametrize("options", [(), ("--discard",)])
def test_a_worktree_that_a_link_leads_to_now_is_not_removed(repository, options: tuple[str, ...]):
    repository.run("run", "codex", "--branch", "fix").ok()
    trees, foreign = repository.top.with_name("app.worktrees"), repository.desk.home / "foreign"
    trees.rename(trees.with_name("old"))
    (foreign / "fix").mkdir(parents=True)
    (foreign / "fix/kept").touch()
    trees.symlink_to(foreign)
    done = repository.run("remove", "app-fix", *options)
    assert (done.code, len(done.problems)) == (1, 1)
    assert f"{trees} is a symbolic link" in done.err
    assert (foreign / "fix/kept").exists()
    trees.unlink()
    trees.with_name("old").rename(trees)
    repository.run("remove", "app-fix", *options).ok()
    assert not trees.exists()


def test_a_directory_is_opened_through_no_link(tmp_path: Path):
    from companion.system import links

    (tmp_path / "real/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    with links.held(tmp_path / "real/inner") as handle:
        assert os.fstat(handle).st_ino == (tmp_path / "real/inner").stat().st_ino
    for path in ("link", "link/inner"):
        with pytest.raises(OSError, match="directory"), links.held(tmp_path / path):
            pass


def test_two_runs_at_once_make_one_sandbox(repository):
    argv, env, cwd = [COMPANION, "run", "codex"], repository.desk.environment, repository.top
    pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(argv, env=env, cwd=cwd, **pipes) for _ in range(2)]
    said = [one.communicate()[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sum("codex will work in" in text for text in said) == 1
    assert repository.sandboxes == ["app"]


def test_runs_at_once_in_directories_of_one_name_take_different_names(repository):
    home = repository.desk.paths
    first, second = (Repository(repository.desk, repository.top / n) for n in ("a/app", "b/app"))
    for one in (first, second):
        one.top.mkdir(parents=True)
        one.git("init", "--quiet")
        own(one.top)
    a, b = (repositories.find(one.top) for one in (first, second))
    alone = partial(unfinished_runs.one_at_a_time, home, waiting=pytest.fail)
    with alone(a.common), unfinished_runs.noted(home, a, None, "app") as note:
        with alone(b.common), unfinished_runs.noted(home, b, None, "app") as other:
            assert (note.name, other.name) == ("app", "app-2")
        with pytest.raises(CompanionError, match=r"app is taken by the sandbox for .*/a/app"):
            unfinished_runs.noted(home, b, "app", "app").__enter__()
        kept = note.path.read_text()
    note.path.write_text(kept)  # as a run that was killed leaves it
    with alone(b.common), unfinished_runs.noted(home, b, None, "app") as other:
        assert other.name == "app"


@pytest.mark.parametrize(
    ("calls", "number"),
    [(RENAMES, 4), (RENAMES, 9), (RENAMES, 13), (RENAMES, 14), (SPAWNS, 6)],
)
def test_a_run_that_was_killed_is_in_nobodys_way(repository, calls: str, number: int):
    words = ("run", "codex", "--branch", "side", str(repository.top))
    killed = killed_at(repository.desk, calls, number, *words)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    repository.run(*words).ok()
    assert repository.sandboxes == ["app-side"]
    repository.run("remove", "app-side").ok()
    assert repository.sandboxes == []
    assert not repository.top.with_name("app.worktrees").exists()
    assert repository.git("branch", "--format=%(refname:short)").split() == ["main"]


def test_work_in_the_worktree_of_a_run_that_was_killed_is_kept(repository):
    words = ("run", "codex", "--branch", "side", str(repository.top))
    side = repository.top.with_name("app.worktrees") / "side"
    notes = repository.desk.home / ".local/state/companion/runs"
    for number in range(4, 30):
        killed_at(repository.desk, RENAMES, number, *words)
        if (note := next(notes.glob("*.json"), None)) and json.loads(note.read_text())[
            "is_written"
        ]:
            break
    (side / "mine").write_text("work\n")
    again = repository.run(*words)
    assert f"{side} exists already" in again.err
    assert (side / "mine").read_text() == "work\n"


def test_remove_loses_no_work_unless_it_is_told_to(repository):
    repository.run("run", "codex", "--branch", "fix").ok()
    worktree = repository.top.with_name("app.worktrees") / "fix"
    (worktree / "new.txt").write_text("work\n")
    unsaved = repository.run("remove", "app-fix")
    assert (unsaved.code, "not committed: new.txt" in unsaved.err) == (1, True)
    assert "--discard" in unsaved.err
    repository.commit(cwd=worktree)
    only = repository.run("remove", "app-fix", "--json")
    assert only.code == 1
    assert '"work-unsaved"' in only.out
    assert "only on fix: " in only.out
    assert repository.run("status", "--json", cwd=worktree).ok().agent["state"] == "running"
    repository.git("merge", "--quiet", "fix")
    own(repository.top)
    repository.run("remove", "app-fix").ok()
    assert not worktree.exists()
    assert (repository.top / "new.txt").read_text() == "work\n"
    repository.run("run", "codex", "--branch", "other").ok()
    other = worktree.with_name("other")
    repository.commit(cwd=other)
    repository.run("remove", "app-other", "--discard").ok()
    assert (other.exists(), repository.git("branch", "--list", "other")) == (False, "")


def test_work_on_a_copy_elsewhere_outlives_each_step_that_the_refusal_names(repository):
    repository.run("run", "codex", "--branch", "fix").ok()
    worktree = repository.top.with_name("app.worktrees") / "fix"
    (file,) = repository.desk.home.glob("**/agent.json")
    record = json.loads(file.read_text())
    record["engine"]["shares_files"] = False
    file.write_text(json.dumps(record))
    engine = Fake(repository.desk, repository.desk.home)
    copy = f"{file.parents[1].name}_app-fix_seed-0123456789ab"
    engine.set(volumes=[*engine.world["volumes"], copy])
    for options in ((), ("--volumes",)):
        refused = repository.run("remove", "app-fix", *options)
        assert (refused.code, copy in engine.world["volumes"]) == (1, True)
        assert f"app-fix may have work on podman, in its copy of {worktree}" in refused.err
        assert f"`companion -C {worktree} down --volumes`" in refused.err
    (worktree / "brought.txt").write_text("work\n")
    repository.run("-C", str(worktree), "down", "--volumes").ok()
    assert copy not in engine.world["volumes"]
    unsaved = repository.run("remove", "app-fix")
    assert (unsaved.code, "not committed: brought.txt" in unsaved.err) == (1, True)
    repository.commit(cwd=worktree)
    assert "only on fix: " in repository.run("remove", "app-fix").err
    repository.git("merge", "--quiet", "fix")
    own(repository.top)
    repository.run("remove", "app-fix").ok()
    assert not worktree.exists()


def test_a_damaged_record_does_not_say_that_there_is_no_copy_elsewhere(repository):
    repository.run("run", "codex", "--branch", "fix").ok()
    worktree = repository.top.with_name("app.worktrees") / "fix"
    (file,) = repository.desk.home.glob("**/agent.json")
    file.write_text("{")
    refused = repository.run("remove", "app-fix")
    assert refused.code == 1
    assert f"app-fix may have work on another machine: {file} is damaged" in refused.err
    assert worktree.exists()
    repository.run("remove", "app-fix", "--discard").ok()
    assert not worktree.exists()


HOSTILE = """\
core.fsmonitor core.hooksPath core.sshCommand core.pager core.editor core.gitProxy gpg.program
filter.evil.smudge filter.evil.clean filter.evil.process diff.external alias.status
credential.helper core.alternateRefsCommand merge.evil.driver"""


def test_nothing_of_a_repository_runs_while_a_worktree_is_made_and_removed(repository):
    owned = repository.desk.home / "owned"
    evil = repository.desk.home / "evil"
    evil.write_text(f"#!/bin/sh\necho $0 >>{owned}\ncat\n")
    evil.chmod(0o755)
    (repository.top / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    repository.commit()
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-commit"):
        shutil.copy(evil, repository.top / ".git/hooks" / name)
    with (repository.top / ".git/config").open("a") as config:
        for key in HOSTILE.split():
            section, _, name = key.rpartition(".")
            head, _, sub = section.partition(".")
            config.write(f'[{head} "{sub}"]\n' if sub else f"[{head}]\n")
            config.write(f"{name} = {evil}\n")
    own(repository.top)
    repository.run("run", "codex", "--branch", "fix").ok()
    worktree = repository.top.with_name("app.worktrees") / "fix"
    (worktree / "package.json").write_text("{ }")
    assert repository.run("remove", "app-fix").code == 1
    repository.run("remove", "app-fix", "--discard").ok()
    assert not owned.exists()
    repository.git("status")
    assert owned.exists(), "the configuration is not hostile"


def test_uninstall_leaves_nothing_of_a_run_but_the_users_work(repository):
    repository.run("run", "codex").ok()
    repository.run("run", "codex", "--branch", "fix").ok()
    repository.run("uninstall", "--yes").ok()
    config = repository.desk.home / ".config/companion"
    assert [path.name for path in config.iterdir()] == ["settings.yaml"]
    assert (repository.top.with_name("app.worktrees") / "fix/package.json").exists()
    assert repository.git("status", "--short") == ""


def test_what_the_user_edited_stays_after_remove(repository):
    repository.run("run", "codex").ok()
    config = repository.desk.home / ".config/companion/sandboxes/app/agent.yaml"
    config.write_text(f"{config.read_text()}# mine\n")
    done = repository.run("remove").ok()
    assert "remains, because it was edited" in done.out
    assert config.read_text().endswith("# mine\n")
    digest = repository.run("plan", "--json").ok().data["digest"]
    repository.run("trust", "--digest", digest).ok()
    repository.run("run", "codex").ok()
    assert repository.sandboxes == ["app"]
    assert config.read_text().endswith("# mine\n")


def test_what_cannot_be_run_is_said_once_and_nothing_is_left(repository):
    home = repository.desk.home
    plain, broken, project = home / "plain", home / "broken", home / "project"
    for directory in (plain, broken, project):
        directory.mkdir()
        own(directory)
    (broken / ".git").write_text(f"gitdir: {home}/gone/.git/worktrees/x\n")
    (project / ".git").mkdir()
    (project / "agent.yaml").write_text("name: x\n")
    repository.git("branch", "taken")
    repository.run("run", "codex", "--name", "mine").ok()
    empty = home / "empty"
    empty.mkdir()
    repository.git("init", "--quiet", cwd=empty)
    own(empty)
    for arguments, cwd, problem in (
        (["codex"], plain, "is not in a git repository"),
        (["codex"], home, "change to the directory of your code"),
        (["codex"], broken, "is no work tree of a repository here"),
        (["codex"], project, "has an agent.yaml of its own"),
        (["codx"], repository.top, "did you mean 'codex'?"),
        (["codex", "a", "b"], repository.top, "is no agent program"),
        (["pi", "--name", "mine"], repository.top, "the name mine is taken by"),
        (["pi", "--name", "No"], repository.top, "'No' is not a valid agent name"),
        (["pi", "--branch", "main"], repository.top, "the branch main is checked out in"),
        (["pi", "--branch", "a..b"], repository.top, "'a..b' is not a valid branch name"),
        (["pi", "--branch", "x"], empty, "has no commit yet"),
    ):
        done = repository.run("run", *arguments, cwd=cwd)
        assert done.code in {1, 2}, arguments
        assert problem in done.err
        assert done.err.count("error:") == 1
    assert repository.sandboxes == ["mine"]
    assert not repository.top.with_name("app.worktrees").exists()


def test_a_mistake_in_the_settings_is_not_the_repositorys(repository):
    settings = repository.desk.home / ".config/companion/settings.yaml"
    settings.write_text(f"{settings.read_text()}build: {{proxy: http://127.0.0.1:9}}\n")
    failed = repository.run("run", "codex")
    assert re.search(r"settings\.yaml:\d+:\d+: 'proxy' must not be a loopback", failed.err)
    assert "no agent can work in" not in failed.err
    assert repository.sandboxes == []
    assert "error: no sandbox is called app" in repository.run("remove", "app").err


@pytest.mark.parametrize("name", ["123", "true", "null", "1e5", "0x10", "2026-01-01"])
def test_a_directory_may_be_called_what_yaml_takes_for_something_else(name: str):
    from companion.config import decode, draft

    text = draft.text(draft.Draft(draft.name_of(name), "codex", "x", f"/home/ann/{name}"))
    assert decode.agent(text, "agent.yaml")[0].name == name


def test_a_command_that_means_the_only_agent_names_it(repository):
    repository.run("run", "codex").ok()
    assert "error: app has no signing key yet" in repository.run("keys", "signing").err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_a_repository_of_another_user_is_refused(repository):
    subprocess.run(["chown", "-R", "4242", repository.top], check=True)
    done = repository.run("run", "codex")
    assert (done.code, "belongs to user 4242" in done.err) == (1, True)
    assert repository.sandboxes == []


def test_a_directory_has_the_same_path_inside_where_a_container_can_have_it():
    from companion.config import draft

    assert draft.targets("/home/ada/app", ()) == {"/home/ada/app": "/home/ada/app"}
    below = draft.targets("/tmp/c/app.worktrees/x", ("/tmp/c/app/.git",))
    home = "{{ .AGENT_HOME }}"
    assert below == {
        "/tmp/c/app.worktrees/x": f"{home}/app.worktrees/x",
        "/tmp/c/app/.git": f"{home}/app/.git",
    }


def test_no_name_in_a_repository_becomes_a_line_of_the_config():
    from companion.config import draft

    names = ("a\n  - plugin: x/go.mod", "ok/Cargo.toml", "b # c/pom.xml")
    assert draft.presets(names) == {"cargo": "ok/Cargo.toml"}


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ('[remote "origin"]\nurl = git@github.com:ada/app.git', "github.com"),
        ('[remote "origin"]\nurl = ssh://git@gitlab.com:22/ada/app', "gitlab.com"),
        ('[remote "o"]\nurl = /srv/app\npushurl = https://x:y@bitbucket.org/a/b', "bitbucket.org"),
        ('[remote "origin"]\nurl = https://git.corp.test/github.com/ada/app', None),
        ('[remote "origin"]\nurl = https://github.com.corp.test/ada/app', None),
        ('[remote "origin"]\nurl = ../github.com:/app', None),
        ('[submodule "x"]\nurl = https://github.com/mallory/x', None),
        ('[remote "origin"]\nurl = https://[github.com/x', None),
    ],
)
def test_a_push_is_offered_only_where_a_remote_is(text: str, host: str | None, tmp_path: Path):
    from companion.config import draft

    (tmp_path / "config").write_text(text)
    found = repositories.Repository(tmp_path, tmp_path, (), ())
    forge = draft.forge(found.remote_hosts)
    assert (forge and forge.host) == host
