"""Figures: the kernel's counters in both of its layouts, and what follows from two samples."""

from dataclasses import replace
from pathlib import Path

import pytest

from companion.engine.model import Container
from companion.operations.figures import Figures, Sample, figures
from companion.spec.identity import Role
from companion.system import usage
from companion.system.usage import Usage

ID = "c0ffee" * 10 + "beef"
NET = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0
  eth0: 1000 10 0 0 0 0 0 0 300 5 0 0 0 0 0 0
  eth1:20 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0
"""
OLD = {
    "proc/7/cgroup": f"4:memory:/docker/{ID}\n2:cpu,cpuacct:/docker/{ID}\n0::/docker/{ID}\n",
    f"sys/fs/cgroup/memory/docker/{ID}/memory.usage_in_bytes": "5000\n",
    f"sys/fs/cgroup/memory/docker/{ID}/memory.stat": "inactive_file 1\ntotal_inactive_file 900\n",
    f"sys/fs/cgroup/cpuacct/docker/{ID}/cpuacct.usage": "2500000000\n",
}
SCOPE = f"user.slice/libpod-{ID}.scope"
NEW = {
    "proc/7/cgroup": f"0::/{SCOPE}/container\n",
    f"sys/fs/cgroup/{SCOPE}/memory.current": "5000\n",
    f"sys/fs/cgroup/{SCOPE}/memory.stat": "anon 3000\ninactive_file 900\n",
    f"sys/fs/cgroup/{SCOPE}/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
}


@pytest.mark.parametrize("layout", [OLD, NEW], ids=["version 1", "version 2"])
def test_the_kernels_counters_of_a_container_are_read(tmp_path: Path, layout: dict[str, str]):
    for name, text in ({"proc/7/net/dev": NET} | layout).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usage.of_container(ID, 7, tmp_path) == Usage(4100, 2.5, 1020, 307)
    other = ID.replace("beef", "cafe")
    assert usage.of_container(other, 7, tmp_path) is None, "a process of another container"
    assert usage.of_container("", 7, tmp_path) is None
    assert usage.of_container(ID, 8, tmp_path) is None
    (tmp_path / "proc/7/net/dev").write_text(f"{NET}  eth2: 1 2")
    assert usage.of_container(ID, 7, tmp_path) is None, "a table that is cut off"


def container(number: str, role: Role) -> Container:
    base = Container(number, number, "p", number, "a", role, "", True, "", 0, False, "", "")
    return replace(base, pid=1)


PARTS = (container("agent", Role.AGENT), container("net", Role.NET))


def test_figures_are_what_all_containers_use_between_two_samples():
    before = Sample(10.0, {"agent": Usage(100, 1.0, 0, 50), "net": Usage(10, 0.0, 0, 50)})
    now = Sample(12.0, {"agent": Usage(200, 2.0, 400, 90), "net": Usage(10, 0.5, 400, 90)})
    assert figures(PARTS, before, now) == Figures(210, 0.75, 200.0, 20.0)
    assert figures(PARTS, None, now) == Figures(210)


def test_a_container_that_was_replaced_in_between_counts_from_then_on():
    before = Sample(10.0, {"agent": Usage(100, 9.0, 9, 9), "old": Usage(10, 9.0)})
    now = Sample(11.0, {"agent": Usage(100, 9.5, 9, 9), "net": Usage(10, 7.0)})
    assert figures(PARTS, before, now) == Figures(110, 0.5, 0.0, 0.0)


def test_counters_that_began_again_are_no_negative_traffic():
    before = Sample(10.0, {"agent": Usage(100, 9.0, 900, 900)})
    now = Sample(11.0, {"agent": Usage(100, 0.5, 9, 9)})
    assert figures(PARTS, before, now) == Figures(100, 0.0, 0.0, 0.0)


def test_a_sandbox_that_does_not_run_here_has_no_figures():
    assert figures(PARTS, None, Sample(1.0, {})) == Figures()
