"""What an image is made of, and what its build may reach: what project and user say, no more."""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
from desk import CANARY, Desk, Done
from sandboxes import wait_until

from companion.system.network import outward_address

pytestmark = pytest.mark.engine
CONFIG = """\
name: builder
runtime: {{base_image: "debian:bookworm-slim", cmd: [sleep, infinity]}}
container_runtime: {engine}
gateway: {gateway}
features:
  - plugin: custom-runtime
    commands: [{command}]
"""
PROXY = f"http://me:{CANARY}@proxy.corp.example:3128"
VARIABLES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
NETWORKS = ("10.98.0", "172.30.98", "192.168.98", "100.64.98", "169.254.98")
HOST = {"podman": 8, "docker": 9}
"""Engine → the desktop's number in NETWORKS: the tests of the engines run beside each other."""
RAW = r"""
use Socket; my ($to, $port) = (inet_aton("%s"), %d); $/ = undef;
sub text { open my $file, "<", shift; <$file> }
my ($device) = text("/proc/net/route") =~ /^(\w+)\t00000000/m;
my $index = 0 + text("/sys/class/net/$device/ifindex");
socket my $first, AF_INET, SOCK_DGRAM, 0; connect $first, sockaddr_in($port, $to);
my $from = (sockaddr_in getsockname $first)[1]; send $first, "ask for its hardware address", 0;
sleep 1;
my ($mac) = text("/proc/net/arp") =~ /(\S+:\S+:\S+) .* $device$/m; $mac =~ s/://g;
my $own = text("/sys/class/net/$device/address"); $own =~ s/[:\n]//g;
my $udp = pack("nnnn", 9, $port, 11, 0) . "raw";
my $head = pack("CCnnnCCn", 69, 0, 31, 1, 0, 64, 17, 0) . $from . $to;
my $sum = 0; $sum += $_ for unpack "n*", $head; $sum = ($sum & 65535) + ($sum >> 16);
substr $head, 10, 2, pack "n", ~$sum & 65535;
socket my $raw, 17, SOCK_RAW, 8 or exit;
my $frame = pack("H12H12n", $mac, $own, 2048) . $head . $udp;
send $raw, $frame, 0, pack("SnLSCCH12xx", 17, 2048, $index, 1, 0, 6, $mac) for 1 .. 3; sleep 1
"""
"""Sends packets past the rules of its own network namespace, as root with NET_RAW can."""


@dataclass
class Lan:
    """What the desktop's own network has: web servers, and one that hears raw packets."""

    hosts: tuple[str, ...]
    raw: tuple[str, int]
    heard: set[str]


@pytest.fixture(scope="module")
def lan(engine: str) -> Iterator[Lan]:
    if os.geteuid():
        pytest.skip("needs root, to give the desktop more addresses")
    desktop = ["dev", "lo"]
    addresses = tuple(f"{network}.{HOST[engine]}" for network in NETWORKS)
    for address in addresses:  # one may be there: of a run that was killed
        subprocess.run(["ip", "address", "replace", f"{address}/32", *desktop], check=True)
    server = ThreadingHTTPServer(("", 0), SimpleHTTPRequestHandler)
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("", 0))
    found = Lan(
        tuple(f"{host}:{server.server_port}" for host in (*addresses, outward_address())),
        (addresses[0], listener.getsockname()[1]),
        set(),
    )

    def listen() -> None:
        with suppress(OSError):
            while True:
                if listener.recv(100) == b"raw":
                    found.heard.add("raw")

    for work in (server.serve_forever, listen):
        threading.Thread(target=work, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        for address in addresses:
            subprocess.run(["ip", "address", "del", f"{address}/32", *desktop], check=True)


@dataclass
class Project:
    """A project with one command in its image."""

    engine: str
    desk: Desk
    directory: Path
    gateway: str

    def companion(self, *arguments: str) -> Done:
        return self.desk.companion("-C", str(self.directory), *arguments)

    def up(self, command: str) -> Done:
        """Bring it up with an image whose command no earlier build has run."""
        self.configure(command)
        return self.companion("up", "--yes")

    def start(self, command: str) -> "subprocess.Popen[str]":
        """Start to bring it up, and do not wait for it."""
        self.configure(command)
        return self.desk.start("-C", str(self.directory), "up", "--yes")

    def configure(self, command: str) -> None:
        unique = json.dumps(f"{command} # {uuid4()}")
        text = CONFIG.format(engine=self.engine, gateway=self.gateway, command=unique)
        (self.directory / "agent.yaml").write_text(text)

    def inside(self, *command: str) -> str:
        return self.companion("exec", "builder", "--", *command).ok().out

    def reached(self, lan: Lan) -> set[str]:
        """Return what the steps of a build reach, with "raw" if a raw packet arrived."""
        tries = "".join(
            f"(curl -so /dev/null -m 5 http://{host} && echo {host} >>/built) & "
            for host in ("deb.debian.org", *lan.hosts)
        )
        raw = f"perl -e '{' '.join(RAW.split()) % lan.raw}'"
        lan.heard.clear()
        self.up(f"{tries}{raw}; wait; echo end >>/built").ok()
        lines = self.inside("cat", "/built").split()
        assert lines.pop() == "end"
        return {*lines, *lan.heard}


@contextmanager
def project_of(engine: str, desk: Desk, gateway: str = "false") -> Iterator[Project]:
    project = Project(engine, desk, desk.project(""), gateway)
    try:
        yield project
    finally:
        project.companion("remove", "--volumes")


def test_the_desktops_environment_enters_no_container_and_no_image(engine: str, desk: Desk):
    desk.environment |= dict.fromkeys(VARIABLES, PROXY) | {"DOCKER_CONTENT_TRUST": "1"}
    client = desk.home / ".docker/config.json"
    client.parent.mkdir()
    proxies = {"httpProxy": PROXY, "httpsProxy": PROXY, "noProxy": "corp.example"}
    client.write_text(json.dumps({"proxies": {"default": proxies}}))
    with project_of(engine, desk) as project:
        project.up("env >/built; cat /proc/*/environ >>/built").ok()
        for text in (project.inside("env"), project.inside("cat", "/built")):
            assert "PATH=" in text
            assert "proxy.corp" not in text
            assert "corp.example" not in text
        image = inside_engine(engine, "ps", "--filter", "label=dev.companion.agent=builder",
                              "--format", "{{.Image}}").split()[0]  # fmt: skip
        history = inside_engine(engine, "history", "--no-trunc", image)
        assert "env >/built" in history
        assert "proxy.corp" not in history


def test_what_containers_conf_adds_to_every_container_is_refused_by_name(engine: str, desk: Desk):
    if engine == "docker":
        pytest.skip("docker has no such file")
    known = Path(desk.environment.get("CONTAINERS_CONF", "/dev/null")).read_text()
    added = desk.home / "containers.conf"
    added.write_text(known.replace("[containers]", '[containers]\nvolumes = ["/etc/apt:/extra"]'))
    desk.environment["CONTAINERS_CONF"] = str(added)
    with project_of(engine, desk) as project:
        done = project.up("true")
        if done.code == 0:  # podman 4.5 or later
            assert "/extra" not in project.inside("cat", "/proc/mounts")
        else:
            assert f"adds `volumes` of {added} to every container" in done.err
            ours = ("--filter", "label=dev.companion.agent=builder")
            assert not inside_engine(engine, "ps", "-aq", *ours)


def test_the_steps_of_a_build_reach_public_hosts_and_what_the_user_allows(
    engine: str, desk: Desk, lan: Lan
):
    settings = desk.home / ".config/companion/settings.yaml"
    stand_ins = settings.read_text() if settings.exists() else ""
    with project_of(engine, desk, gateway="true") as project:
        assert project.reached(lan) == {"deb.debian.org"}
        settings.write_text(f'{stand_ins}build: {{allow: ["{lan.hosts[0]}"]}}\n')
        assert project.reached(lan) == {"deb.debian.org", lan.hosts[0]}
        settings.write_text(f"{stand_ins}build: {{network: open}}\n")
        assert project.reached(lan) == {"deb.debian.org", *lan.hosts, "raw"}
    assert not inside_engine(engine, "ps", "-aq", "--filter", "label=dev.companion.build")


def test_a_killed_build_leaves_nothing_that_runs_and_down_removes_the_rest(engine: str, desk: Desk):
    running = ("ps", "-q", "--filter", "label=dev.companion.build")
    fence = ("ps", "-aq", *running[2:])
    with project_of(engine, desk, gateway="true") as project:
        run = project.start("sleep 20")
        wait_until(lambda: len(inside_engine(engine, *fence).split()) == 2, 240)
        run.kill()
        run.communicate()
        wait_until(lambda: not inside_engine(engine, *running), 60)
        project.companion("down").ok()
        assert not inside_engine(engine, *fence)


def inside_engine(engine: str, *arguments: str) -> str:
    return subprocess.run([engine, *arguments], capture_output=True, text=True, check=True).stdout
