"""The plugin git: what real git makes of its settings, and what each forge is sent."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from companion.config import decode
from companion.errors import ConfigError
from companion.plugins.contribution import Contribution
from companion.sandbox import assemble

HEAD = "name: coder\nruntime: codex\nfeatures:\n"
GIT = "  - plugin: git\n"
PUSH = "{}    push: {{{}}}\n"


def contribution(features: str) -> Contribution:
    config, document = decode.agent(HEAD + features)
    loaded = decode.loaded(config, document, None)
    return assemble.additions(loaded, assemble.program(config, document))


def problem(features: str) -> str:
    with pytest.raises(ConfigError) as caught:
        contribution(features)
    (only,) = caught.value.problems
    return str(only)


@pytest.fixture
def git(tmp_path: Path) -> Any:
    """Git with the settings of a plugin as the system's, asked in an empty directory."""

    def ask(features: str, *words: str, own: str = "") -> str:
        (tmp_path / "own").write_text(own)
        environment: Mapping[str, str] = os.environ | {
            "HOME": str(tmp_path),
            "GIT_CONFIG_SYSTEM": str(tmp_path / "system"),
            "GIT_CONFIG_GLOBAL": str(tmp_path / "own"),
        }
        for command in contribution(features).commands:
            subprocess.run(["/bin/sh", "-ec", command.text], env=environment, check=True)
        done = subprocess.run(
            ["git", *words], env=environment, cwd=tmp_path, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    return ask


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("git@github.com:a/b.git", "https://github.com/a/b.git"),
        ("ssh://git@gitlab.com/a/b", "https://gitlab.com/a/b"),
        ("ssh://git@codeberg.org:22/a/b", "https://codeberg.org/a/b"),
        ("git@git.corp.test:a/b", "https://git.corp.test:8443/a/b"),
        ("https://github.com/a/b", "https://github.com/a/b"),
        ("git@github.com.evil.test:a/b", "git@github.com.evil.test:a/b"),
    ],
)
def test_addresses_for_ssh_lead_to_https(git: Any, written: str, asked: str):
    push = PUSH.format(GIT, '"git.corp.test:8443": {token: "${T}", kind: gitea}')
    assert git(push, "ls-remote", "--get-url", written) == asked


def test_the_agent_commits_as_configured_and_its_own_settings_count_more(git: Any):
    who = GIT + "    name: \"Ada 'Countess' $(id) O'Neil\"\n    email: ada@example.com\n"
    assert git(who, "config", "user.name") == "Ada 'Countess' $(id) O'Neil"
    assert git(who, "config", "user.email", own="[user]\nemail = mine@x.test") == "mine@x.test"


def test_a_branch_is_pushed_without_settings_of_its_own(git: Any, tmp_path: Path):
    """In a mounted repository, no branch can get any."""
    git(GIT, "init", "-q", "--bare", "there")
    git(GIT, "init", "-q", "-b", "new", "here")
    who = ("-c", "user.name=a", "-c", "user.email=a@b.test", "-C", "here")
    git(GIT, *who, "commit", "-q", "--allow-empty", "-m", "one")
    git(GIT, *who, "remote", "add", "origin", str(tmp_path / "there"))
    git(GIT, *who, "push", "-q")
    assert git(GIT, "-C", "there", "branch", "--list") == "new"


@pytest.mark.parametrize(
    ("push", "user", "endpoint"),
    [
        ('github.com: "${T}"', "x-access-token", "github.com:443"),
        ('gitlab.com: "${T}"', "oauth2", "gitlab.com:443"),
        ('Codeberg.org: "${T}"', "oauth2", "codeberg.org:443"),
        ('bitbucket.org: "${T}"', "x-bitbucket-api-token-auth", "bitbucket.org:443"),
        ('bitbucket.org: {token: "${T}", kind: bitbucket-access-token}', "x-token-auth",
         "bitbucket.org:443"),
        ('"git.corp.test:3000": {token: "${T}", kind: forgejo}', "oauth2", "git.corp.test:3000"),
    ],
)  # fmt: skip
def test_each_forge_is_sent_the_token_as_it_wants_it(push: str, user: str, endpoint: str):
    (upstream,) = contribution(PUSH.format(GIT, push)).upstreams
    (header,) = upstream.headers
    assert (upstream.endpoint, header.name, header.basic_user) == (endpoint, "Authorization", user)
    assert (header.prefix, header.secret.name) == ("Basic ", "T")


def test_a_token_that_github_pat_gives_too_is_one_and_another_one_names_both():
    both = PUSH.format(GIT, 'github.com: "${T}"') + "  - plugin: github-pat\n    token: ${%s}\n"
    assert len(contribution(both % "T").upstreams) == 3
    text = problem(both % "OTHER")
    assert "push.github.com (git) and features[1] (github-pat) both define the service" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PUSH.format("", 'git.corp.test: "${T}"'), "must tell what kind of forge git.corp.test is"),
        (PUSH.format("", "github.com: ghp_pasted"), "put the secret itself into .env"),
        (PUSH.format("", '10.0.0.5: "${T}"'), "must have a host name"),
        (PUSH.format("", '"github.com:x": "${T}"'), "must be a host name, or HOST:PORT"),
        ("    name: 'A <b@c.test>'\n", "must be a name without < and >"),
        ("    email: ada\n", "must be an address"),
        ("    sing: true\n", "did you mean 'sign'?"),
    ],
)
def test_a_mistake_is_one_message(options: str, message: str):
    assert message in problem(GIT + options)
