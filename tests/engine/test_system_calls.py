"""Past the gateway: which system calls and which names of the desktop the containers have."""

from pathlib import Path

import pytest
from desk import ROOT
from sandboxes import Box

from companion.render import dns

pytestmark = pytest.mark.engine
SERVICES = ("coder", "coder-net", "coder-gateway")
FAMILIES = (
    "for (0..60) { for my $kind (1, 2, 3, 5) {"
    ' socket(my $s, $_, $kind, 0) and print("$_ "), last; $no{$!} = 1 unless $kind > 1 } }'
    ' print "|", join(",", sort keys %no)'
)
UNKNOWN, IO_URING, CLONE3 = 999, 425, 435


def perl(box: Box, service: str, program: str) -> str:
    return box.engine("exec", box.container(service), "perl", "-e", program)


@pytest.mark.parametrize("service", SERVICES)
def test_only_sockets_of_files_the_internet_and_routes_are_made(box: Box, service: str):
    """AF_VSOCK knows no network namespace: by it, an agent would be past the gateway."""
    made, _, errors = perl(box, service, FAMILIES).partition("|")
    assert set(map(int, made.split())) == {1, 2, 10, 16}
    assert "Address family not supported by protocol" in errors


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_refused_looks_like_an_older_kernel_and_the_rest_works(box: Box, service: str):
    calls = " ".join(map(str, (UNKNOWN, IO_URING, CLONE3)))
    program = (
        f'for (qw({calls})) {{ syscall($_, 1, my $p = "\\0" x 120) < 0 and print $! + 0, " " }}'
    )
    enosys = 38
    assert perl(box, service, program).split() == [str(enosys)] * 3
    children = "wait if fork; system('true') or print 'works'"
    assert "works" in perl(box, service, children)
    data = box.inspect(service)
    assert any(option.startswith("seccomp=") for option in data["HostConfig"]["SecurityOpt"])


def test_names_of_the_desktop_are_not_known_in_a_sandbox(box: Box):
    """Podman copies the desktop's /etc/hosts into each container, and so what a network is like."""
    head, last = box.bridge.rsplit(".", 1)
    hosts = box.run("cat /etc/hosts").splitlines()
    assert hosts[0] == "127.0.0.1 localhost"
    assert [line.split()[1:] for line in hosts[1:]] == [["coder"]]
    names = box.engine("exec", box.container("coder-gateway"), "cat", "/tmp/names.hosts")
    ours = {f"{head}.{last} {name}" for name in dns.DESKTOP}
    assert ours <= set(names.splitlines()), "the gateway knows the desktop"
    lines = (line.split("#")[0].split() for line in Path("/etc/hosts").read_text().splitlines())
    desktops = {name for line in lines for name in line[1:]} - set(dns.DESKTOP)
    assert desktops, "localhost is one"
    assert {line.split()[1] for line in names.splitlines()}.isdisjoint(desktops)


def test_programs_of_32_bits_end(box: Box):
    """By their socketcall(2), libseccomp lets any program make a socket of any family."""
    script = "socketcall=$1; base64 -d <<<$socketcall >/tmp/p; chmod +x /tmp/p; /tmp/p; echo $?"
    text = (ROOT / "assets/agent/audit.sh").read_text()
    program = next(line for line in text.splitlines() if line.startswith("socketcall="))
    said = box.ssh(f"bash -c '{script}' - {program.partition('=')[2]}")
    bad_system_call, cannot_execute = 159, 126
    assert int(said.out.split()[-1]) in {bad_system_call, cannot_execute}
