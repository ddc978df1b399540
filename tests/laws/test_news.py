"""What follows from an engine's answer: pure, so every case is a value."""

import socket
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from companion.daemon.news import (
    AgentStopped,
    EngineObserved,
    EngineSilent,
    ExposureChanged,
    WorkCrashed,
    WorkFinished,
    fold,
    is_known,
    reactions,
)
from companion.daemon.scheduler import Touched
from companion.daemon.view import AgentView, IconState, View
from companion.daemon.wording import event, icon_state, line, summary
from companion.engine.client import Engine
from companion.engine.model import Condition, Container, EngineChoice, Health
from companion.errors import Code, Problem
from companion.operations import reachability
from companion.operations.condition import condition
from companion.project.model import AgentRef, Project
from companion.spec.containers import Role
from companion.tray.notifications import notification_for

PODMAN, DOCKER = (EngineChoice(name, f"/usr/bin/{name}") for name in ("podman", "docker"))
REF = AgentRef(Project(Path("/p"), "p-1"))
AGENT = AgentView(REF, "coder", engine=PODMAN, condition=Condition(Health.RUNNING), settled=True)
BEFORE = View({AGENT.id: AGENT})


def observed(health: Health, engine: EngineChoice = PODMAN) -> EngineObserved:
    return EngineObserved(
        engine, {"p-1": {"coder": Condition(health, 3 if health is Health.CRASHED else 0)}}
    )


def after(news: EngineObserved, before: View = BEFORE) -> tuple[AgentView, tuple[object, ...]]:
    view = fold(before, news)
    return view.sandboxes[AGENT.id], reactions(before, view, news)


def test_a_sandbox_that_runs_as_before_needs_nothing():
    assert after(observed(Health.RUNNING)) == (AGENT, ())


def test_a_broken_sandbox_is_looked_at_again_and_is_settled_no_more():
    agent, reaction = after(observed(Health.BROKEN))
    assert not agent.settled
    assert reaction == (Touched(AGENT.id),)


def test_a_broken_sandbox_that_is_being_worked_on_is_left_to_that_work():
    busy = View({AGENT.id: replace(AGENT, step="starting coder-net")})
    assert after(observed(Health.BROKEN), busy)[1] == ()


@pytest.mark.parametrize("changed", [True, False], ids=["repaired", "nothing to do"])
def test_an_engine_is_observed_again_after_work_that_causes_no_event(changed: bool):
    broken = fold(BEFORE, observed(Health.BROKEN))
    repaired = WorkFinished(AGENT.id, "ready", changed=changed, settled=True)
    done = fold(broken, repaired)
    assert reactions(broken, done, repaired) == (Touched(PODMAN),)
    assert after(observed(Health.BROKEN), done)[1] == (), "it goes round in circles"
    assert reactions(BEFORE, fold(BEFORE, repaired), repaired) == ()
    failed = WorkFinished(AGENT.id, "SSH does not answer")
    assert reactions(broken, fold(broken, failed), failed) == ()


def test_what_is_unprotected_is_a_note_and_what_is_new_there_needs_its_user():
    gone = Problem("coder can change x", "restart", code=Code.GIT_UNPROTECTED)
    evil = Problem("x: git obeys core.fsmonitor, which is new", code=Code.GIT_CHANGED)
    titles = []
    for problems, state in (((gone,), IconState.IDLE), ((gone, evil), IconState.ATTENTION)):
        news = ExposureChanged(AGENT.id, problems)
        view = fold(BEFORE, news)
        assert icon_state(view) is state
        assert "git is unprotected" in summary(view)
        assert line(view, news).count("\n") == len(problems) - 1
        remembered = event(view, news, 0.0)
        assert remembered
        assert remembered.text.startswith(f"p: {problems[-1].what}")
        assert is_known(view, news)
        assert not is_known(BEFORE, news)
        told = notification_for(view, news)
        assert told
        titles.append(told.title)
    assert titles == ["p: git is unprotected", "p: look before you run git"]
    assert fold(view, ExposureChanged(AGENT.id, ())) == BEFORE


def test_a_crash_is_reported_once():
    view = fold(BEFORE, observed(Health.CRASHED))
    assert reactions(BEFORE, view, observed(Health.CRASHED)) == (
        WorkCrashed(AGENT.id, "crashed (exit code 3)"),
    )
    assert reactions(view, fold(view, observed(Health.CRASHED)), observed(Health.CRASHED)) == ()


def test_an_agent_that_somebody_else_stopped_is_reported_once():
    stopped_one = {"p-1": {"coder": Condition(Health.STOPPED, 137)}}
    killed = EngineObserved(PODMAN, stopped_one, frozenset({("p-1", "coder")}))
    view = fold(BEFORE, killed)
    (stopped,) = reactions(BEFORE, view, killed)
    assert isinstance(stopped, AgentStopped)
    said = "p: its container was ended outside Companion (exit code 137)"
    assert line(view, stopped) == said
    assert reactions(view, fold(view, killed), killed) == ()
    busy = View({AGENT.id: replace(AGENT, step="replacing coder")})
    assert reactions(busy, fold(busy, killed), killed) == ()


def test_an_engine_that_answers_again_has_all_its_agents_looked_at():
    silent = fold(BEFORE, EngineSilent(PODMAN, "podman does not answer"))
    agent, reaction = after(observed(Health.RUNNING), silent)
    assert not agent.settled
    assert reaction == (Touched(AGENT.id),)


def test_another_engines_answer_says_nothing_of_an_agent():
    assert after(observed(Health.BROKEN, DOCKER)) == (AGENT, ())


def test_an_agent_is_settled_from_its_first_settled_work_until_its_engine_says_otherwise():
    start = View({AGENT.id: replace(AGENT, settled=False)})
    done = fold(start, WorkFinished(AGENT.id, "ready", settled=True))
    assert done.sandboxes[AGENT.id].settled
    assert fold(done, WorkFinished(AGENT.id, "paused")).sandboxes[AGENT.id].settled
    assert not fold(done, observed(Health.BROKEN)).sandboxes[AGENT.id].settled


@pytest.mark.parametrize(
    ("banner", "started", "health"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "2026-01-01T00:00:00+00:00", Health.RUNNING),
        (b"", "2026-01-01T00:00:00+00:00", Health.BROKEN),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "2026-01-01T00:00:00+00:00", Health.BROKEN),
        (b"", "9999-01-01T00:00:00+00:00", Health.RUNNING),
    ],
    ids=["answers", "silent", "another server", "only starts"],
)
def test_a_sandbox_whose_ssh_does_not_answer_is_broken(banner: bytes, started: str, health: Health):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        Thread(target=introduce, args=(server, banner), daemon=True).start()
        agent = replace(container(Role.AGENT), ssh_port=port, started=started)
        seen = condition(Engine(PODMAN), (agent,))
        assert reachability.judged(seen, (agent,)).health is health


def test_a_sandbox_whose_ssh_missed_one_try_runs():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drop_the_first() -> None:
            server.accept()[0].close()
            introduce(server, b"SSH-2.0-OpenSSH_9.2p1\r\n")

        Thread(target=drop_the_first, daemon=True).start()
        agent = replace(container(Role.AGENT), ssh_port=server.getsockname()[1])
        seen = condition(Engine(PODMAN), (agent,))
        assert reachability.judged(seen, (agent,)).health is Health.RUNNING


def introduce(server: socket.socket, banner: bytes) -> None:
    with suppress(OSError):
        while True:
            caller, _ = server.accept()
            caller.sendall(banner)
            time.sleep(3)
            caller.close()


def container(role: Role) -> Container:
    return Container(
        id=role, name=f"p-{role}", project="p-1", service=role, agent="coder", role=role,
        spec="", running=True, status="running", exit_code=0, out_of_memory=False,
        started="2026-01-01T00:00:00Z", network_mode="",
    )  # fmt: skip


def test_an_agent_whose_container_was_removed_was_stopped_unless_companion_did_that():
    left = tuple(container(role) for role in Role if role is not Role.AGENT)
    news = EngineObserved(PODMAN, {"p-1": {"coder": condition(Engine(PODMAN), left)}})
    agent, reaction = after(news)
    assert (agent.health, reaction) == (Health.ABSENT, ())
    removed = replace(news, ended=frozenset({("p-1", "coder")}))
    text = "its container was removed outside Companion"
    assert after(removed)[1] == (AgentStopped(AGENT.id, text),)
    assert after(removed, fold(BEFORE, removed))[1] == ()


THREE = ("coder-gateway", "coder-net", "coder")
FOUR = (*THREE, "coder-ingress")


@pytest.mark.parametrize(
    ("started", "runs", "health"),
    [
        (FOUR, FOUR, Health.RUNNING),
        (FOUR, THREE, Health.BROKEN),
        (THREE, THREE, Health.RUNNING),
        (THREE, ("coder-gateway", "coder"), Health.BROKEN),
        ((), THREE, Health.RUNNING),
        ((), ("coder-net", "coder"), Health.BROKEN),
    ],
)
def test_a_sandbox_is_whole_if_all_that_its_version_started_runs(
    started: tuple[str, ...], runs: tuple[str, ...], health: Health
):
    roles = {role.service_of("coder"): role for role in Role}
    mode = "container:coder-net"
    there = [replace(container(roles[name]), service=name, network_mode=mode) for name in runs]
    ended = replace(container(Role.NET), service="coder-later", role=None, running=False)
    assert condition(Engine(PODMAN), (*there, ended), started).health is health
