"""Any text is an agent.yaml or a list of problems with places; one text gives the same bytes."""

import json
import os
import string
from pathlib import Path

import pytest
import yaml
from desk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.errors import CompanionError, ConfigError
from companion.project import discovery
from companion.project.model import AgentRef
from companion.reconcile import generate
from companion.reconcile.validate import check
from companion.system.paths import Paths

ENV = "".join(f"{name}=value-{name}\n" for name in ("ONE", "TWO", "THREE", "FOUR"))
WORDS = st.text(string.printable, max_size=12)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
HOSTS = st.sampled_from(
    ["api.example.com", "x.test", "HOST.Example", "10.1.2.3", "*.a.b", "ä.de", ""]
)
URLS = st.builds(
    "{}://{}{}".format,
    st.sampled_from(["http", "https", "docker", "ftp"]),
    HOSTS,
    st.sampled_from(["", ":8000", ":0", ":99999", "/v1"]),
)
HEADERS = st.dictionaries(
    st.sampled_from(["Authorization", "X-Key", "Host", "a b"]) | WORDS,
    st.sampled_from(["Bearer ${KEY}", "${KEY}", "none", 'q"%${A_B}\\x', "${A}${B}"]) | WORDS,
    max_size=2,
)
FEATURES = st.one_of(
    st.fixed_dictionaries(
        {"plugin": st.just("ssh")},
        optional={"port": st.sampled_from(["auto", 2222, 0, "x"]) | JUNK},
    ),
    st.fixed_dictionaries(
        {
            "plugin": st.just("external-services"),
            "services": st.lists(
                st.fixed_dictionaries({"url": URLS, "headers": HEADERS}), max_size=3
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "plugin": st.just("mcp-oauth"),
            "providers": st.dictionaries(
                st.sampled_from(["notion", "a.b", "A_1-"]) | WORDS,
                st.fixed_dictionaries(
                    {"mcp_url": URLS | st.sampled_from(["https://[", "https://m.x:8443/mcp?a=b"])},
                    optional={"client_id": WORDS, "client_secret": st.just("${A}") | WORDS},
                ),
                max_size=2,
            ),
        }
    ),
    st.fixed_dictionaries(
        {"plugin": st.just("custom-runtime")},
        optional={
            "commands": st.lists(WORDS, max_size=2),
            "env": st.lists(st.sampled_from(["A=b", "A=c", 'Q="%$', "X=a b'\\"]), max_size=2),
            "runtime_volumes": st.lists(
                st.sampled_from(["./work:/srv/w", "data:/data", ".:/x", "/etc:/e", "a:/etc:ro"]),
                max_size=2,
            ),
        },
    ),
    st.dictionaries(WORDS, JUNK, max_size=3),
)
CONFIGS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["coder", "a", "Bad Name", ".."]) | WORDS,
        "runtime": st.sampled_from(["codex", "codexx", {"base_image": "debian:12"}]) | JUNK,
    },
    optional={
        "features": st.lists(FEATURES, max_size=3),
        "egress": st.sampled_from(["open", "listed", {"allow": ["*.x.org", "a.b"]}]) | JUNK,
        "limits": st.sampled_from([{"memory": "1g"}, {"cpus": "1.5", "pids": 99}]) | JUNK,
        "workdir": st.sampled_from(["{{ .AGENT_HOME }}/work"]) | JUNK,
    },
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paths, Path]:
    top = tmp_path_factory.mktemp("random")
    (top / "project/work").mkdir(parents=True)
    os.environ["KEY"] = "value"
    home = Paths(top, *(top / name for name in ("config", "data", "state", "programs")))
    home.config.mkdir()
    home.settings.write_text(f"trust: {{always: [{top}]}}\n")
    return home, top / "project"


@settings(max_examples=150)
@given(config=CONFIGS)
def test_random_configs_never_crash(place, config):
    home, project = place
    (project / "agent.yaml").write_text(yaml.safe_dump(config))
    try:
        check(home, AgentRef(discovery.project(project)))
    except ConfigError as error:
        assert error.problems
        assert all(p.place is not None and p.place.line >= 1 for p in error.problems)
    else:
        generate.generate(home, discovery.project(project))


NAMES = ["b.test", "a.test", "*.d.test", "c.test", "10.test"]
WIDE = f"""\
name: coder
runtime: codex
egress: {{mode: listed, allow: {json.dumps(NAMES)}}}
features:
  - plugin: ssh
  - plugin: codex
    api_key: "${{ONE}}"
  - plugin: pi
    providers: [openai, anthropic, google]
    provider_keys: {{openai: "${{ONE}}", anthropic: "${{TWO}}", google: "${{THREE}}"}}
  - plugin: github-pat
    token: "${{FOUR}}"
    domains: [z.test, y.test, x.test]
  - plugin: external-services
    services:
      - url: https://s.test:8443
        headers: {{X-B: "${{TWO}}", X-A: "${{ONE}}", X-C: "${{THREE}}"}}
      - url: http://r.test:8000
  - plugin: custom-runtime
    root_hooks: [root.sh]
    entrypoint_hooks: [one.sh, two.sh]
    capabilities: [FOWNER, CHOWN, DAC_OVERRIDE]
    env: ["B=1", "A=2", "C=3"]
    runtime_volumes: ["b:/srv/b", "a:/srv/a", "./work:/srv/w"]
"""
"""Of all that could be kept in a set, several."""


def test_a_config_gives_the_same_bytes_whatever_the_order_of_sets(desk: Desk):
    project = desk.project(WIDE, one__sh="", two__sh="", root__sh="", __env=ENV)
    trees = []
    for seed in ("1", "2", "3"):
        process = Desk(desk.home, desk.environment | {"PYTHONHASHSEED": seed})
        process.companion("-C", str(project), "generate").ok()
        trees.append(tree(project / ".build"))
        (project / ".build").rename(desk.home / f"build-{seed}")
    assert trees[0]
    assert trees[0] == trees[1] == trees[2]


def tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@settings(max_examples=300)
@given(text=st.text(max_size=200) | st.text(":-[]{}&*!|>'\"%@` \n\tab", max_size=60))
def test_random_text_never_crashes(place, text):
    home, project = place
    (project / "agent.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(CompanionError) as caught:
        check(home, AgentRef(discovery.project(project)))
    assert str(caught.value)
