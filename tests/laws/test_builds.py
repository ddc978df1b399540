"""A build ends once its result is not wanted anymore, whatever the check for that raises."""

from collections.abc import Callable
from pathlib import Path

import pytest

from companion.reconcile import teardown
from companion.system import builds
from companion.system.paths import AgentPaths

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
