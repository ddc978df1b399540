"""What does the tray's menu show? Pure, so every case is a value."""

from dataclasses import replace
from pathlib import Path

import pytest

from companion.daemon.events import MOST as MOST_EVENTS
from companion.daemon.events import Event, Events
from companion.daemon.news import WorkFinished, fold
from companion.daemon.view import AgentView, IconState, View
from companion.daemon.wording import event, icon_state
from companion.engine.model import Condition, EngineChoice, Health
from companion.errors import Code, Position, Problem
from companion.project import runs
from companion.project.model import AgentRef, Project
from companion.project.record import UPDATE_WAITS, update_sentence
from companion.project.runs import Run
from companion.system.paths import Paths
from companion.system.worktrees import Worktree
from companion.traffic.attention import Attention
from companion.tray import commands
from companion.tray.clicks import Click, Verb
from companion.tray.menu import MOST, rows, title
from companion.tray.notifications import notification_for
from companion.tray.remedies import of_problem
from companion.tray.rows import WIDTH, DesktopInfo, Row

RUNS, STOPPED = Condition(Health.RUNNING), Condition(Health.ABSENT)
DASH = "\N{EN DASH}"
DESK = DesktopInfo(editors=(("zed", "Zed"),), today="2026-11-27")


def sandbox(directory: str, condition: Condition = RUNS, **more: object) -> AgentView:
    """Return a sandbox whose agent has another name than its directory."""
    ref = AgentRef(Project(Path("/home/me") / directory, directory))
    alias = f"{ref.name}.sandbox"
    return replace(AgentView(ref, "agent", alias, condition=condition), **more)


def test_a_restart_that_brings_an_update_says_so():
    def texts(waits: str) -> list[str]:
        found = rows(view(sandbox("a", update_waits=waits)), DESK)
        return [row.text for one in found for row in inner(one)]

    assert "Restart" in texts("")
    assert "Restart, for the update of Companion" in texts(UPDATE_WAITS)
    assert "Restart, for your changes and the update of Companion" in texts(
        update_sentence(["limits"])
    )
    assert any(text.endswith("update at restart") for text in texts(UPDATE_WAITS))


def view(*sandboxes: AgentView) -> View:
    return View({one.id: one for one in sandboxes})


def shown(found: View) -> list[str]:
    """Return the rows of the sandboxes."""
    texts = [row.text for row in rows(found, DESK)][2:]
    return texts[: texts.index("-")]


def inner(row: Row) -> list[Row]:
    return [row, *(one for below in row.rows for one in inner(below))]


def verbs(found: View) -> list[Verb]:
    every = [one for row in rows(found, DESK) for one in inner(row)]
    return [row.click.verb for row in every if row.click]


def test_sandboxes_are_in_the_order_of_the_names_shown_and_first_those_that_need_their_user():
    waits = sandbox("zebra", attention=Attention.WAITING)
    broken = sandbox("yak", trouble=Problem("x"))
    found = view(sandbox("b"), broken, sandbox("a", STOPPED), sandbox("C"), waits)
    assert rows(found, DESK)[0].text == "▲ 4 running · 1 stopped · 2 need you"
    assert rows(found, DESK)[0].click == Click(Verb.ANSWER, waits.id), "the same as the first row"
    assert shown(found) == [
        f"◆ zebra {DASH} waits for you",
        f"▲ yak {DASH} running · change not applied",
        f"○ a {DASH} stopped",
        f"● b {DASH} running",
        f"● C {DASH} running",
    ]
    assert icon_state(view(sandbox("b"), waits)) is IconState.WAITING
    assert title(view(waits)) == "Companion: zebra waits for you"
    assert verbs(view(waits)).count(Verb.ANSWER) == 2, "status row, and its own"


def test_a_sandbox_that_stopped_waits_for_nobody():
    assert shown(view(sandbox("a"), sandbox("b", STOPPED, attention=Attention.WAITING)))[1:] == [
        f"○ b {DASH} stopped"
    ]


@pytest.mark.parametrize("condition", [RUNS, STOPPED])
def test_restart_and_start_are_never_offered_together(condition: Condition):
    found = verbs(view(sandbox("a", condition)))
    assert (Verb.RESTART in found) is (condition is RUNS)
    assert (Verb.START in found) is (condition is STOPPED)
    assert (Verb.STOP in found) is (condition is RUNS)


def test_a_long_list_stays_usable():
    names = [f"customer-portal-with-a-very-long-name-{n:02}-of-the-backend" for n in range(24)]
    every = [sandbox(name, RUNS if n < MOST + 2 else STOPPED) for n, name in enumerate(names)]
    found = view(*every)
    texts = shown(found)
    assert texts[MOST:] == ["2 more", "○ 12 stopped"]
    assert len(set(texts)) == MOST + 2
    assert all(len(one.text) <= WIDTH for row in rows(found, DESK) for one in inner(row))
    assert texts[0].startswith("● customer-portal-wi")
    assert texts[0].endswith(f"00-of-the-backend {DASH} running")


def test_two_directories_of_one_name_are_told_apart():
    assert shown(view(sandbox("work/app"), sandbox("play/app"), sandbox("other"))) == [
        f"● app (play) {DASH} running",
        f"● app (work) {DASH} running",
        f"● other {DASH} running",
    ]


def test_the_row_of_a_silent_engine_does_not_claim_to_know_its_sandboxes():
    podman = EngineChoice("podman", "/usr/bin/podman")
    found = replace(view(sandbox("a", engine=podman), sandbox("b")), silent=frozenset({podman}))
    assert rows(found, DESK)[0].text == "⊘ podman does not answer · 1 running · 1 unknown"
    assert shown(found) == [f"⊘ a {DASH} unknown", f"● b {DASH} running"]


def test_work_under_way_is_told_without_its_reason():
    steps = ("building the agent image: its definition has no agent image yet", "  STEP 3/9: RUN x")
    texts = [shown(view(sandbox("a", step=step), sandbox("b")))[0] for step in steps]
    assert texts == [
        f"◐ a {DASH} working: building the agent image",
        f"◐ a {DASH} working: STEP 3/9: RUN x",
    ]


def test_addresses_of_published_ports_are_opened_from_the_menu():
    found = view(sandbox("app", replace(RUNS, published=((3000, 3000),))))
    (address,) = [row for row in rows(found, DESK) if row.text == "http://app.localhost:3000"]
    assert address.click == Click(Verb.VISIT, "app", port=3000)


@pytest.mark.parametrize(
    ("problem", "verb"),
    [
        (Problem("it failed:\n  E: no", code=Code.BUILD_FAILED), Verb.BUILD_LOG),
        (Problem("K has no value", "run `companion secret set K`, or add K=… to .env",
                 Position("agent.yaml", 3, 1), Code.SECRET_MISSING), Verb.SECRET),
        (Problem("bad", place=Position(".env", 1, 1)), Verb.EDIT),
        (Problem("n", "run `companion oauth n`", Position("agent.yaml", 1, 1)), Verb.AUTHORIZE),
        (Problem("n", "run `companion oauth n --x`", Position("agent.yaml", 1, 1)), Verb.EDIT),
        (Problem("docker does not answer", code=Code.ENGINE_SILENT), Verb.DOCTOR),
        (Problem("unexpected"), Verb.LOG),
    ],
)  # fmt: skip
def test_a_click_on_a_problem_leads_to_what_mends_it(problem: Problem, verb: Verb):
    label, click = of_problem("p", problem)
    assert click.verb is verb
    assert click.file == (problem.place.file if verb is Verb.EDIT and problem.place else "")
    before = view(sandbox("p"))
    news = WorkFinished("p", "not changed", problem)
    told = notification_for(fold(before, news), news)
    assert told
    assert told.actions == ((label, click),)


def test_a_failed_build_is_told_with_the_tools_last_line():
    what = "the agent image could not be built:\n  Reading lists\n  E: Unable to locate package x"
    news = WorkFinished("p", "not changed", Problem(what, "see the log", code=Code.BUILD_FAILED))
    told = notification_for(fold(view(sandbox("p")), news), news)
    assert told
    assert told.text.splitlines() == [
        "the agent image could not be built: E: Unable to locate package x",
        "See the log",
    ]


def test_recent_events_are_the_last_ones_once_each():
    found = view(sandbox("p"))
    ready = WorkFinished("p", "restarted, ready 1.0 s after the save", changed=True)
    happened = event(found, ready, 1.0)
    assert happened
    assert happened.text == "p: restarted, ready 1.0 s after the save"
    assert event(found, WorkFinished("p", "nothing to do"), 1.0) is None
    events = Events()
    for number in range(2 * MOST_EVENTS):
        events = events.after(Event(number, f"{number // 2}"))
    assert [one.text for one in events.rows] == [str(n) for n in range(MOST_EVENTS)][::-1]
    (menu,) = [row for row in rows(replace(found, events=events), DESK) if row.key == "events"]
    assert menu.text == "Recent events"
    later = replace(found, events=events.after(Event(99.0, "new")))
    (then,) = [row for row in rows(later, DESK) if row.key == "events"]
    assert then.rows[1].key == menu.rows[0].key, "a click would show another event"


def test_a_click_leads_to_the_terminal_of_one_of_several_sandboxes_in_a_directory(tmp_path: Path):
    home = Paths(tmp_path, *(tmp_path / name for name in ("config", "data", "state", "programs")))
    for name in ("app", "app-codex"):
        runs.write(home, Run(name, "codex", "/home/me/app"))
    ref = AgentRef(Project(home.sandboxes / "app-codex", "1"))
    click = Click(Verb.ANSWER, "1/app-codex")
    words = commands.words(home, AgentView(ref, "app-codex"), click)
    assert words == ("run", "--name", "app-codex", "/home/me/app")


def test_a_removal_says_that_a_worktree_is_removed_too():
    tree = Worktree("/w", "/r/.git", "w", "agent/w", makes_branch=True)
    said = commands.kept("/state/w", Run("w", "pi", "/w", tree))
    assert said.startswith("Removes the worktree /w and its branch agent/w, unless")
    assert "Its files in /r and" in commands.kept("/state/r", Run("r", "pi", "/r"))
    assert "Its files in /p and" in commands.kept("/p", None)
