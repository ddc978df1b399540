"""One real sandbox per engine, seen from the desktop, from inside, and through the engine."""

import base64
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ports
import pytest
from desk import CANARY, COMPANION, TRACES, Desk, no_secret_in
from internet import tell_address
from sandboxes import SERVICES, Box, wait_until

from companion.engine import gateway_socket
from companion.engine.client import Engine
from companion.engine.detection import detect
from companion.plugins import instructions
from companion.render import haproxy
from companion.sandbox import addressing
from companion.system import network

pytestmark = pytest.mark.engine

HERE = "host.containers.internal"
REFUSED_AT_ONCE = {
    "a host that is not listed, by TLS": "curl -sS -m 8 https://example.com/",
    "a host that is not listed, by HTTP": "curl -sSf -m 8 http://example.com/",
    "a listed host on another port": "curl -sSf -m 8 http://listed.test:81/",
    "an address of the internet": "curl -sSf -m 8 http://1.1.1.1/",
    "an address of the internet, by TLS": "curl -sSk -m 8 https://1.1.1.1/",
    "the metadata address": "curl -sSf -m 8 http://169.254.169.254/",
    "the desktop on a port that is not configured": (
        "curl -sSf -m 8 http://host.containers.internal:8099/"
    ),
    "the engine's bridge": "curl -sSf -m 8 http://{bridge}:8099/",
    "the gateway's ingress": "exec 3<>/dev/tcp/{ingress}/2222; timeout 2 grep -m1 SSH <&3",
    "another resolver": "exec 3<>/dev/udp/198.51.100.7/5353; echo x >&3; echo x >&3",
    "docker's own resolver": "exec 3<>/dev/udp/127.0.0.11/53; echo x >&3; echo x >&3",
    "udp to anywhere": "exec 3<>/dev/udp/198.51.100.7/443; echo x >&3; echo x >&3",
    "ipv6": "curl -sS -m 8 -6 http://[2606:4700:4700::1111]/",
    "an upper-case name": "curl -sSf -m 8 http://EXAMPLE.com/",
    "a trailing dot": "curl -sSf -m 8 http://host.containers.internal.:8000/",
    "TRACE": "curl -sSf -m 8 -X TRACE http://host.containers.internal:8000/",
    "CONNECT": "curl -sSf -m 8 -p -x http://host.containers.internal:8000 https://example.com/",
    "another Host on a configured port": (
        "curl -sSf -m 8 -H 'Host: example.com:8000' http://host.containers.internal:8000/"
    ),
    "another Host inside the intercepted TLS": (
        "curl -sSf -m 8 -H 'Host: example.com' https://host.containers.internal:8443/"
    ),
    "a writable system": "touch /etc/x || touch /usr/local/bin/x",
    "the keys' directory": "touch /companion/sshd/authorized_keys",
    "the secrets": "ls /companion/secrets",
    "a namespace of its own": "unshare -rn curl -sSf -m 8 http://host.containers.internal:8000/",
    "the routes": "ip route del default",
    "the firewall": "iptables -F",
    "an engine's socket": "ls /var/run/docker.sock /run/podman/podman.sock",
}


def test_ssh_by_alias_is_the_agents_user_without_any_privilege(box: Box):
    said = box.run("id -un; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status").split()
    assert said[0] == "agent"
    none = "0" * 16
    assert said[1:] == ["CapEff:", none, "CapBnd:", none, "NoNewPrivs:", "1"]


def test_every_service_gets_its_own_key_and_the_agents_own_header_is_replaced(box: Box):
    dummy = "-H 'Authorization: Bearer dummy' -H 'X-Key: dummy'"
    for port, scheme in ((8000, "http"), (8001, "http"), (8443, "https")):
        url = f"{scheme}://host.containers.internal:{port}/v1/x"
        assert box.run(f"curl -sS -m 8 {dummy} {url}") == "echo"
    assert box.seen[8000][-1]["authorization"] == f"Bearer {CANARY}-one"
    assert box.seen[8000][-1]["x-key"] == "dummy"
    assert box.seen[8001][-1]["x-key"] == f"{CANARY}-two"
    assert "authorization" not in box.seen[8001][-1], "another credential"
    assert box.run("curl -sS -m 8 https://host.containers.internal/api") == "echo"
    basic = base64.b64encode(f"x-access-token:{CANARY}-three$".encode()).decode()
    assert box.seen[443][-1]["authorization"] == f"Basic {basic}"
    assert box.seen[8443][-1]["authorization"] == f'odd "%[env(X)]\\ {CANARY}-three$'


@pytest.mark.parametrize("door", [addressing.SINKHOLE, addressing.DIRECT])
def test_a_request_is_judged_alike_by_whichever_address_it_comes(box: Box, door: str):
    """The names of intercepted services lead straight to where their TLS ends, others do not."""
    ask = "curl -sk -m 8 -w '%{{http_code}}' --resolve {0}:443:{1} https://{0}/door {2}".format
    name, before = "host.containers.internal", len(box.seen[443])
    assert box.run(ask(name, door, "")) == "echo200"
    assert box.seen[443][-1]["authorization"].startswith("Basic ")
    assert box.run(ask(name, door, f"-H 'Host: {name}:8443'")).endswith("421")
    assert box.run(ask(name, door, "-H 'Host: listed.test'")).endswith("421")
    refused = box.ssh(ask("not-listed.test", door, ""))
    assert (refused.code, refused.out[-3:]) == (
        (0, "403") if door == addressing.SINKHOLE else (35, "000")
    )
    assert len(box.seen[443]) == before + 1
    logs = box.companion("logs", "coder", "--egress", "-v").ok().out
    assert f"https {name} port=443 GET /door status=200" in logs


def test_the_address_of_a_name_follows_whether_it_is_intercepted(box: Box):
    config, addresses = box.project / "agent.yaml", []
    kept = config.read_text()
    for domains in ("host.containers.internal, listed.test", "host.containers.internal"):
        config.write_text(
            kept.replace("domains: [host.containers.internal]", f"domains: [{domains}]")
        )
        assert box.companion("up", "--json").ok().agent["change"] == "reload"
        addresses += box.run("getent ahostsv4 listed.test | head -1").split()[:1]
        assert box.ssh("getent ahostsv6 listed.test").code != 0
    assert addresses == [addressing.DIRECT, addressing.SINKHOLE]


def test_an_upstream_with_a_certificate_that_nobody_signed_is_refused(box: Box):
    url = "https://host.containers.internal:8444/"
    assert box.run(f"curl -s -o /dev/null -w '%{{http_code}}' -m 8 {url}") in {"502", "503"}
    assert not box.seen[8444]


@pytest.mark.parametrize("what", REFUSED_AT_ONCE)
def test_the_way_out_is_refused_at_once(box: Box, what: str):
    command = REFUSED_AT_ONCE[what].format(bridge=box.bridge, ingress=box.ingress)
    timed_out = {28, 124}  # curl's and timeout's words for it
    assert box.ssh(command).code not in {0, *timed_out}


def test_a_refusal_says_why_and_stands_in_the_logs(box: Box):
    said = box.run("curl -s http://not-listed.test/")
    assert "egress list of agent.yaml" in said
    assert said.endswith("companion allow coder not-listed.test")
    logs = box.companion("logs", "coder").ok().out
    assert "not-listed.test:80 refused: not in the egress list" in logs
    logs = box.companion("logs", "coder", "--egress").ok().out
    assert "not-listed.test:80 refused: not in the egress list" in logs
    logs = box.companion("logs", "coder", "--egress", "-v").ok().out
    assert "not-listed.test port=80 GET / status=403 why=egress" in logs
    hosts = {h["host"]: h for h in box.companion("network", "coder", "--json").ok().data["hosts"]}
    assert hosts["not-listed.test"]["last_was_refused"]
    assert hosts["not-listed.test"]["why"] == "egress"
    shown = box.companion("network", "coder").ok().out
    assert "not-listed.test:80" in shown
    assert "not in the egress list" in shown


def test_a_refused_tls_connection_says_why_by_the_name_of_its_certificate(box: Box):
    name = "not-listed-by-tls.test"
    refused = box.ssh(f"curl -sS -m 8 https://{name}/")
    assert refused.code == 60
    assert f"'{instructions.REFUSED}' does not match target host name '{name}'" in refused.err
    said = box.run(f"curl -sSk -m 8 https://{name}/")
    assert said.endswith(f"companion allow coder {name}")
    hosts = {h["host"]: h for h in box.companion("network", "coder", "--json").ok().data["hosts"]}
    assert (hosts[name]["refused"], hosts[name]["allowed"]) == (2, 0)


def test_a_host_that_is_allowed_once_passes_at_once_and_nothing_restarts(box: Box):
    config, before = box.config_text(), box.ids()
    ask = "curl -s -m 8 http://allowed-once.test/"
    assert "egress list of agent.yaml" in box.run(ask)
    box.companion("allow", "coder", "allowed-once.test", "--once").ok()
    assert "has no address" in box.run(ask)
    box.companion("deny", "coder", "allowed-once.test").ok()
    assert "egress list of agent.yaml" in box.run(ask)
    assert (box.config_text(), box.ids()) == (config, before)


def test_nothing_that_an_agent_sends_keeps_a_request_out_of_the_log(box: Box):
    def seen() -> int:
        found = box.companion("network", "coder", "--json").ok().data["hosts"]
        here = (h["allowed"] for h in found if (h["host"], h["port"]) == (HERE, 8000))
        return next(here, 0)

    before = seen()
    path = "/" + "p" * 3000
    box.run(f"curl -sS -m 8 -o /dev/null 'http://{HERE}:8000{path}?why=x%20status=1'")
    box.run(f"curl -sS -m 8 -o /dev/null -X {'M' * 1500} http://{HERE}:8000/")
    wait_until(lambda: seen() == before + 2, 10)


def test_no_name_leaves_the_sandbox(box: Box):
    assert box.run("getent ahostsv4 secret-data.attacker.test | head -1").split()[0] == "192.0.2.1"
    assert box.ssh("getent ahostsv6 secret-data.attacker.test").code != 0


def test_the_secret_is_nowhere_but_in_the_gateway(box: Box, tmp_path: Path):
    box.run("curl -sS -m 8 http://host.containers.internal:8000/")
    inside = box.ssh(
        "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n';"
        f" grep -rsE '{'|'.join(t[:8] for t in TRACES)}' / --exclude-dir=proc --exclude-dir=sys -l"
    ).out
    assert "/" not in [line for line in inside.splitlines() if "canary" in line]
    said = [inside, box.companion("logs", "coder", "-v").out]
    said += [box.engine("inspect", box.container(s)) for s in SERVICES]
    said += processes_but_of_others(box)
    no_secret_in(*said)
    written = [p.read_bytes() for p in (box.project / ".build").rglob("*") if p.is_file()]
    state = box.desk.home / ".local/state/companion"
    outside = [p for p in state.rglob("*") if p.is_file() and p.parent.name != "secrets"]
    written += [p.read_bytes() for p in outside]
    for tag in {box.inspect(s)["Config"]["Image"] for s in ("coder", "coder-gateway")}:
        subprocess.run([box.name, "save", "-o", tmp_path / "image.tar", tag], check=True)
        written.append((tmp_path / "image.tar").read_bytes())
        (tmp_path / "image.tar").unlink()
    assert not any(trace.encode() in data for data in written for trace in TRACES)
    kept = [p.read_bytes() for p in state.rglob("secrets/*")]
    assert any(TRACES[1].encode() in data for data in kept)


def processes_but_of_others(box: Box) -> list[str]:
    """Return arguments and environment of every process but those of tests that run beside this."""
    argv = ["ps", "-A", "e", "-ww"]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    mine = f" HOME={box.desk.home} "
    return [line for line in lines if mine in line or not re.search(r" HOME=\S+/popen-gw", line)]


def test_no_key_lies_in_an_image_and_every_private_file_is_private(box: Box):
    image = box.inspect("coder")["Config"]["Image"]
    listing = box.engine("run", "--rm", "--entrypoint", "ls", image, "/etc/ssh")
    assert "ssh_host_" not in listing
    roots = (box.desk.home / ".local/state/companion", box.desk.home / ".local/share/companion")
    for path in (p for root in roots for p in root.rglob("*") if p.is_file()):
        if b"PRIVATE KEY" in path.read_bytes() or path.parent.name == "secrets":
            assert path.stat().st_mode & 0o077 == 0, path


def test_the_containers_are_what_the_design_says(box: Box):
    for service in SERVICES:
        data = box.inspect(service)
        host = data["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host["Privileged"] is False
        assert any("no-new-privileges" in option for option in host["SecurityOpt"])
        assert host["PidsLimit"] > 0
        assert host["Memory"] > 0
        assert host["Init"] is True
        for bindings in (host["PortBindings"] or {}).values():
            assert {b["HostIp"] for b in bindings} == {"127.0.0.1"}
    for service in ("coder-gateway", "coder-ingress"):
        assert box.status_of(1, service)["CapBnd"] == "0" * 16
    assert box.status_of(1, "coder")["CapBnd"] == "0" * 16
    assert box.inspect("coder")["HostConfig"]["NetworkMode"].startswith("container:")
    networks = box.inspect("coder-net")["NetworkSettings"]["Networks"]
    assert list(networks) == [f"{box.id}_coder-internal"]


def test_the_holder_keeps_no_privilege_once_the_gate_is_open(box: Box):
    worker = box.engine("exec", box.container("coder-net"), "bash", "-c",
                        "grep -hE 'Name|CapEff|CapBnd' /proc/[0-9]*/status")  # fmt: skip
    lines = worker.split("socat", 1)[1].splitlines()
    assert lines[1].split()[1] == "0" * 16
    assert lines[2].split()[1] == "0" * 16


def test_ssh_is_refused_when_the_host_key_is_another(box: Box):
    kept = box.agent_state / "sshd/host_key"
    original = kept.read_bytes()
    other = box.desk.home / "other_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    try:
        kept.write_bytes(other.read_bytes())
        box.engine("restart", "--time", "1", box.container("coder"))
        wait_until(lambda: box.ssh("true").err != "" and "refused" not in box.ssh("true").err)
        done = box.ssh("true")
        assert done.code == 255
        assert "Host key verification failed" in done.err
    finally:
        kept.write_bytes(original)
        box.engine("restart", "--time", "1", box.container("coder"))
    wait_until(lambda: box.ssh("true").code == 0)


def test_up_on_an_unchanged_project_touches_nothing(box: Box):
    before = box.ids()
    answer = box.companion("up", "--json").ok()
    assert answer.agent["change"] == "none"
    assert box.ids() == before
    assert box.companion("plan", "--check").code == 0


def test_a_new_variable_replaces_the_agent_only_and_the_home_stays(box: Box):
    box.run("echo mine > ~/kept")
    before = box.ids()
    with box.changed('    env: ["COLOUR=blue"]\n'):
        plan = box.companion("plan", "--json", "--check")
        assert plan.code == 4
        assert plan.agent["change"] == "recreate"
        assert [s["step"] for s in plan.agent["steps"]] == [
            f"remove {box.container('coder')}", "start coder",
        ]  # fmt: skip
        assert "environment" in plan.agent["steps"][1]["reason"]
        done = box.companion("up", "--json").ok()
        assert done.agent["steps"] == [s["step"] for s in plan.agent["steps"]]
        assert box.run("echo $COLOUR; cat ~/kept").split() == ["blue", "mine"]
        after = box.ids()
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"coder"}
    box.companion("up").ok()


@contextmanager
def session(box: Box, command: str) -> Iterator[subprocess.Popen[str]]:
    """An SSH session that goes on meanwhile."""
    argv = ["ssh", "-F", box.desk.home / ".ssh/config", "-o", "BatchMode=yes", box.alias, command]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


KEEP_ALIVE = """
trap '' PIPE
ask='GET %s HTTP/1.1\\r\\nHost: host.containers.internal:8001\\r\\n\\r\\n'
exec 3<>/dev/tcp/host.containers.internal/8001
while read -r path; do
  printf "$ask" "$path" >&3 2>/dev/null
  if read -r -t 3 status <&3; then echo "$path $status"; else echo "$path closed"; fi
  while read -r -t 3 line <&3 && [ "$line" != $'\\r' ]; do :; done
  read -r -t 3 -n 4 body <&3
done
"""


def test_a_new_secret_is_taken_in_without_a_restart_also_on_open_connections(box: Box):
    before, env = box.ids(), box.project / ".env"
    kept = env.read_text()
    with session(box, KEEP_ALIVE) as child:
        assert child.stdin
        assert child.stdout
        print("/first", file=child.stdin, flush=True)
        assert child.stdout.readline().startswith("/first HTTP/1.1 200")
        env.write_text(kept.replace(f"{CANARY}-two", f"{CANARY}-new"))
        try:
            assert gateway_socket.reload(box.agent_state / "control"), "the gateway itself listens"
            done = box.companion("up", "--json").ok()
            assert done.agent["change"] == "reload"
            assert done.agent["steps"] == ["reload coder-gateway"]
            box.run("curl -sS -m 8 http://host.containers.internal:8001/after")
            assert box.seen[8001][-1]["x-key"] == f"{CANARY}-new"
            time.sleep(1.5)
            print("/second", file=child.stdin, flush=True)
            assert child.stdout.readline()
            late = [r["x-key"] for r in box.seen[8001] if r[":path"] == "/second"]
            assert f"{CANARY}-two" not in late
        finally:
            env.write_text(kept)
            box.companion("up").ok()
    assert box.ids() == before


def test_a_secret_that_a_command_of_the_user_rotates_is_loaded_without_a_restart(box: Box):
    before, env, settings = box.ids(), box.project / ".env", box.desk.paths.settings
    kept, own = env.read_text(), settings.read_text()
    value, where = box.desk.home / "vault", "http://host.containers.internal:8001"
    asks = f"curl -sS -m 8 {where}/rotated"
    env.write_text(kept.replace(f"TWO={CANARY}-two\n", ""))
    settings.write_text(
        f"{own}secrets: {{TWO: {{command: [cat, {value}], hosts: ['{where}'], renew: 1s}}}}\n"
    )
    try:
        value.write_text(f"{CANARY}-old")
        assert box.companion("up", "--json").ok().agent["steps"] == ["reload coder-gateway"]
        box.run(asks)
        assert box.seen[8001][-1]["x-key"] == f"{CANARY}-old"
        value.write_text(f"{CANARY}-next")
        with box.start("watch") as watcher:
            try:
                wait_until(lambda: box.run(asks) and box.seen[8001][-1]["x-key"][-4:] == "next")
            finally:
                watcher.terminate()
                watcher.communicate()
    finally:
        env.write_text(kept)
        settings.write_text(own)
        box.companion("up").ok()
    assert box.ids() == before


def test_a_new_host_and_a_removed_one_count_at_once_and_ssh_stays(box: Box):
    before, config = box.ids(), box.project / "agent.yaml"
    kept = config.read_text()
    asks = "curl -s -m 8 http://added.test/"
    with session(box, "cat") as child:
        assert child.stdin
        assert child.stdout
        assert "egress list" in box.run(asks)
        config.write_text(kept.replace("[listed.test,", "[listed.test, added.test,"))
        try:
            plan = box.companion("plan", "--json", "--check")
            assert plan.agent["steps"] == [
                {
                    "step": "reload coder-gateway",
                    "code": "not-loaded",
                    "reason": "changed: host added.test",
                }
            ]
            box.companion("up").ok()
            assert "no address" in box.run(asks)
        finally:
            config.write_text(kept)
            box.companion("up").ok()
        assert "egress list" in box.run(asks)
        time.sleep(1.5)
        print("still here", file=child.stdin, flush=True)
        assert child.stdout.readline() == "still here\n"
    assert box.ids() == before


def test_a_new_port_is_listened_on_after_a_reload(box: Box):
    addition = "      - url: http://host.containers.internal:8099\n"
    kept, config = box.config_text(), box.project / "agent.yaml"
    config.write_text(kept.replace("  - plugin: custom", f"{addition}  - plugin: custom"))
    try:
        assert box.companion("up", "--json").ok().agent["change"] == "reload"
        assert box.run("curl -s -m 8 http://host.containers.internal:8099/") == "echo"
    finally:
        config.write_text(kept)
        box.companion("up").ok()
    assert box.ssh("curl -s -m 8 http://host.containers.internal:8099/").code != 0


def test_a_restarted_holder_gets_a_new_agent(box: Box):
    box.engine("restart", "--time", "0", box.container("coder-net"))
    assert box.companion("plan", "--check").code == 4
    done = box.companion("up", "--json").ok()
    assert {"start coder-net", "start coder"} <= set(done.agent["steps"])
    assert box.run("true") == ""
    assert box.ssh("curl -sS -m 8 https://example.com/").code != 0


def test_a_stopped_agent_is_shown_and_comes_back(box: Box):
    box.engine("stop", "--time", "1", box.container("coder"))
    assert box.companion("status", "--json").ok().agent["state"] == "stopped"
    box.companion("up").ok()
    assert box.companion("status", "--json").ok().agent["state"] == "running"


def test_keys_count_at_the_next_login_without_a_restart(box: Box):
    mine = box.desk.home / "mine"
    if not mine.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", mine],
                       check=True)  # fmt: skip
    login = ("-F", "/dev/null", "-i", str(mine), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
             "-o", f"UserKnownHostsFile={box.known_hosts}", "-o", "HostKeyAlias=" + box.alias,
             "-p", str(box.port), "agent@127.0.0.1", "true")  # fmt: skip
    before = box.ids()
    assert subprocess.run(["ssh", *login], capture_output=True, check=False).returncode == 255
    box.companion("keys", "add", "coder", f"{mine}.pub").ok()
    assert subprocess.run(["ssh", *login], capture_output=True, check=False).returncode == 0
    box.companion("keys", "remove", "coder", "me").ok()
    assert subprocess.run(["ssh", *login], capture_output=True, check=False).returncode == 255
    assert box.ids() == before


def test_exit_codes_of_the_inside_come_out(box: Box):
    assert box.companion("exec", "coder", "--", "bash", "-c", "exit 7").code == 7
    assert box.companion("ssh", "coder", "--", "exit 8").code == 8
    assert box.companion("exec", "coder", "--", "id", "-un").ok().out.strip() == "agent"


def test_home_files_follow_the_overlay_but_never_over_the_users_own(box: Box):
    assert box.run("cat ~/.config/tool/settings") == "from the project"
    box.run("echo my own > ~/.config/tool/settings")
    overlay = box.project / "overlay/.config/tool/settings"
    try:
        overlay.write_text("newer\n")
        (box.project / "overlay/.another").write_text("second\n")
        box.companion("up").ok()
        assert box.run("cat ~/.config/tool/settings ~/.another").split("\n") == ["my own", "second"]
    finally:
        overlay.write_text("from the project\n")
        (box.project / "overlay/.another").unlink()
        box.run("rm ~/.config/tool/settings ~/.companion-overlay")
        box.companion("up").ok()


def test_a_port_that_is_taken_is_reported_with_a_tip(box: Box):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        text = (
            "name: other\nruntime: {base_image: debian:bookworm-slim}\nfeatures:\n"
            f"  - plugin: ssh\n    port: {port}\ncontainer_runtime: {box.name}\n"
        )
        project = box.desk.project(text, f"taken-{box.name}")
        done = box.desk.companion("-C", str(project), "up")
        assert done.code == 1
        assert f"{port}" in done.problems[-1]
        assert "choose another port" in done.problems[-1]
    box.desk.companion("remove", str(project)).ok()


def test_what_the_agent_logs_does_not_steer_the_terminal(box: Box):
    box.run(r"printf '\033]0;owned\007\033[31mred\033[0m\n' >/proc/1/fd/1")
    said = box.companion("logs", "coder").ok().out
    assert "\\x1b]0;owned\\x07\x1b[31mred\x1b[0m\n" in said
    box.run(r"printf '\033[8mhidden\nshown\n' >/proc/1/fd/1")
    assert "\x1b[8mhidden\x1b[0m\n" in box.companion("logs", "coder").ok().out
    path = f"{COMPANION.parent}:{box.desk.environment['PATH']}"  # with the compose programs
    desk = Desk(box.desk.home, box.desk.environment | {"PATH": path})
    shown = desk.companion("-C", str(box.project), "compose", "logs").ok()
    assert r"\x1b]0;owned\x07" in shown.out + shown.err
    assert not set("\x07") & set(shown.out + shown.err)


def test_what_a_build_says_steers_neither_the_terminal_nor_what_reads_the_log(box: Box):
    config, kept = box.project / "agent.yaml", box.config_text()
    failing = r"printf '\033]0;owned\007 \302\233\342\200\256\n'; exit 7"
    commands = f"    commands: [{json.dumps(failing)}]\n"
    config.write_text(kept.replace("    home_override", f"{commands}    home_override", 1))
    try:
        done = box.companion("up")
        assert done.code == 1
        log = (box.agent_state / "build.log").read_bytes().decode()
        for text in (done.err, log):
            assert r"\x1b]0;owned\x07 \x9b\u202e" in text
            assert not set("\x1b\x07\x9b\u202e") & set(text)
    finally:
        config.write_text(kept)
        box.companion("up").ok()


def test_two_projects_live_side_by_side_and_never_meet(box: Box):
    text = box.config_text().replace(f"    port: {box.port}\n", "")
    project = box.desk.project(text, f"second-{box.name}", __env=(box.project / ".env").read_text())
    (project / "overlay").mkdir(exist_ok=True)
    (project / "overlay/x").write_text("x")
    try:
        done = box.desk.companion("-C", str(project), "up", "--json").ok()
        assert done.agent["alias"] == f"coder-second-{box.name}.sandbox"
        assert done.agent["ssh_port"] != box.port
        (second,) = (p.name for p in box.agent_state.parent.parent.glob(f"second-{box.name}-*"))
        assert box.desk.ssh(done.agent["alias"], "hostname").out.strip() == "coder"
        assert box.run("hostname") == "coder"
        status = box.desk.companion("-C", str(project), "status", "--json").agent
        there = status["host_address"].rsplit(".", 1)
        for last in (int(there[1]) + 1, int(there[1])):
            address = f"{there[0]}.{last}"
            assert box.ssh(
                f"timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/2222; head -c4 <&3'"
            ).code
    finally:
        box.desk.companion("remove", str(project), "--volumes").ok()
    assert box.run("true") == ""
    for listing in (("ps", "--all"), ("network", "ls"), ("volume", "ls"), ("images",)):
        assert second not in box.engine(*listing), listing
    assert [p for p in box.desk.home.rglob("*") if f"second-{box.name}" in p.name] == [project]
    assert "second" not in (box.desk.home / ".local/share/companion/ssh/config").read_text()


def test_images_of_an_agent_of_that_name_in_another_project_are_not_ours(box: Box):
    choice, image = detect(box.name, None), box.inspect("coder")["Config"]["Image"]
    assert image in Engine(choice, box.id, "coder").agent_images()
    assert not Engine(choice, "another", "coder").agent_images()


KILL_SSHD = "until kill -9 $(grep -lx sshd /proc/[0-9]*/comm | cut -d/ -f3); do sleep 0.1; done"
ENDS = {
    "a command that is done": ("true", "", 0, ""),
    "a command that fails": ("exit 7", "", 7, ""),
    "an sshd that refuses": ("sleep 60", "Nonsense yes", 1, "sshd ended with exit code 255"),
    "an sshd that is killed": (f"{KILL_SSHD}; sleep 60", "", 1, "sshd ended with exit code 137"),
}


@pytest.mark.parametrize("what", ENDS)
def test_an_agent_ends_with_its_command_or_its_sshd_and_says_which(
    box: Box, tmp_path: Path, what: str
):
    command, config, code, said = ENDS[what]
    (tmp_path / "sshd_config").write_text(f"{config}\n")
    tmp_path.chmod(0o755)
    sshd = tmp_path if config else box.agent_state / "sshd"
    image = box.inspect("coder")["Config"]["Image"]
    mount = ("--mount", f"type=bind,source={sshd},target=/companion/sshd,readonly")
    argv = [box.name, "run", "--rm", "--init", *mount, "--entrypoint", "/bin/bash", image]
    argv += ["/usr/local/lib/companion/entrypoint.sh", "--no-gate", "bash", "-c", command]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_the_gateway_takes_none_of_the_users_few_inotify_instances(box: Box):
    look = "ls -l /proc/[0-9]*/fd | grep -c inotify; true"
    gateway = box.container("coder-gateway")
    assert box.engine("exec", gateway, "bash", "-c", look).strip() == "0"


def test_a_process_of_the_gateway_that_ends_is_named_and_the_gateway_comes_back(box: Box):
    # The brackets keep the pattern from matching the command line that it stands in.
    kill = "for p in /proc/[0-9]*; do grep -q resolver[.]conf $p/cmdline && kill -9 ${p#/proc/}"
    gateway = box.container("coder-gateway")
    subprocess.run([box.name, "exec", gateway, "bash", "-c", f"{kill}; done"], check=False)
    said = "gateway: resolver ended with exit code 137"
    wait_until(lambda: said in box.companion("logs", "coder").out)
    wait_until(lambda: box.ssh("true").code == 0)


def test_a_namespace_that_is_not_closed_is_noticed(box: Box):
    """The positive control of closed.sh: with a gate, but on the network with a way out."""
    gate = "socat TCP-LISTEN:1,bind=127.0.0.1,fork,reuseaddr OPEN:/dev/null & "
    check = f"bash /usr/local/lib/companion/closed.sh {box.bridge}"
    image = box.inspect("coder-net")["Config"]["Image"]
    where = (
        *("--network", f"{box.id}_coder-default"),
        *("--sysctl", "net.ipv6.conf.all.disable_ipv6=0"),
        *("--entrypoint", "/bin/bash"),
    )
    argv = [box.name, "run", "--rm", *where, image, "-c", gate + check]

    def found() -> str:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "open: tcp to the engine's bridge" in done.stdout
        assert "open: names are answered by somebody else" in done.stdout
        assert "open: IPv6" in done.stdout
        return done.stdout

    # Seen unless a router's refusal of the first datagram arrives before the second is sent.
    wait_until(lambda: "open: udp to another host" in found())


def test_other_users_of_the_desktop_get_no_key_from_the_gateway(box: Box):
    inner = box.inspect("coder-gateway")["NetworkSettings"]["Networks"][f"{box.id}_coder-internal"]
    name, gateway = "host.containers.internal", inner["IPAddress"]
    before = len(box.seen[8000]), len(box.seen[443])
    doors = (("http", 8000, 8000), ("https", 443, 443), ("https", 443, haproxy.DIRECT_PORT))
    for scheme, asked, port in doors:
        to, url = ("--connect-to", f"{name}::{gateway}:{port}"), f"{scheme}://{name}:{asked}/"
        argv = ["curl", "-skS", "-m", "5", *to, url]
        assert subprocess.run(argv, capture_output=True, check=False).returncode != 0, url
    assert (len(box.seen[8000]), len(box.seen[443])) == before


BROKEN = {
    "does not build": (
        "    commands: ['touch /torn', 'echo it is broken >&2; false']\n",
        "could not be built",
    ),
    "does not start": (
        "    entrypoint_hooks: [hook.sh]\n",
        "the agent exited at startup with exit code 1",
    ),
    "cannot be created": ('    env: ["HOME=/nowhere"]\nlimits: {memory: 1k}\n', "failed"),
}


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(how, marks=() if how == "does not start" else pytest.mark.one_engine)
        for how in BROKEN
    ],
)
def test_a_change_that_does_not_work_is_rolled_back(box: Box, how: str):
    addition, reason = BROKEN[how]
    (box.project / "hook.sh").write_text("echo this hook fails >&2; exit 1\n")
    box.run("echo still mine > ~/kept")
    pins, mounted = box.known_hosts.read_text(), contents(box)
    with box.changed(addition):
        done = box.companion("up")
        assert done.code == 1
        assert reason in done.err
        runs = "still running" if how == "does not build" else "running again"
        assert f"  the previous version is {runs}" in done.err.splitlines()
        assert box.run("cat ~/kept") == "still mine"
        assert box.known_hosts.read_text() == pins
        assert contents(box) == mounted
        assert box.ssh("curl -sSf -m 8 http://example.com/").code != 0
    assert box.companion("up").ok()
    assert box.run("curl -s -m 8 http://host.containers.internal:8000/") == "echo"


def contents(box: Box) -> dict[str, bytes]:
    """Everything that the containers have mounted from the state directory."""
    names = ("gateway", "secrets", "certificates", "resolver", "sshd")
    paths = [p for name in names for p in (box.agent_state / name).iterdir()]
    return {str(p): p.read_bytes() for p in paths}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write forwarding rules")
def test_a_port_whose_connections_a_leftover_rule_leads_away_is_not_chosen():
    with ports.reserved() as port:
        assert network.port_is_free(port)
        rule = ["OUTPUT", "-d", "127.0.0.1", "-p", "tcp", "--dport", str(port)]
        rule += ["-j", "DNAT", "--to-destination", "127.0.0.1:1"]
        subprocess.run(["iptables", "-t", "nat", "-I", *rule], check=True)
        try:
            assert not network.port_is_free(port)
        finally:
            subprocess.run(["iptables", "-t", "nat", "-D", *rule], check=True)
    assert network.port_is_free(port)


AMBIGUOUS = (
    "gateway: another network has this name, too:"
    " use a name that only the container has, such as its own"
)
"""What Podman's DNS makes of a name that two networks have, if it names the other one's first."""


def test_a_service_on_a_network_of_the_engine_is_reached_and_nothing_else_there(box: Box):
    image = box.inspect("coder-gateway")["Config"]["Image"]
    places = {f"{box.id}-backend": "db", f"{box.id}-another": "cache"}
    config, kept = box.project / "agent.yaml", box.config_text()
    services = "".join(
        f"      - {{url: 'docker://{name}:8080', network: {network}}}\n"
        for network, name in (*places.items(), (f"{box.id}-backend", "both"))
    )
    config.write_text(kept.replace("  - plugin: custom", f"{services}  - plugin: custom"))
    try:
        done = box.companion("up")
        assert done.code == 1
        assert f"{box.name} has no network '{box.id}-another'" in done.err
        assert box.run("id -un") == "agent"
        for network, name in places.items():
            box.engine("network", "create", network)
            aliases = (f"--network-alias={alias}" for alias in (name, "both", "other"))
            answer = rf"printf 'HTTP/1.0 200 OK\r\n\r\nfrom {network}' >/tmp/answer; exec socat"
            answer += (
                " TCP-LISTEN:8080,fork,reuseaddr SYSTEM:'head -c 1 >/dev/null; cat /tmp/answer'"
            )
            box.engine(
                *("run", "--detach", "--name", f"{network}-server", "--network", network),
                *(*aliases, "--entrypoint", "bash", image, "-c", answer),
            )
        before = box.ids()
        box.companion("up").ok()
        assert box.ids()["coder"] == before["coder"]
        for network, name in places.items():
            tell_address(box, name, "192.0.2.9")  # what the engine's resolver says, at once
            assert box.run(f"curl -sS -m 8 http://{name}:8080/") == f"from {network}"
        said = box.run("curl -sS -m 8 http://both:8080/")
        never_elsewhere = {f"from {box.id}-backend", AMBIGUOUS if box.name == "podman" else ""}
        assert said in never_elsewhere
        assert box.ssh("curl -sSf -m 8 http://other:8080/").code != 0
        for network in places:
            mine = box.inspect("coder-gateway")["NetworkSettings"]["Networks"][network]["IPAddress"]
            for port in (53, 80, 2222, 8000):
                ask = f"exec 3<>/dev/tcp/{mine}/{port}; echo GET / >&3; timeout 2 head -c 4 <&3"
                argv = [box.name, "exec", f"{network}-server", "timeout", "3", "bash", "-c", ask]
                done = subprocess.run(argv, capture_output=True, check=False)
                assert done.stdout == b"", port
    finally:
        config.write_text(kept)
        box.companion("up").ok()
        for network in places:
            subprocess.run([box.name, "rm", "--force", f"{network}-server"], check=False)
            subprocess.run([box.name, "network", "rm", network], check=False)
