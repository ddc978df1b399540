"""What a worker says of an order, with its agent's lock in other hands."""

from pathlib import Path

import pytest

from companion.daemon import worker
from companion.daemon.news import Progressed, fold
from companion.daemon.scheduler import Order, Work
from companion.daemon.view import AgentView, View
from companion.project import discovery, store
from companion.project.model import AgentRef
from companion.project.record import UPDATE_WAITS, AgentRecord, Applied
from companion.reconcile import teardown
from companion.sandbox.allocation import Allocation
from companion.system import files, locks
from companion.system.paths import Paths


@pytest.fixture
def home(tmp_path: Path) -> Paths:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/settings.yaml").write_text(f"trust: {{always: [{tmp_path}]}}\n")
    return Paths(tmp_path, *(tmp_path / name for name in ("config", "data", "state", "programs")))


@pytest.fixture
def ref(home: Paths) -> AgentRef:
    directory = home.home / "project"
    directory.mkdir()
    (directory / "agent.yaml").write_text("name: coder\nruntime: {base_image: debian}\n")
    return discovery.agent_refs(discovery.project(directory))[0]


@pytest.mark.parametrize("order", [Order.START, Order.RESTART])
def test_a_start_that_somebody_stopped_meanwhile_is_no_trouble(
    home: Paths, ref: AgentRef, order: Order
):
    agent_paths = home.project(ref.project.id).agent("coder")
    other = locks.attempt(agent_paths.lock)

    def stop_and_let_go(_: Progressed) -> None:
        teardown.request_stop(agent_paths)
        other.__exit__(None, None, None)

    assert other.__enter__()
    done = worker.carry_out(home, Work(ref.key, order, 0.0), AgentView(ref), stop_and_let_go)
    assert (done.text, done.trouble) == ("stopped before the change began", None)


def test_an_update_that_waits_is_told_of_a_paused_sandbox_too(home: Paths, ref: AgentRef):
    project_paths = home.project(ref.project.id)
    started = Applied(parts={"coder": {"image": "of another version"}}, version="0.0.9")
    kept = Allocation("coder.sandbox", "10.231.0.0/28", "10.231.0.16/28", 2222)
    store.write(project_paths.agent("coder"), AgentRecord(kept, wanted="up", applied=started))
    files.make_private_dir(project_paths.paused.parent)
    project_paths.paused.touch()
    known = AgentView(ref, "coder")
    done = worker.carry_out(home, Work(ref.key, Order.LOOK, 0.0), known, lambda _: None)
    view = fold(View({known.id: known}), done)
    assert done.text.startswith("paused")
    assert view.sandboxes[known.id].update_waits == UPDATE_WAITS
