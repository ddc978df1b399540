"""What a worker says of an order, with its agent's lock in other hands."""

from pathlib import Path

import pytest

from companion.daemon import worker
from companion.daemon.news import Progressed
from companion.daemon.scheduler import Order, Work
from companion.daemon.view import AgentView
from companion.project import discovery
from companion.reconcile import teardown
from companion.system import locks
from companion.system.paths import Paths


@pytest.mark.parametrize("order", [Order.START, Order.RESTART])
def test_a_start_that_somebody_stopped_meanwhile_is_no_trouble(tmp_path: Path, order: Order):
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "agent.yaml").write_text("name: coder\nruntime: {base_image: debian}\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/settings.yaml").write_text(f"trust: {{always: [{tmp_path}]}}\n")
    home = Paths(tmp_path, *(tmp_path / name for name in ("config", "data", "state", "programs")))
    (ref,) = discovery.agent_refs(discovery.project(directory))
    agent_paths = home.project(ref.project.id).agent("coder")
    other = locks.attempt(agent_paths.lock)

    def stop_and_let_go(_: Progressed) -> None:
        teardown.request_stop(agent_paths)
        other.__exit__(None, None, None)

    assert other.__enter__()
    done = worker.carry_out(home, Work(ref.key, order, 0.0), AgentView(ref), stop_and_let_go)
    assert (done.text, done.trouble) == ("stopped before the change began", None)
