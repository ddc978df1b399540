"""What engines say when they fail is told as what happened, with the next step."""

import pytest

from companion.engine import access, build_output, failures
from companion.errors import PortTakenError
from companion.operations import way_out
from companion.spec.containers import File, Image, Role
from companion.system.groups import Membership
from companion.system.plain import plain
from companion.system.process import Completed

NO_HOST = (
    'pinging container registry registry.example: Get "https://registry.example/v2/": '
    "dial tcp: lookup registry.example on 10.0.0.53:53: no such host"
)
PODMAN = (
    "STEP 1/9: FROM docker.io/library/node:24-slim",
    "Trying to pull docker.io/library/node:24-slim...",
    f"Error: creating build container: initializing source docker://node:24-slim: {NO_HOST}",
)
DOCKER = (
    "Step 1/9 : FROM docker.io/library/node:24-slim",
    'Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host',
)
BUILDKIT = (
    "#2 [internal] load metadata for docker.io/library/node:24-slim",
    "#2 ERROR: failed to do request: dial tcp: lookup registry.example: no such host",
    "ERROR: failed to solve: failed to resolve source metadata: dial tcp: no such host",
)
LATER = {
    "podman": ("STEP 1/2: FROM base", "STEP 2/2: RUN curl x", "curl: no such host"),
    "docker": ("Step 1/2 : FROM base", "Step 2/2 : RUN curl x", "curl: no such host"),
    "BuildKit": ("#2 [internal] load metadata for base", "#5 [2/2] RUN curl x", "no such host"),
}


def image(base: str, *arguments: tuple[str, str]) -> Image:
    text = f"# a comment\nFROM {base}\nRUN curl x\n"
    return Image("coder", Role.AGENT, (File("Dockerfile", text.encode()),), arguments)


@pytest.mark.parametrize(
    ("line", "host"),
    [
        (
            "W: Failed to fetch http://x  Temporary failure resolving 'deb.debian.org'",
            "deb.debian.org",
        ),
        ("curl: (6) Could not resolve host: registry.example", "registry.example"),
        ("npm error getaddrinfo EAI_AGAIN registry.npmjs.org", "registry.npmjs.org"),
    ],
)
def test_a_build_without_a_network_says_so_and_names_the_host(line: str, host: str):
    steps = ("STEP 1/2: FROM base", "STEP 2/2: RUN x", line, "exit code 100")
    error = failures.of_build(image("base"), steps, "coder", "/c/settings.yaml")
    (problem,) = error.problems
    assert f"because {host} was not found" in problem.what
    assert "build.proxy in /c/settings.yaml" in problem.hint


@pytest.mark.parametrize("lines", [PODMAN, DOCKER, BUILDKIT], ids=["podman", "docker", "BuildKit"])
@pytest.mark.parametrize("base", ["docker.io/library/node:24-slim", "${BASE}"])
def test_a_base_image_that_cannot_be_pulled_is_named_with_the_setting_that_helps(
    lines: tuple[str, ...], base: str
):
    built = image(base, ("BASE", "docker.io/library/node:24-slim"))
    error = failures.of_build(built, lines, "coder", "/c/settings.yaml")
    (problem,) = error.problems
    assert problem.what.startswith("cannot pull docker.io/library/node:24-slim, the base of the")
    assert problem.what.endswith("no such host")
    assert "\n" not in problem.what
    assert "images: in /c/settings.yaml" in problem.hint


@pytest.mark.parametrize("lines", LATER.values(), ids=LATER)
def test_a_later_step_that_fails_is_not_blamed_on_the_base_image(lines: tuple[str, ...]):
    error = failures.of_build(image("base"), lines, "coder", "/c/settings.yaml")
    assert "the agent image could not be built" in str(error)
    assert "`companion logs coder --build` shows all" in str(error)


RUN = r'RUN ["/bin/sh", "-ec", "apt-get update && apt-get install -- ripgrepp \"x\""]'
SHORT = 'RUN /bin/sh -ec apt-get update && apt-get install -- ripgrepp "x"'
FAILED = {
    "podman": f"""\
STEP 4/6: RUN ["/bin/sh", "-ec", "echo error: none"]
error: none
--> accc47e27c6
STEP 5/6: {RUN}
Reading package lists...
E: Unable to locate package ripgrepp
E: Unable to locate package x
Error: building at STEP "{SHORT}": while running runtime: exit status 100
""",
    "docker": f"""\
Step 4/6 : RUN ["/bin/sh", "-ec", "echo error: none"]
error: none
 ---> e19fd0090372
Step 5/6 : {RUN}
 ---> Running in 86336997056b
Reading package lists...
\x1b[91mE\x1b[0m\x1b[91m: \x1b[0m\x1b[91mUnable to locate package ripgrepp\x1b[0m\x1b[91m
\x1b[0m\x1b[91mE\x1b[0m\x1b[91m: \x1b[0m\x1b[91mUnable to locate package x\x1b[0m\x1b[91m
\x1b[0mRemoving intermediate container 86336997056b
The command '/bin/sh -ec apt-get update' returned a non-zero code: 100
""",
    "BuildKit": f"""\
#5 [ 4/12] RUN ["/bin/sh", "-ec", "echo error: none"]
#6 [ 5/12] {RUN}
#5 0.204 error: none
#6 0.312 Reading package lists...
#6 0.511 E: Unable to locate package ripgrepp
#6 0.512 E: Unable to locate package x
#6 ERROR: process "/bin/sh -ec apt-get update" did not complete successfully: exit code: 100
------
 > [ 5/12] {RUN}:
0.511 E: Unable to locate package ripgrepp
------
ERROR: failed to solve: process "/bin/sh -ec apt-get update" did not complete successfully
""",
}
"""From builds by podman and docker's old builder; the last is written in BuildKit's format."""


@pytest.mark.parametrize("text", FAILED.values(), ids=FAILED)
def test_a_failed_build_is_told_by_its_step_and_the_tools_own_first_error(text: str):
    lines = plain(text).splitlines()
    found = build_output.failure(lines)
    assert found.command == 'apt-get update && apt-get install -- ripgrepp "x"'
    assert found.cause == "E: Unable to locate package ripgrepp"
    (problem,) = failures.of_build(image("base"), lines, "coder", "/s").problems
    assert problem.what == f"the agent image could not be built:\n  {found.cause}"


AROUND = 'Error: building at STEP "RUN x": while running runtime: exit status 1'


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("npm error code E404\nnpm error 404 Not Found - GET https://x/y\nnpm error A complete log",
         "npm error 404 Not Found - GET https://x/y"),
        ("Collecting x\nERROR: No matching distribution found for x",
         "ERROR: No matching distribution found for x"),
        ("/bin/sh: 1: foo: not found", "/bin/sh: 1: foo: not found"),
        ("all is well\nlast words\n", "last words"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_line_that_tells_most_is_found(said: str, cause: str):
    lines = [f"STEP 5/6: {RUN}", *said.splitlines(), AROUND]
    assert build_output.failure(lines).cause == cause


DOCKER_RULES = "-P INPUT ACCEPT\n-P FORWARD DROP\n-N DOCKER\n-N DOCKER-USER\n"
SUBNET = "10.231.0.0/28"


@pytest.mark.parametrize(
    ("engine", "forwarding", "rules", "cause", "step"),
    [
        ("podman", "0\n", DOCKER_RULES, "the kernel forwards no packets", "ip_forward=1"),
        ("podman", "1\n", DOCKER_RULES, "docker drops what it does not", "firewall_driver"),
        ("docker", "1\n", DOCKER_RULES, "a firewall drops what it does", f"-s {SUBNET} -j ACCEPT"),
        ("podman", "1\n", "-P FORWARD DROP\n", "a firewall drops what", f"-d {SUBNET} -j ACCEPT"),
        ("docker", "1\n", "", "a firewall drops it, or lost the engine's rules", "restart docker"),
        ("podman", "", "-P FORWARD ACCEPT\n", "a firewall drops it, or lost", "companion down"),
    ],
)
def test_what_blocks_the_way_out_is_named_with_the_next_step(
    engine: str, forwarding: str, rules: str, cause: str, step: str
):
    problem = way_out.blocked(engine, SUBNET, forwarding, rules)
    assert cause in problem.what
    assert step in problem.hint


VANISHED = {
    "podman": "Error: inspecting object: network a: unable to find network with name or ID a: "
    "network not found\n",
    "docker": "Error response from daemon: network a not found\n",
}
OTHER = "Error: open /run/networks/b.json: permission denied\n"


@pytest.mark.parametrize("text", VANISHED.values(), ids=VANISHED)
def test_what_vanished_since_it_was_listed_is_told_from_every_other_failure(text: str):
    assert failures.only_vanished(Completed(125, "[]", text + text))
    assert not failures.only_vanished(Completed(125, "[]", text + OTHER))
    assert not failures.only_vanished(Completed(124, "", "podman: no answer within 20 s"))


@pytest.mark.parametrize(
    "said",
    [
        "Bind for 127.0.0.1:2222 failed: port is already allocated",
        "Error starting userland proxy: listen tcp4 127.0.0.1:2222: bind: address already in use",
        "failed to bind host port 127.0.0.1:2222/tcp: address already in use",
        "failed to bind host port for 127.0.0.1:2222:172.18.0.2:2222/tcp: address already in use",
        "Ports are not available: listen tcp 127.0.0.1:2222: bind: Only one usage of each socket",
        "cannot listen on the TCP port: listen tcp4 127.0.0.1:2222: bind: address already in use",
        "rootlessport listen tcp 127.0.0.1:2222: bind: address already in use",
        "pasta failed with exit code 1:\nFailed to bind port 2222 (Address already in use)",
    ],
    ids=["docker: a container's", "docker 20", "docker 29", "docker 27", "docker for windows",
         "podman", "podman without root", "pasta"],
)  # fmt: skip
def test_a_port_that_is_taken_is_known_by_the_words_of_each_engine(said: str):
    error = failures.of_call("docker", ("start", "x"), Completed(125, "", f"Error: {said}\n"))
    assert isinstance(error, PortTakenError)


@pytest.mark.parametrize(
    ("own", "step"),
    [
        (Membership("docker", "ada", False, False), "sudo usermod -aG docker ada"),
        (Membership("docker", "ada", True, False), "log out and in again"),
        (Membership("docker", "ada", True, True), "see `ls -l /run/docker.sock`"),
        (Membership("root", "ada", False, False), "see `ls -l /run/docker.sock`"),
        (None, "see `ls -l /run/docker.sock`"),
    ],
    ids=str,
)
def test_the_way_to_a_socket_depends_on_its_group(own: Membership | None, step: str):
    assert step in access.step("/run/docker.sock", own)


def test_output_of_a_container_names_no_socket_to_the_user():
    trap = Completed(1, "", "permission denied: unix:///home/ada/trap.sock")
    assert "trap" not in failures.of_call("docker", ("exec", "x"), trap).problems[0].hint
    assert "trap" in failures.of_call("docker", ("ps",), trap).problems[0].hint


def test_what_passes_for_a_step_in_a_build_ends_nothing():
    said = build_output.failure(["STEP 9/9: RUN " + "[" * 60_000, "it failed"])
    assert (said.command, said.cause) == ("", "it failed")


def test_an_id_is_as_short_as_engines_show_it_elsewhere():
    said = f'Error: unable to start container "{"1d84fa05ac11" + "a" * 52}": exec failed'
    (problem,) = failures.of_call("podman", ("start", "coder"), Completed(125, "", said)).problems
    assert 'start container "1d84fa05ac11": exec' in problem.what
