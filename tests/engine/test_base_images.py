"""What a base image brings along: variables, volumes and tools, as toolchains' images do."""

import subprocess
from collections.abc import Iterator

import pytest
from desk import COMPANION, make_desk
from sandboxes import FIRST_PORT, Box

from companion.operations import audit
from companion.spec.containers import Role, Service

pytestmark = pytest.mark.engine
BASE = """\
FROM localhost/companion/debian:bookworm-slim
WORKDIR /opt/go/bin
RUN printf '#!/bin/sh\\necho works\\n' >gotool && chmod +x gotool
ENV PATH=/opt/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV GOROOT=/opt/go ODD='say "hi" \\ # there, $HOME'
VOLUME ["/srv/data"]
"""
CONFIG = """\
name: coder
runtime: {{base_image: "{image}"}}
workdir: /srv/data
container_runtime: {engine}
egress: {{mode: listed}}
features:
  - plugin: ssh
    port: {port}
  - plugin: custom-runtime
    env: ["COLOUR=red"]
"""
TELL = 'gotool; echo "$GOROOT"; echo "$ODD"; echo "$COLOUR"'
TOLD = ["works", "/opt/go", 'say "hi" \\ # there, $HOME', "red"]


@pytest.fixture(scope="module")
def based(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A sandbox on a base image like those of toolchains."""
    desk = make_desk(tmp_path_factory.mktemp(f"based-{engine}") / "home", engines=True)
    image = f"localhost/companion-tests/toolchain:{desk.home.parent.name}"
    context = desk.home / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(BASE)
    subprocess.run([engine, "build", "--quiet", "--tag", image, context], check=True)
    text = CONFIG.format(engine=engine, image=image, port=FIRST_PORT[engine] + 7)
    box = Box(engine, desk, desk.project(text, name="based"), {})
    try:
        box.bring_up()
        yield box
    finally:
        box.companion("remove", str(box.project), "--volumes")
        subprocess.run([engine, "rmi", "--force", image], check=False, capture_output=True)


def test_a_base_images_variables_are_there_by_every_way_in(based: Box):
    quoted = f"bash -lc '{TELL}'"
    proxy = f"ProxyCommand={COMPANION} -C {based.project} proxy coder"
    ways = {
        "exec": based.companion("exec", "coder", "--", "bash", "-c", TELL),
        "SSH": based.ssh(TELL),
        "a login shell": based.ssh(quoted),
        "proxy": based.desk.ssh(based.alias, TELL, "-o", proxy),
    }
    told = {way: done.ok().out.splitlines() for way, done in ways.items()}
    assert told == dict.fromkeys(ways, TOLD)


def test_every_way_in_begins_in_the_workdir_with_the_same_variables(based: Box):
    """Copies begin in the home directory, by whichever protocol: Zed puts its server there."""
    tell = "pwd; echo; env -0 | grep -zv '^\\(SSH_.*\\|PWD\\|OLDPWD\\|SHLVL\\|TERM\\|_\\)='"
    options = ("-F", f"{based.desk.home}/.ssh/config", "-o", "BatchMode=yes")
    login = ("ssh", *options, "-T", based.alias)
    ways = {
        "exec": based.companion("exec", "coder", "--", "bash", "-c", tell).ok().out,
        "SSH": based.run(tell) + "\0",
        "companion ssh": based.companion("ssh", "coder", "--", tell).ok().out,
    }
    told = {
        way: (place, *sorted(variables.strip("\0").split("\0")))
        for way, (place, _, variables) in ((w, said.partition("\n\n")) for w, said in ways.items())
    }
    assert not {one for said in told.values() for one in set(said) ^ set(told["exec"])}
    assert {
        "/srv/data",
        "USER=agent",
        "GOROOT=/opt/go",
        "GOPATH=/home/agent/go",
        "COLOUR=red",
    } <= set(told["SSH"])
    for argv, typed, said in (
        (login, "pwd; shopt login_shell\n", "/srv/data\nlogin_shell    \ton\n"),
        (("sftp", *options, "-b", "-", based.alias), "pwd\n", "directory: /home/agent\n"),
    ):
        done = subprocess.run(argv, input=typed, capture_output=True, text=True, check=True)
        assert done.stdout.endswith(said)
    for protocol in ("-s", "-O"):
        source = based.desk.home / f"copied{protocol}"
        source.write_text("x")
        subprocess.run(["scp", protocol, *options, source, f"{based.alias}:"], check=True)
        assert based.run(f"cat ~/{source.name}") == "x"


def test_a_stopped_sandbox_is_started_by_what_needs_it(based: Box):
    for way in ("ssh", "exec"):
        based.companion("down").ok()
        done = based.companion(way, "coder", "--", "pwd").ok()
        assert done.out == "/srv/data\n"
        assert done.err.startswith("coder is stopped; starting it\n")
        again = based.companion(way, "coder", "--", "pwd").ok()
        assert (again.out, again.err) == (done.out, "")
    based.engine("stop", "--time", "0", based.container("coder"))
    assert based.companion("exec", "coder", "--", "pwd").ok().out == "/srv/data\n"


def test_the_agent_can_run_what_it_writes_to_a_directory_for_temporary_files(based: Box):
    for path in ("/tmp", "/var/tmp"):
        based.run(f"cp /bin/true {path}/program && {path}/program && rm {path}/program")
    mounts = based.run("grep ^tmpfs /proc/mounts").splitlines()
    options = {line.split()[1]: line.split()[3].split(",") for line in mounts}
    for path in ("/tmp", "/var/tmp", "/run"):
        assert "noexec" not in options[path]
        assert {"nosuid", "nodev"} <= set(options[path])


def test_a_base_images_volume_ends_with_its_container_and_is_no_hole(based: Box):
    data = based.inspect("coder")
    (name,) = (m["Name"] for m in data["Mounts"] if m["Destination"] == "/srv/data")
    nothing = Service("coder", Role.AGENT, "", "1000", ())
    assert "/srv/data" not in audit.mounts("", nothing, data)
    based.engine("volume", "inspect", name)
    based.companion("restart").ok()
    argv = [based.name, "volume", "inspect", name]
    assert subprocess.run(argv, check=False, capture_output=True).returncode != 0
