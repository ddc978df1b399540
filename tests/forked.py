"""Companion in a process that begins with everything imported, for tests that start hundreds.

Importing takes most of a short command's CPU time. So one process imports what commands need, runs
none of them, and forks for each one. What it forks has arguments, environment, directory and
streams of its own, and ends as companion ends. `make test-long` starts each program anew.
"""

# usage: forked.py PROGRAM SOCKET, which is a descriptor
import atexit
import gc
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from io import BytesIO, TextIOWrapper
from pathlib import Path

AT_START = ("LANG", "LC_", "LD_", "MALLOC_", "PYTHON", "TZ")
"""Beginnings of variables that are read once, when an interpreter starts."""
RARE = ("companion.__main__", "companion.dashboard", "companion.tray")
"""What hardly any command imports."""
LAZY = ("argcomplete", "cryptography.x509", "paramiko", "tarfile", "traceback")
"""What commands import while they run."""


wanted = True
"""Whether to fork at all."""


def can_run(environment: Mapping[str, str]) -> bool:
    """Tell whether an interpreter with these variables is like the one that forks."""
    ours = {k: v for k, v in _at_start(os.environ).items() if not k.startswith("PYTHON")}
    return wanted and _at_start(environment) == ours


def run(
    argv: list[str], environment: Mapping[str, str], directory: Path, stdin: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command line of companion to its end; its first word is the program."""
    umask = os.umask(0o77)
    os.umask(umask)
    request = json.dumps([argv, dict(environment), str(directory), umask]).encode()
    (child_in, our_in), (our_out, child_out), (our_err, child_err) = (os.pipe() for _ in range(3))
    status, child_status = socket.socketpair()
    theirs = [child_in, child_out, child_err, child_status.detach()]
    socket.send_fds(_server(argv[0]), [request], theirs)
    for descriptor in theirs:
        os.close(descriptor)
    with status:  # a test that gives up closes it, which ends the process
        said = _talk({our_in: stdin.encode()}, (our_out, our_err))
        ended = status.recv(100)
    assert ended, "the process that forks is gone"
    out, err = (TextIOWrapper(BytesIO(said[one])).read() for one in (our_out, our_err))
    return subprocess.CompletedProcess(argv, os.waitstatus_to_exitcode(int(ended)), out, err)


def _talk(inputs: dict[int, bytes], outputs: tuple[int, ...]) -> dict[int, bytes]:
    """Write and read pipes to their ends, and close them, also if the test's time is over.

    Without threads: one that reads what a grandchild holds open would never end.
    """
    poll, said = select.poll(), dict.fromkeys(outputs, b"")
    left = {*inputs, *outputs}
    for descriptor in left:
        poll.register(descriptor, select.POLLOUT if descriptor in inputs else select.POLLIN)
    for descriptor in inputs:
        os.set_blocking(descriptor, False)
    try:
        while left:
            for ready, _ in poll.poll():
                if ready in inputs:
                    with suppress(BrokenPipeError):
                        inputs[ready] = inputs[ready][os.write(ready, inputs[ready]) :]
                        if inputs[ready]:
                            continue
                elif piece := os.read(ready, 1 << 16):
                    said[ready] += piece
                    continue
                poll.unregister(ready)
                left.remove(ready)
                os.close(ready)
    finally:
        for descriptor in left:
            os.close(descriptor)
    return said


def _at_start(variables: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in variables.items() if k.startswith(AT_START)}


@cache
def _server(program: str) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        child = subprocess.Popen(
            [sys.executable, __file__, program, str(theirs.fileno())],
            env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,  # pipes, as its children get, so that its streams fit them
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    atexit.register(child.wait)
    atexit.register(ours.close)
    return ours


def serve(requests: socket.socket) -> Callable[[], object] | None:
    """Fork for each request, until nobody asks any more; return what to do in a process forked."""
    poll, children, callers = select.poll(), {}, {}
    poll.register(requests, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready == requests.fileno():
                request, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 4)
                if not request:
                    return None
                pid = os.fork()
                if not pid:
                    requests.detach()
                    return lambda: become(*json.loads(request), descriptors[:3])
                *streams, caller = descriptors
                for stream in streams:
                    os.close(stream)
                child = os.pidfd_open(pid)
                children[child], callers[caller] = (pid, caller), child
                poll.register(child, select.POLLIN)
                poll.register(caller, 0)
            elif ready in callers:
                signal.pidfd_send_signal(callers[ready], signal.SIGKILL)
                poll.unregister(ready)
            elif ready in children:
                pid, caller = children.pop(ready)
                _, ended = os.waitpid(pid, 0)
                with suppress(BrokenPipeError):
                    os.write(caller, str(ended).encode())
                with suppress(KeyError):
                    poll.unregister(caller)
                poll.unregister(ready)
                del callers[caller]
                os.close(caller)
                os.close(ready)


def become(
    argv: list[str], environment: dict[str, str], directory: str, umask: int, streams: list[int]
) -> None:
    """Be what a shell would have started."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 1 << 16)
    os.environ.clear()
    os.environ.update(environment)
    os.umask(umask)
    os.chdir(directory)
    sys.argv[:] = argv
    import_module("companion.cli.main").entry()


def load() -> None:
    """Import what commands import, the way that they find it."""
    import companion

    for module in pkgutil.walk_packages(companion.__path__, "companion."):
        if not module.name.startswith(RARE):
            import_module(module.name)
    for name in LAZY:
        import_module(name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    program, descriptor = sys.argv[1:]
    sys.path[0] = str(Path(program).parent)
    load()
    if forked := serve(socket.socket(fileno=int(descriptor))):
        forked()
