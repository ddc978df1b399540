"""A sandbox that runs but cannot be reached is repaired by `up`, by the least that helps."""

import re
import shlex
import subprocess

import pytest
from sandboxes import Box

pytestmark = pytest.mark.engine


def flush_rules(box: Box) -> int:
    """Delete the box's firewall rules, as a reload of a firewall does; return how many."""
    network = re.escape(box.bridge.rpartition(".")[0])
    ours = re.compile(rf"-A .*({network}\.|--dport {box.port} )")
    deleted = 0
    for table in ("nat", "filter"):
        argv = ["iptables-save", "-t", table]
        saved = subprocess.run(argv, check=True, capture_output=True, text=True)
        for line in filter(ours.match, saved.stdout.splitlines()):
            argv = ["iptables", "-t", table, *shlex.split(line.replace("-A", "-D", 1))]
            deleted += subprocess.run(argv, check=False, capture_output=True).returncode == 0
    return deleted


def test_flushed_firewall_rules_are_restored_and_nothing_restarts(box: Box):
    if box.name == "docker":
        pytest.skip("docker's own proxy carries the port, without a rule")
    before = box.ids()
    assert flush_rules(box) > 0
    assert box.desk.ssh(box.alias, "true", "-o", "ConnectTimeout=3").code != 0
    plan = box.companion("plan", "--json").agent
    assert [step["code"] for step in plan["steps"]] == ["unreachable"]
    assert plan["change"] == "reload"
    done = box.companion("up").ok()
    assert "restoring the network rules of coder-gateway" in done.err
    box.ssh("true").ok()
    assert box.ids() == before
    assert box.companion("plan", "--json").agent["steps"] == []


def test_an_agent_whose_sshd_hangs_is_replaced(box: Box):
    before = box.ids()
    find = "grep -lz sshd /proc/[0-9]*/cmdline"
    end = f'for file in $({find}); do kill -STOP "$(echo $file | cut -d/ -f3)"; done'
    box.engine("exec", box.container("coder"), "bash", "-c", end)
    done = box.companion("up").ok()
    assert "SSH of coder does not answer" in done.err
    box.ssh("true").ok()
    assert box.ids() != before
