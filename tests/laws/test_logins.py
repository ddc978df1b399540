"""Does an agent have a credential for its model, and who is told if not? Pure."""

import pytest

from companion.config import decode
from companion.daemon.news import WorkFinished
from companion.daemon.view import AgentView, IconState, View
from companion.daemon.wording import headline, icon_state
from companion.engine.model import Condition, Health
from companion.errors import Code, Problem
from companion.plugins.contribution import Contribution
from companion.project.model import AgentRef, Project
from companion.sandbox import assemble, logins
from companion.tray.clicks import Click, Verb
from companion.tray.menu import rows
from companion.tray.notifications import notification_for
from companion.tray.rows import DesktopInfo

HEAD = "name: coder\nruntime: {}\negress: {}\n"
NONE = "has no credential for its model"
EMPTY = "has no value; it is needed to log in to"
HAS = {"SET"}
CASES = {
    HEAD.format("claude-code", "listed"): NONE,
    HEAD.format("codex", "open"): NONE,
    HEAD.format("pi", "listed"): NONE,
    HEAD.format("claude-code", "listed") + "gateway: true\nfeatures:\n  - plugin: ssh\n": NONE,
    HEAD.format("claude-code", "open") + "gateway: false\n": "",
    HEAD.format("{base_image: debian}", "listed"): "",
    HEAD.format("claude-code", "{allow: [api.anthropic.com]}"): "",
    HEAD.format("claude-code", "{allow: ['*.anthropic.com']}"): "",
    HEAD.format("claude-code", "{allow: ['*.nthropic.com']}"): NONE,
    HEAD.format("claude-code", "listed") + "features:\n  - plugin: custom-runtime\n"
    "    env: ['ANTHROPIC_BASE_URL=https://llm.corp.test']\n": "",
    HEAD.format("codex", "listed") + "features:\n  - plugin: external-services\n    services:\n"
    "      - url: https://api.openai.com\n": "",
    HEAD.format("codex", "listed") + "features:\n  - plugin: custom-runtime\n"
    "    home_override: home\n  - plugin: external-services\n    services:\n"
    "      - url: http://model.test:8000\n        headers: {authorization: 'Bearer ${SET}'}\n": "",
    HEAD.format("codex", "listed") + "features:\n  - plugin: custom-runtime\n"
    "    home_override: home\n": NONE,
    HEAD.format("codex", "listed") + "features:\n  - plugin: codex\n    api_key: ${SET}\n": "",
    HEAD.format("codex", "listed") + "features:\n  - plugin: codex\n    api_key: ${UNSET}\n": EMPTY,
    HEAD.format("codex", "listed") + "features:\n  - plugin: claude-code\n"
    "    oauth_token: ${SET}\n": NONE,
    HEAD.format("claude-code", "listed") + "features:\n  - plugin: claude-code\n"
    "    oauth_token: ${UNSET}\n": EMPTY,
    HEAD.format("{base_image: debian}", "listed") + "features:\n  - plugin: pi\n"
    "    providers: [google]\n    provider_keys: {google: '${UNSET}'}\n": EMPTY,
    HEAD.format("{base_image: debian}", "listed") + "features:\n  - plugin: external-services\n"
    "    services:\n      - url: https://o.test\n        headers: {x-api-key: '${UNSET}'}\n": "",
}  # fmt: skip


@pytest.mark.parametrize("text", CASES)
def test_what_an_agent_lacks_for_its_model_is_one_problem(text: str):
    loaded = decode.loaded(*decode.agent(text), None)
    contribution = assemble.additions(loaded, assemble.program(loaded.config, loaded.document))
    found = [*logins.problems(loaded, contribution, HAS.__contains__)]
    assert [CASES[text] in problem.what for problem in found] == ([True] if CASES[text] else [])
    assert {problem.hint for problem in found} <= {"run `companion login coder`"}
    assert {problem.code for problem in found} <= {Code.NO_CREDENTIAL}


def test_a_login_has_the_name_that_the_agents_runtime_has_for_it():
    text = HEAD.format("pi", "listed") + "features:\n  - plugin: pi\n    providers: [openai]\n"
    loaded = decode.loaded(*decode.agent(f"{text}    provider_keys: {{openai: '${{MY}}'}}\n"), None)
    contribution = assemble.additions(loaded, assemble.program(loaded.config, loaded.document))
    (found,) = logins.choices(loaded.config, contribution)
    assert (found.login.mode, found.variable) == ("openai", "MY")
    proposed = logins.choices(loaded.config, Contribution())
    assert [one.login.mode for one in proposed] == ["anthropic", "openai", "google"]


def test_the_tray_names_a_missing_login_and_offers_it(tmp_path):
    problem = Problem("claude-code has no credential for its model", "run `companion login coder`")
    ref = AgentRef(Project(tmp_path, "p"))
    running = Condition(Health.RUNNING)
    seen = AgentView(ref, "coder", condition=running, login_problem=problem)
    view = View({seen.id: seen})
    log_in = Click(Verb.LOG_IN, seen.id)
    assert icon_state(view) is IconState.ATTENTION
    assert problem.what in headline(view)
    shown = rows(view, DesktopInfo())
    assert shown[0].click == log_in
    assert [row.text for row in shown if row.click == log_in][1:] == ["Log in…"]
    news = WorkFinished(seen.id, "created", login_problem=problem, changed=True)
    told = notification_for(view, news)
    assert told
    assert told.actions == (("Log in…", log_in),)
    other = AgentView(ref, "coder", condition=running)
    assert not [row for row in rows(View({other.id: other}), DesktopInfo()) if row.click == log_in]
