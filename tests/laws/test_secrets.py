"""However an agent.yaml or .env is spoilt, no message repeats a secret that stands in it."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from companion.errors import ConfigError
from companion.project.discovery import project
from companion.project.model import AgentRef
from companion.reconcile.validate import check
from companion.system.paths import Paths

SECRET = "sk-proj-9fK2c0ffee7Q4bX1zLw8"
OTHERS = (
    "AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "xoxb-1234567890-abcdefghijklmnopqrstuvwx",
    "glpat-abcdefghijklmnopqrst",
    "correct horse battery staple of somebody",
)
"""Of these less is promised: they are not repeated where a key or a name is wrong."""
ENOUGH = 16
"""So much of it, and it is given away."""
PASTED = f"""\
name: coder
runtime: codex
egress: {{mode: listed, allow: [x.test]}}
features:
  - plugin: external-services
    services:
      - url: https://api.test
        headers: {{Authorization: "Bearer {SECRET}"}}
      - url: https://{SECRET}@api.test
  - plugin: github-pat
    token: {SECRET}
  - plugin: codex
    api_key: {SECRET}
  - plugin: ssh
    authorized_keys: k.pub
    host_key: k
  - plugin: custom-runtime
    entrypoint_hooks: [a.sh]
    runtime_volumes: ["a:/x"]
    ports: ["80"]
    env: ["A=1"]
  - plugin: pi
    providers: [openai]
    provider_keys: {{openai: {SECRET}}}
"""
VALID = (
    PASTED.replace(f"https://{SECRET}@api", "https://other")
    .replace(f"openai: {SECRET}", "openai: '${KEY}'")
    .replace(SECRET, "${KEY}")
)
"""Here a secret comes in where it does not belong."""
ENVIRONMENT = f"# keys\nKEY={SECRET}\nOTHER='{SECRET}'\n"
PIECES = [*":-[]{}&*!|>'\"%@#,?=\n\t ", "- ", ": ", "'''", "&a", "*", "!", SECRET, "x:", "\0", "é"]
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES) | st.just("")),
    min_size=1,
    max_size=4,
)
"""Where, how much is taken away, and what is put there instead."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paths, Path]:
    top = tmp_path_factory.mktemp("secrets")
    (top / "project").mkdir()
    return Paths(
        top, *(top / name for name in ("config", "data", "state", "programs"))
    ), top / "project"


def spoilt(text: str, edits: list[tuple[float, int, str]]) -> str:
    for where, taken, put in edits:
        at = int(where * len(text))
        text = text[:at] + put + text[at + taken :]
    return text


def said(home: Paths, directory: Path) -> str:
    try:
        checked = check(home, AgentRef(project(directory)))
    except ConfigError as error:
        return str(error)
    return "\n".join(map(str, checked.missing))


def given_away(message: str) -> bool:
    parts = (SECRET[at : at + ENOUGH] for at in range(len(SECRET) - ENOUGH + 1))
    return any(part in message for part in parts)


@settings(max_examples=400)
@given(text=st.sampled_from([PASTED, VALID]), edits=EDITS)
@example(text=PASTED, edits=[])
def test_a_spoilt_config_gives_no_secret_away(place, text, edits):
    home, directory = place
    (directory / ".env").unlink(missing_ok=True)
    (directory / "agent.yaml").write_text(spoilt(text, edits))
    message = said(home, directory)
    assert not given_away(message), message


@settings(max_examples=200)
@given(edits=EDITS)
def test_a_spoilt_env_file_gives_no_secret_away(place, edits):
    home, directory = place
    (directory / "agent.yaml").write_text(VALID)
    (directory / ".env").write_text(spoilt(ENVIRONMENT, edits))
    message = said(home, directory)
    assert not given_away(message), message


@pytest.mark.parametrize("secret", [SECRET, *OTHERS])
@pytest.mark.parametrize(
    "line", ["{}: x\n", "{}\n", "runtime: {}\n", "features: [{{plugin: {}}}]\n", "{} x: y\n"]
)
def test_a_secret_for_a_key_or_a_name_is_not_repeated(place, secret: str, line: str):
    home, directory = place
    (directory / "agent.yaml").write_text(f"name: coder\n{line.format(secret)}")
    message = said(home, directory)
    assert message
    assert secret[:ENOUGH] not in message
    assert secret[-ENOUGH:] not in message
