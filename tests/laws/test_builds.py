"""A build ends once its result is not wanted anymore, whatever the check for that raises."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from companion.engine.builds import Fence, inside_argv, router_argv
from companion.engine.dialect import DIALECTS
from companion.reconcile import teardown
from companion.spec.build_network import BuildNetwork
from companion.system import builds, process_tree
from companion.system.project_paths import AgentPaths

ENDED = -15
BUILD = ("sleep", "5")


def answering(*answers: bool | BaseException) -> Callable[[], bool]:
    left = iter(answers)

    def is_wanted() -> bool:
        answer = next(left)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return is_wanted


@pytest.mark.parametrize(
    "answers", [(False,), (KeyboardInterrupt(),), (ValueError(), False)], ids=repr
)
def test_a_build_ends_once_unwanted_even_if_that_check_raises(
    answers: tuple[bool | BaseException, ...],
):
    code = builds.build(BUILD, print, answering(*answers), env={}, builds_here=False)
    assert code == ENDED


def test_a_stop_request_that_cannot_be_written_raises_nothing(tmp_path: Path):
    agent_paths = AgentPaths(tmp_path)
    agent_paths.stop_request.symlink_to(agent_paths.stop_request)
    teardown.request_stop(agent_paths)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\x0bb", "\u2028".encode()])
def test_a_process_of_any_name_does_not_end_the_watch_over_builds(name: bytes):
    rename = f"import ctypes; ctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0)"
    then = "print(flush=True); input()"
    with subprocess.Popen(
        (sys.executable, "-c", f"{rename}; {then}"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as named:
        assert named.stdin
        assert named.stdout
        named.stdout.readline()
        assert name in Path(f"/proc/{named.pid}/comm").read_bytes()
        assert list(process_tree.contained(os.getpid())) == []
        assert not process_tree.is_contained(Path(f"/proc/{named.pid}"))
        named.stdin.close()


@pytest.mark.parametrize("engine", DIALECTS)
def test_a_fence_is_restricted_and_clean_like_every_container(engine: str):
    dialect, fence = DIALECTS[engine], Fence("image", "name", (), "/assets/seccomp.json")
    for argv in (inside_argv(dialect, fence), router_argv(dialect, fence, BuildNetwork())):
        options = argv[: argv.index("image")]
        pairs = set(itertools.pairwise(options))
        for security in ("no-new-privileges", "label=disable", "seccomp=/assets/seccomp.json"):
            assert ("--security-opt", security) in pairs
        if engine == "docker":
            assert {("--env", "HTTPS_PROXY="), ("--env", "https_proxy=")} <= pairs
        else:
            assert {"--http-proxy=false", "--env-host=false"} <= set(options)
