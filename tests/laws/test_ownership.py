"""A mount that an agent cannot write to is noticed by owner, group and mode."""

import os

import pytest

from companion.reconcile.ownership import may_write


@pytest.mark.parametrize(
    ("owner", "group", "mode", "writes"),
    [
        (1000, 1000, 0o755, True),
        (0, 0, 0o755, False),
        (0, 1000, 0o775, True),
        (0, 1000, 0o755, False),
        (0, 27, 0o775, False),
        (0, 0, 0o1777, True),
        (1000, 0, 0o577, False),
    ],
)
def test_writing_depends_on_owner_group_and_mode(owner: int, group: int, mode: int, writes: bool):
    status = os.stat_result((0o040000 | mode, 0, 0, 2, owner, group, 0, 0, 0, 0))
    assert may_write(status, 1000) is writes
