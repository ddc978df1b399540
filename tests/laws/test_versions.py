"""Where is the version of an agent's program written, and what else of agent.yaml changes?"""

import pytest

from companion.config import version_edit

HEAD = "# mine\nname: coder # ok\n"


@pytest.mark.parametrize(
    ("before", "at", "after"),
    [
        (
            "runtime: codex # fast\n",
            ("runtime",),
            "runtime: {name: codex, version: 1.2.3} # fast\n",
        ),
        ("runtime: {name: pi}\n", ("runtime",), "runtime: {name: pi, version: 1.2.3}\n"),
        (
            "runtime:\n  name: pi # x\n",
            ("runtime",),
            "runtime:\n  name: pi\n  version: 1.2.3 # x\n",
        ),
        (
            "runtime: {name: pi, version: 0.1}\r\nlimits: {pids: 99}\r\n",
            ("runtime",),
            "runtime: {name: pi, version: 1.2.3}\r\nlimits: {pids: 99}\r\n",
        ),
        (
            "runtime: {base_image: debian}\nfeatures:\n  - plugin: codex\n    api_key: ${A}\n",
            ("features", 0),
            (
                "runtime: {base_image: debian}\nfeatures:\n  - plugin: codex\n    version: 1.2.3\n"
                "    api_key: ${A}\n"
            ),
        ),
        (
            "runtime: pi\nfeatures: [{plugin: ssh}, {plugin: pi, version: 'latest'}]\n",
            ("features", 1),
            "runtime: pi\nfeatures: [{plugin: ssh}, {plugin: pi, version: 1.2.3}]\n",
        ),
    ],
)
def test_only_the_version_changes(before: str, at: tuple[str | int, ...], after: str):
    assert version_edit.with_version(HEAD + before, at, "1.2.3", "agent.yaml") == HEAD + after
