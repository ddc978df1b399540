"""Nothing of a project that somebody else wrote happens before its user agreed to it."""

import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import AGENT, COMPANION, ROOT, Desk, make_desk
from fake_project import Fake, agree, changes, config, digest
from test_watching import wait_for, watching

HOSTILE = ROOT / "tests/hostile"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1LhQ7JHvm7Gr9SNmyFPsYxAKnHm0uJJd1YfVtbT1rN me"
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "commit.gpgsign=false")


@pytest.fixture
def owner(tmp_path: Path) -> Desk:
    """A user who has agreed to nothing yet."""
    return make_desk(tmp_path / "home", trusting=False)


@pytest.fixture
def clone(owner: Desk, tmp_path: Path) -> Fake:
    """A project that somebody else wrote, with everything that one can ask for."""
    project, outside, books = owner.home / "clone", tmp_path / "photos", tmp_path / "books"
    shutil.copytree(HOSTILE, project)
    for directory in (project / "work", outside, books):
        directory.mkdir()
    (project / "keys.pub").write_text(KEY + "\n")
    (project / ".env").write_text("AWS_SECRET_ACCESS_KEY=mine\n")
    text = (project / "agent.yaml").read_text()
    (project / "agent.yaml").write_text(
        text.replace("OUTSIDE", str(outside)).replace("BOOKS", str(books))
    )
    fake = Fake(owner, project)
    shutil.copy("/bin/true", fake.program.with_name("zed"))
    return fake


def own(owner: Desk, text: str | None = None) -> Fake:
    """Return a project whose user agreed to it once."""
    fake = Fake(owner, owner.project(text or config(), __env="KEY=one\n"))
    agree(fake).ok()
    return fake


def answer(
    fake: Fake, words: str, *arguments: str, meanwhile: Callable[[], object] | None = None
) -> tuple[int, str]:
    """Run companion in a terminal and type an answer; return the exit code and the screen.

    `meanwhile` happens between the question and the answer.
    """
    ours, theirs = pty.openpty()
    argv = [COMPANION, "-C", str(fake.project), *arguments]
    environment = fake.desk.environment | {"TERM": "dumb", "LINES": "100", "COLUMNS": "80"}
    with subprocess.Popen(
        argv, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as child:
        os.close(theirs)
        screen = b""
        while meanwhile and b"[y/N]" not in screen:
            screen += os.read(ours, 65536)
        if meanwhile:
            meanwhile()
        os.write(ours, f"{words}\n".encode())
        try:
            while chunk := os.read(ours, 65536):
                screen += chunk
        except OSError:  # the terminal hangs up with its last program
            pass
    os.close(ours)
    return child.returncode, screen.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    "command", ["up", "up --yes", "restart", "open helper --in zed", "add", "generate"]
)
def test_nothing_of_a_clone_happens_unasked(clone: Fake, command: str):
    before = sorted(clone.desk.home.rglob("*"))
    done = clone.companion(*command.split())
    assert done.code == 1
    assert "is not trusted; nothing was started" in done.err
    assert f"companion trust {clone.project} --digest {digest(clone)}" in done.err
    assert not changes(clone)
    assert not (clone.project / ".build").exists()
    made = {p.name for p in {*clone.desk.home.rglob("*")} - {*before}}
    assert not [name for name in made if "helper" in name or name == "project.json"], made


def test_the_question_shows_everything_whole_and_within_80_columns(
    clone: Fake, pytestconfig: pytest.Config
):
    code, screen = answer(clone, "n", "up")
    assert code == 1
    assert not changes(clone)
    shown = as_a_users(screen, clone)
    expected = HOSTILE / "screen.txt"
    if pytestconfig.getoption("--update"):
        expected.write_text(shown)
    whole = "".join(as_a_users("".join(screen.split()), clone).split())
    assert whole == "".join(expected.read_text().split()), "but for where lines are broken"
    powers = [line for line in screen.splitlines() if line.startswith(("  ", "! "))]
    assert not [line for line in powers if len(line) > 80]
    for word in (clone.project / "agent.yaml").read_text().replace("docker://", "http://").split():
        if word.startswith("http"):
            assert word.strip('"]') in whole, word


def test_what_reaches_far_is_in_sight_at_the_question_however_much_there_is(owner: Desk):
    commands = ", ".join(f'"echo {number}"' for number in range(3000))
    text = config(service="router").replace('"echo 2"', commands)
    fake = Fake(owner, owner.project(text))
    code, screen = answer(fake, "n", "up")
    assert code == 1
    assert screen.count("echo ") == 3000
    in_sight = "\n".join(screen.splitlines()[-10:])
    assert "! network reaches http://router.test:8000, even in your own network" in in_sight
    assert "! secrets sends KEY to router.test:8000" in in_sight


def test_an_agent_of_a_clone_enters_no_chat_of_the_desktop_unasked(owner: Desk):
    """The user wants agents in the chat of JetBrains IDEs, where they reach beyond a sandbox."""
    text = config().replace('-slim"}', '-slim", acp_cmd: [acp]}')
    fake = Fake(owner, owner.project(text))
    words = "is an agent in the chat of JetBrains IDEs, where it may ask for the"
    assert words not in owner.companion("-C", str(fake.project), "trust").err
    (owner.home / ".jetbrains").mkdir()
    owner.companion("editors", "sync", "jetbrains").ok()
    refused = owner.companion("-C", str(fake.project), "up")
    assert refused.code == 1
    assert words in refused.err
    agree(fake).ok()
    owner.companion("-C", str(fake.project), "up").ok()


def as_a_users(screen: str, fake: Fake) -> str:
    """Return a screen with the paths of an ordinary home."""
    home = fake.desk.home
    return screen.replace(str(home), "/home/me").replace(str(home.parent), "")


def test_thousands_of_one_kind_hide_none_of_another(owner: Desk):
    hosts = ", ".join(f"h{number}.test" for number in range(3))
    wide = ", ".join(f'"*.h{number}.example.com"' for number in range(3000))
    text = config(service="router")
    assert hosts in text
    fake = Fake(owner, owner.project(text.replace(hosts, wide)))
    _, screen = answer(fake, "n", "up")
    before, _, again = screen.partition("Of all this, what reaches far:")
    assert before.count(".example.com") == 3000
    assert again.count("\n") < 20
    assert again.count(".example.com") == 5
    assert "2,995 more of the kind wildcard" in again
    assert "sends KEY to router.test:8000" in again


def test_who_agrees_in_a_terminal_is_asked_once(owner: Desk):
    fake = Fake(owner, owner.project(config(service="api"), __env="KEY=one\n"))
    code, screen = answer(fake, "y", "up")
    assert code == 0, screen
    assert "Start it? [y/N]" in screen
    fake.is_whole()
    again = fake.companion("up").ok()
    assert "trust" not in again.err


def test_a_digest_agrees_to_what_was_read_and_to_nothing_else(owner: Desk):
    fake = Fake(owner, owner.project(config(), __env="KEY=one\n"))
    read = digest(fake)
    (fake.project / "agent.yaml").write_text(config(command="3"))
    done = fake.companion("trust", "--digest", read)
    assert done.code == 1
    assert "its files differ from those you read" in done.err
    (fake.project / "agent.yaml").write_text(config())
    fake.companion("trust", "--digest", read).ok()
    fake.companion("up").ok()


def is_asked(fake: Fake) -> bool:
    return not fake.companion("plan", "--json").ok().data["trusted"]


def test_a_pull_while_watching_changes_nothing_before_its_user_agreed(owner: Desk):
    """The one project waits, with what it opens in the log; another one goes on."""
    project = owner.project(config(), __env="KEY=one\n")
    for words in (["init", "-q"], ["add", "agent.yaml"], ["commit", "-qm", "one"]):
        subprocess.run([*GIT, *words], cwd=project, check=True)
    fake, other = Fake(owner, project), Fake(owner, owner.project(config(), name="other"))
    (other.project / ".env").write_text("KEY=one\n")
    for one in (fake, other):
        agree(one).ok()
        one.companion("up").ok()
    opened = config(pids=600).replace(
        "mode: listed, allow: [h0.test, h1.test, h2.test]", "mode: open"
    )
    with watching(owner, wait_for_first=("nothing to do", 2)) as log:
        fake.set(met={})
        (project / "agent.yaml").write_text(opened + '    ports: ["0.0.0.0:48098:80"]\n')
        subprocess.run([*GIT, "commit", "-qam", "two"], cwd=project, check=True)
        wait_for(log, "opens more than you agreed to", 1)
        mode, last = opened[: opened.index("mode:")].count("\n") + 1, opened.count("\n") + 1
        for said in (log.read_text(), shown := fake.companion("plan").out):
            where = f"answers on 0.0.0.0:48098 (open to other machines, too) [agent.yaml:{last}]"
            assert where in said
            assert f"reaches every public host on ports 443 and 80 [agent.yaml:{mode}]" in said
        assert shown.count("[agent.yaml:") == 2, "only what is new says where it stands"
        assert not changes(fake)
        (other.project / "agent.yaml").write_text(config(pids=600))
        wait_for(log, "other: restarted", 1)
        agree(fake).ok()
        wait_for(log, "project: restarted", 1)


def test_a_pull_of_a_file_without_an_end_stops_no_other_project_from_being_watched(owner: Desk):
    project = owner.project(config(), __env="KEY=one\n")
    fake, other = Fake(owner, project), Fake(owner, owner.project(config(), name="other"))
    (other.project / ".env").write_text("KEY=one\n")
    for one in (fake, other):
        agree(one).ok()
        one.companion("up").ok()
    with watching(owner, "prlimit", "--as=4000000000", wait_for_first=("nothing to do", 2)) as log:
        (project / "agent.yaml").unlink()
        (project / "agent.yaml").symlink_to("/dev/zero")
        wait_for(log, "it is not a regular file", 1)
        (other.project / "agent.yaml").write_text(config(pids=600))
        wait_for(log, "other: restarted", 1)


def test_a_directory_that_takes_the_place_of_an_agreed_one_is_not_trusted(owner: Desk):
    fake = own(owner)
    old = fake.project.with_name("old")
    shutil.copytree(fake.project, old)
    shutil.rmtree(fake.project)  # so that its inode is free for the next directory
    shutil.copytree(old, fake.project)
    assert fake.companion("up").code == 1
    assert not changes(fake)


def test_what_companion_created_asks_at_its_first_growth(owner: Desk):
    fake = Fake(owner, owner.home / "made")
    owner.companion("init", str(fake.project), "--name", "coder", "--runtime", "codex").ok()
    assert not is_asked(fake)
    (fake.project / "agent.yaml").write_text(config(service="api"))
    assert is_asked(fake)


def test_what_ran_before_there_were_agreements_keeps_running_and_asks_once(owner: Desk):
    older = own(owner)
    older.companion("up").ok()
    shutil.rmtree(owner.home / ".local/share/companion/trust")
    assert older.companion("up").code == 1
    older.is_whole(planned=False)
    agree(older).ok()
    older.companion("up").ok()
    assert not is_asked(older)


def test_directories_that_the_user_trusts_always_ask_nothing(owner: Desk, clone: Fake):
    settings = owner.home / ".config/companion/settings.yaml"
    settings.write_text(settings.read_text() + f"trust: {{always: [{clone.project.parent}]}}\n")
    assert not is_asked(clone)
    settings.write_text("trust: {always: [/srv]}\n")
    assert is_asked(clone)


def test_after_revoke_nothing_of_a_project_is_applied(owner: Desk):
    fake = own(owner)
    fake.companion("up").ok()
    assert "agreed" in fake.companion("trust", "list").ok().out
    fake.companion("trust", "revoke").ok()
    fake.set(met={})
    (fake.project / "agent.yaml").write_text(config(pids=700))
    assert fake.companion("up").code == 1
    assert not changes(fake)
    fake.companion("down").ok()
    assert "revoked" in fake.companion("trust", "list").ok().out


def test_no_variable_of_the_desktop_is_sent_unless_the_user_named_it(owner: Desk):
    owner.environment["KEY"] = "of-the-desktop"
    fake = Fake(owner, owner.project(config(service="api")))
    agree(fake).ok()
    done = fake.companion("up")
    settings = owner.home / ".config/companion/settings.yaml"
    assert done.code == 1
    assert f"add KEY=… to .env, or KEY to `environment` in {settings}" in done.err
    settings.write_text(settings.read_text() + "environment: [KEY]\n")
    fake.companion("up").ok()
    (secret,) = owner.home.glob(".local/state/companion/projects/*/coder/secrets/KEY")
    assert secret.stat().st_size > 0


def committed(project: Path) -> None:
    """Make a project what a checkout left there."""
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-qm", "one"]):
        subprocess.run([*GIT, *words], cwd=project, check=True)


@pytest.mark.parametrize("action", ["add", "remove", "rotate"])
def test_no_change_of_keys_lets_a_pulled_key_log_in(owner: Desk, action: str):
    fake = own(owner, AGENT)
    fake.companion("generate").ok()
    fake.companion("keys", "add", "coder", KEY).ok()
    (file,) = owner.home.glob(".local/state/companion/projects/*/coder/sshd/authorized_keys")
    before = file.read_text()
    assert KEY in before
    theirs = KEY.replace("1LhQ7", "2MiR8").replace(" me", " theirs")
    (fake.project / "keys.pub").write_text(f"{theirs}\n")
    (fake.project / "agent.yaml").write_text(f"{AGENT}    authorized_keys: keys.pub\n")
    committed(fake.project)
    given = {"add": [KEY.replace("1LhQ7", "3NjS9")], "remove": ["me"], "rotate": []}[action]
    done = fake.companion("keys", action, "coder", *given)
    assert done.code == 1
    assert "coder opens more than you agreed to; nothing was changed" in done.err
    assert file.read_text() == before


def test_a_server_that_comes_after_the_question_is_not_authorized(owner: Desk):
    text = """\
name: coder
runtime: codex
egress: listed
features:
  - plugin: mcp-oauth
    providers: {notes: {mcp_url: "https://ours.test/mcp"}}
"""
    fake = Fake(owner, owner.project(text))
    theirs = text.replace("ours.test", "theirs.test")
    pulled = fake.project / "agent.yaml"
    code, screen = answer(
        fake, "y", "oauth", "notes", "--print", meanwhile=lambda: pulled.write_text(theirs)
    )
    assert code == 1
    assert "coder opens more than you agreed to; nothing was changed" in screen
    assert "asks you to authorize it at https://theirs.test/mcp" in screen


def test_commands_that_are_proposed_can_be_pasted(owner: Desk):
    project = owner.home / "my clone"
    made = owner.companion("init", str(project), "--name", "coder", "--runtime", "codex").ok()
    assert f"next: companion -C '{project}' up" in made.out
    fake = Fake(owner, project)
    fake.companion("generate").ok()
    fake.companion("trust", "revoke").ok()
    assert f"`companion trust show '{project}'`" in fake.companion("trust", "--digest", "0").err
    done = fake.companion("keys", "add", "coder", KEY)
    assert f"run `companion trust '{project}'`" in done.err


def test_uninstall_forgets_every_agreement(owner: Desk):
    fake = own(owner)
    fake.companion("up").ok()
    owner.companion("remove", str(fake.project)).ok()
    assert is_asked(fake)
    agree(fake).ok()
    owner.companion("uninstall", "--yes").ok()
    assert not (owner.home / ".local/share/companion").exists()


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        (("--name", "coder", "--runtime", "codex"), "fleet.yaml"),
        (("--example", "local-coding"), "home/.bashrc"),
    ],
)
def test_init_agrees_to_nothing_that_it_did_not_write(
    owner: Desk, options: tuple[str, ...], theirs: str
):
    project = owner.home / "clone"
    (project / "home").mkdir(parents=True)
    (project / theirs).write_text("agents: [evil]\n")
    (project / "evil").mkdir()
    (project / "evil/agent.yaml").write_text("name: evil\nruntime: codex\n")
    assert owner.companion("init", str(project), *options).code == 1
    assert not list((owner.home / ".local/share/companion").glob("trust/*.json"))


def test_an_agent_that_could_not_be_read_at_the_question_is_asked_about_later(owner: Desk):
    project = owner.home / "team"
    for name in ("a", "b"):
        (project / name).mkdir(parents=True)
        (project / name / "agent.yaml").write_text(config().replace("coder", name))
    (project / "fleet.yaml").write_text("agents: [a, b]\n")
    with (project / "b/agent.yaml").open("a") as out:
        out.write('    runtime_volumes: ["./out:/out"]\n')
    fake = Fake(owner, project)
    owner.companion("trust", "show", str(project)).ok()
    code, screen = answer(fake, "y", "trust")
    assert code == 0
    assert "there is no directory './out' to mount" in screen
    (project / "b/out").mkdir()
    shown = fake.companion("trust", "show", "--json").ok().data
    assert [one["agent"] for one in shown["agents"] if any(p["new"] for p in one["powers"])] == [
        "b"
    ]
    done = fake.companion("up", "b")
    assert done.code == 1
    assert not changes(fake)


def test_revoke_counts_more_than_the_directories_that_are_always_trusted(owner: Desk):
    fake = own(owner)
    settings = owner.home / ".config/companion/settings.yaml"
    kept = settings.read_text()
    settings.write_text(f"{kept}trust: {{always: [{owner.home}]}}\n")
    opened = config().replace("mode: listed, allow: [h0.test, h1.test, h2.test]", "mode: open")
    (fake.project / "agent.yaml").write_text(opened)
    fake.companion("up").ok()
    settings.write_text(kept)
    assert is_asked(fake), "what was not asked for while all was trusted is no agreement"
    settings.write_text(f"{kept}trust: {{always: [{owner.home}]}}\n")
    fake.companion("trust", "revoke").ok()
    assert is_asked(fake)
    settings.write_text('trust: {always: [""]}\n')
    assert "must be an absolute path" in fake.companion("up").err
