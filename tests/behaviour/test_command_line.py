"""What the command line accepts, and how it answers what makes no sense."""

import json

import pytest
from desk import Desk
from fake_project import fresh

from companion import __version__
from companion.cli.catalogue import COMMANDS
from companion.cli.parser import parse, split
from companion.operations.compose_cli import SHOWS

ROTATE = "did you mean 'rotate'?"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("statsu", "there is no command 'statsu'; did you mean 'status'?"),
        ("kill", "there is no command 'kill'; did you mean 'down'?"),
        ("xyzzy", "there is no command 'xyzzy'; `companion --help` lists all commands"),
        ("help statsu", "there is no command 'statsu'; did you mean 'status'?"),
        ("logs coder --folow", "unexpected option '--folow'; did you mean '--follow'?"),
        ("--verson", "unexpected option '--verson'; did you mean '--version'?"),
        ("down --vol", "unexpected option '--vol'; did you mean '--volumes'?"),
        ("audit coder now", "unexpected argument 'now'; see `companion audit --help`"),
        ("keys rotat coder", f"'rotat' is not one of list, add, remove, rotate, signing; {ROTATE}"),
        ("autostart maybe", "'maybe' is not one of on, off, status; choose one of them"),
        ("oauth", "missing argument: PROVIDER; see `companion oauth --help`"),
        ("keys", "missing argument: ACTION; choose one of list, add, remove, rotate, signing"),
        ("-C", "argument -C/--dir: expected one argument; see `companion --help`"),
        ("compose", f"no compose command given; choose one of {', '.join(SHOWS)}"),
    ],
)  # fmt: skip
def test_a_usage_error_exits_with_2_and_suggests(desk: Desk, line: str, problem: str):
    done = desk.companion(*line.split())
    assert done.code == 2
    assert done.problems == [problem]
    answer = json.loads(desk.companion("--json", *line.split()).out)
    assert (answer["ok"], answer["exit_code"]) == (False, 2)
    assert answer["command"] in {"", *(command.name for command in COMMANDS)}
    assert [f"{p['what']}; {p['hint']}" for p in answer["problems"]] == [problem]


def test_a_bare_companion_shows_the_first_commands(desk: Desk):
    done = desk.companion()
    assert (done.code, done.err) == (2, "")
    assert "  companion run claude " in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert json.loads(desk.companion("--json").out)["problems"][0]["what"] == "no command given"


def test_a_command_has_the_names_that_its_help_gives(desk: Desk):
    fresh(desk)
    for command in COMMANDS:
        for alias in command.aliases:
            assert f"also: companion {alias}" in desk.companion("help", alias).ok().out
    answer = json.loads(desk.companion("-C", "project", "ps", "--json").out)
    assert (answer["command"], answer["ok"]) == ("status", True)


def test_colors_are_for_terminals_or_for_who_forces_them(desk: Desk):
    forced = Desk(desk.home, desk.environment | {"FORCE_COLOR": "1"})
    assert "\x1b[1;32musage:\x1b[0m companion up" in forced.companion("help", "up").ok().out
    assert forced.companion("statsu").err.startswith("\x1b[1;31merror:\x1b[0m there is no command")
    for variables in ({}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}):
        plain = Desk(desk.home, desk.environment | variables)
        assert "\x1b" not in plain.companion("help", "up").ok().out + plain.companion("statsu").err


def test_status_outside_a_project_is_an_error(desk: Desk):
    fresh(desk)
    done = desk.companion("status")
    assert (done.code, done.out) == (1, "")
    assert done.problems[0].startswith(f"there is no agent.yaml in {desk.home}; ")


def test_every_command_has_help_within_80_columns(desk: Desk):
    narrow = Desk(desk.home, desk.environment | {"COLUMNS": "80"})
    whole = narrow.companion("help").ok().out
    assert narrow.companion("--help").ok().out == narrow.companion("-h").ok().out == whole
    assert max(map(len, whole.splitlines())) <= 80
    for command in COMMANDS:
        text = narrow.companion("help", command.name).ok().out
        assert f"  {command.name} " in whole
        assert text.startswith(f"usage: companion {command.name} ")
        assert ("examples:\n  companion" in text) is bool(command.examples)
        assert max(map(len, text.splitlines())) <= 80
    assert narrow.companion("logs", "--help").ok().out == narrow.companion("help", "logs").ok().out
    assert narrow.companion("help", "up", "--json").ok().data["help"].startswith("usage: ")


def test_directory_and_json_may_stand_before_or_after_the_command(desk: Desk):
    desk.project()
    for line in ("-C project --json validate", "--json validate -C project",
                 "validate --dir=project --json", "-Cproject validate --json"):  # fmt: skip
        assert [a["agent"] for a in desk.companion(*line.split()).ok().data["agents"]] == ["coder"]
    assert desk.companion("-V").ok().out == desk.companion("--version").ok().out
    assert desk.companion("-V", "--json").ok().data == {"version": __version__}


@pytest.mark.parametrize(
    "line", ["--branch B codex DIR", "codex --branch B DIR", "codex DIR --branch B"]
)
@pytest.mark.parametrize("rest", [[], ["--", "x", "--json"]])
def test_an_option_may_stand_between_arguments(line: str, rest: list[str]):
    """Argparse of Python 3.14 takes what follows it for a program's words, if it may."""
    found = parse(split(["run", *line.split(), *rest]))
    assert (found.words, found.branch, found.rest) == (["codex", "DIR"], "B", rest[1:])


def test_words_for_a_program_inside_are_not_ours(desk: Desk):
    """Neither do they switch our answers to JSON, nor are ours passed on."""
    desk.project()
    for line in ("exec coder -- x --json", "exec coder x --json", "ssh coder -- x --json",
                 "ssh coder x -h", "compose ps --json", "exec coder x -- --json"):  # fmt: skip
        done = desk.companion("-C", "project", *line.split())
        assert (done.code, done.out) == (1, "")
        assert done.problems
    for line in ("exec --json coder -- x", "exec coder --json -- x", "ssh coder --json",
                 "--json compose ps", "compose --json ps"):  # fmt: skip
        answer = json.loads(desk.companion("-C", "project", *line.split()).out)
        assert answer["command"] == line.replace("--json ", "").split()[0]
        assert answer["exit_code"] == 1


@pytest.mark.parametrize("words", ["events", "logs -f", "logs --follow agent", "logs -tf"])
def test_what_never_ends_is_no_json(desk: Desk, words: str):
    desk.project()
    done = desk.companion("-C", "project", "--json", "compose", *words.split())
    assert json.loads(done.out)["exit_code"] == 2


def test_a_program_inside_gets_its_words_as_they_are():
    words = ["printf", "--json", "--", "-C", "x"]
    for line in (
        "exec coder --",
        "exec coder",
        "ssh -C p --json coder --json --",
        "--json compose",
    ):
        assert list(split([*line.split(), *words]).rest) == words
