"""A sandbox that runs but cannot be reached is repaired by `up`, by the least that helps."""

import json
import re
import shlex
import subprocess
from ipaddress import IPv4Network

import pytest
from desk import Desk, programs_but
from sandboxes import Box

from companion.engine.dialect import DIALECTS
from companion.system import network

pytestmark = pytest.mark.engine


def flush_rules(box: Box) -> int:
    """Delete the box's firewall rules, as a reload of a firewall does; return how many."""
    near = re.escape(box.bridge.rpartition(".")[0])
    ours = re.compile(rf"-A .*({near}\.|--dport {box.port} )")
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
    assert "restoring the network rules of coder-ingress" in done.err
    box.ssh("true").ok()
    assert box.ids() == before
    assert box.companion("plan", "--json").agent["steps"] == []


def test_a_gateway_that_reaches_nothing_is_reported_with_the_next_step(box: Box):
    if not network.answers_queries(network.nameserver() or "127.0.0.1"):
        pytest.skip("no nameserver beyond this machine answers: see /etc/resolv.conf")
    rule = ["FORWARD", "-s", str(IPv4Network(f"{box.bridge}/28", strict=False)), "-j", "DROP"]
    assert json.loads(box.companion("up", "--json").ok().out)["problems"] == []
    subprocess.run(["iptables", "-I", *rule], check=True)
    try:
        done = box.companion("up", "--json").ok()
        (other,) = DIALECTS.keys() - {box.name}  # which would be asked for all that it stores
        alone = Desk(box.desk.home, box.desk.environment | {"PATH": programs_but(other)})
        doctor = alone.companion("doctor", "--json").data
        assert any("leaves this machine" in finding["what"] for finding in doctor)
    finally:
        subprocess.run(["iptables", "-D", *rule], check=True)
    assert [problem["code"] for problem in json.loads(done.out)["problems"]] == ["no-way-out"]


@pytest.mark.one_engine
def test_an_agent_whose_sshd_hangs_is_replaced(box: Box):
    before = box.ids()
    find = "grep -lzE ^[a-z/]*sshd /proc/[0-9]*/cmdline"
    end = f'for file in $({find}); do kill -STOP "$(echo $file | cut -d/ -f3)"; done'
    box.engine("exec", box.container("coder"), "bash", "-c", end)
    done = box.companion("up").ok()
    assert "SSH of coder does not answer" in done.err
    box.ssh("true").ok()
    assert box.ids() != before
