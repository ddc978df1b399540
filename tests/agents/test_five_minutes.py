"""README's five minutes in your repository, for real: from nothing to what an agent made.

With `--update`, what the user types and sees is kept in docs/five-minutes.md.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import ROOT
from newcomer import KEY, PAGE, PUSHES, TOKEN, World, newcomer
from shell import Shell, at_terminal

pytestmark = [
    pytest.mark.engine,
    pytest.mark.one_engine,
    pytest.mark.long,  # tests/engine/test_terminal.py is the short form: no answer, no vendor
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may serve on port 443"),
]

ASK = "Run `npm test --silent` and tell me what it says"
SERVE = "Run `setsid -f npm run dev >/dev/null 2>&1; sleep 1; curl -s localhost:3000` and tell me"
GREET = "Greet me"
"""In its usual mode, Claude Code asks a second model about each command."""
COMMIT = 'git commit -q --allow-empty -m "Fix the login" && git push'
COMMITTED = "Ada Fix the login\n"
BROWSER = "chromium --headless --no-sandbox --dump-dom"
PLACE = Path("/home/ada")


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    place = tmp_path / "home"
    if request.config.getoption("--update"):
        place = PLACE
        PLACE.mkdir()
    with newcomer(tmp_path, place) as one:
        yield one


def test_a_repository_has_an_agent_at_work_within_five_minutes(
    engine: str, world: World, tmp_path: Path, request: pytest.FixtureRequest
):
    assert engine == "podman"
    with at_terminal(world.desk, world.top, tmp_path / "tmux") as shell:
        codex_answers(world, shell)
        a_browser_opens_its_server(world, shell)
        claude_answers_on_a_branch(world, shell)
        two_side_by_side(world, shell)
    for name, seconds in world.seconds.items():
        measured = f"{name}: {seconds:.0f} s from the command to the first answer"
        print(measured)  # noqa: T201 - what was measured is to be seen
    assert max(world.seconds.values()) < 300
    text = "\n".join(world.pages)
    assert not [secret for secret in (KEY, TOKEN, PUSHES) if secret in text]
    if request.config.getoption("--update"):
        page = ROOT / "docs/five-minutes.md"
        before = page.read_text()
        head, last = before.partition("\n## ")[0], before.rindex("\n## ")
        page.write_text(f"{head}\n{text}{before[last:]}")


def codex_answers(world: World, shell: Shell) -> None:
    """One command, no YAML: Codex with an API key."""
    begin = time.monotonic()
    shell.clear()
    with world.vendors_for("app"):
        shell.type("companion run codex", "Enter")
        shell.expect("Start it? [Y/n]")
        shell.type("", "Enter")
        shell.expect("Log in now? [Y/n]")
        shell.type("", "Enter")
        shell.expect("Which one? [1]")
        shell.type("", "Enter")
        shell.expect("it is not shown")
        shell.type(KEY, "Enter")
        shell.expect("Trust this folder?", 280)
    shell.type("", "Enter")
    shell.expect("Ask Codex to do anything")
    shell.type(ASK)
    shell.type("", "Enter")
    shell.expect("The command said")
    shell.expect("3 tests passed", count=2)
    about = world.took("Codex", begin)
    answered = shell.rest()
    shell.type(SERVE)
    shell.type("", "Enter")
    shell.expect(PAGE, count=2)
    serving = shell.rest()
    shell.type("", "C-b", "d")
    shell.expect("detached")
    world.keep("One command", shell.transcript(), answered, about=about)
    world.keep("A server that the agent started", serving[serving.rindex("Run setsid") - 2 :])
    world.assert_only(KEY, "app")


def a_browser_opens_its_server(world: World, shell: Shell) -> None:
    """Nothing is forwarded before the user says so; `status` shows where it is then."""
    shell.clear()
    for line, shown in (
        ("companion status", "companion port app 3000"),
        ("companion port app 3000 --background", "is forwarded to port 3000"),
        ("companion status", "http://app.localhost:3000"),
    ):
        shell.answer(line, shown)
    (url,) = re.findall(r"http://\S+", world.desk.companion("status", cwd=world.top).ok().out)
    shell.answer(f"{BROWSER} {url} 2>/dev/null", PAGE)
    shell.answer("companion port app --stop", "no longer forwarded")
    world.keep("The same in your browser", shell.transcript())


def claude_answers_on_a_branch(world: World, shell: Shell) -> None:
    """Claude Code with a subscription token, on a branch of its own, which it pushes."""
    shell.clear()
    shell.type("companion secret set GITHUB_TOKEN", "Enter")
    shell.expect("it is not shown")
    shell.type(PUSHES, "Enter")
    shell.expect("sent only to")
    shell.rest()
    begin = time.monotonic()
    with world.vendors_for("app-fix-login"):
        shell.type("companion run claude --branch fix-login", "Enter")
        shell.expect("Start it? [Y/n]")
        shell.type("", "Enter")
        shell.expect("Log in now? [Y/n]")
        shell.type("", "Enter")
        shell.expect("Which one? [1]")
        number = re.search(r"(\d)\. .*subscription", shell.transcript())
        assert number
        shell.type(number[1], "Enter")
        shell.expect("it is not shown", count=2)
        shell.type(TOKEN, "Enter")
        shell.expect("Yes, I trust this folder", 280)
    shell.type("", "Down", "Enter")
    shell.expect("auto mode on")
    shell.type(GREET)
    shell.type("", "Enter")
    shell.expect("Hello.")
    about = world.took("Claude Code", begin)
    answered = shell.rest()
    shell.type("!")
    shell.type(COMMIT)
    shell.type("", "Enter")
    shell.expect("[new branch]")
    pushed = shell.rest()
    shell.type("", "C-b", "d")
    shell.expect("detached")
    world.keep("Another agent on a branch of its own", shell.transcript(), answered, about=about)
    world.keep("It pushes", pushed[pushed.rindex("git commit") - 2 :])
    world.assert_only(TOKEN, "app-fix-login")
    assert {*world.forge.users} == {"x-access-token"}
    log = (
        "git",
        "-C",
        world.forge.root / "ada/app.git",
        "log",
        "-1",
        "--format=%an %s",
        "fix-login",
    )
    assert subprocess.run(log, capture_output=True, text=True, check=True).stdout == COMMITTED


def two_side_by_side(world: World, shell: Shell) -> None:
    shell.clear()
    shell.answer("companion list", "~/code/app")
    world.keep("Two branches side by side", shell.transcript())
    listed = {one["agent"]: one for one in world.desk.companion("list", "--json").ok().data}
    assert listed["app-fix-login"]["branch"] == "fix-login"
