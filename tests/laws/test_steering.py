"""What is watched follows from what the plugins name; the watcher knows no option of theirs."""

import threading
from pathlib import Path

import pytest

from companion.config.models import Model
from companion.config.origin import Origin
from companion.config.values import Line
from companion.daemon.file_watcher import Watch, steering, steering_of
from companion.plugins.base import Context, FeaturePlugin
from companion.plugins.contribution import Contribution, ProjectFile, SshServer
from companion.project import discovery
from companion.project.model import AgentRef, Project

CONFIG = """\
name: coder
runtime: codex
features:
  - plugin: custom-runtime
    entrypoint_hooks: [start.sh]
    root_hooks: ["{{ .AGENT_USER }}.sh"]
    home_override: home
    runtime_volumes: ["./work:/work", "cache:/cache"]
  - plugin: ssh
    authorized_keys: keys.pub
    host_key: host_key
"""
NAMED = ("start.sh", "agent.sh", "home", "keys.pub", "host_key")


class Options(Model):
    """Options of a plugin that nobody has thought of yet."""

    banner: Line


def contribute(options: Options, context: Context) -> Contribution:
    file = ProjectFile(options.banner, context.origin.at("banner"))
    return Contribution(ssh=(SshServer(None, None, file, context.origin),))


MADE_UP = FeaturePlugin("banner", "A greeting", Options, contribute)


@pytest.mark.parametrize(("is_shared", "place"), [(False, "coder/hello"), (True, "hello")])
def test_a_file_that_a_new_plugin_names_is_watched(tmp_path: Path, is_shared: bool, place: str):
    ref = AgentRef(Project(tmp_path, "team"), "coder")
    origin = Origin(("features", 0), is_shared, MADE_UP.name)
    context = Context("coder", "agent", "/home/agent", origin)
    contribution = MADE_UP.contribute(Options(banner="hello"), context)
    assert tmp_path / place in steering_of(ref, contribution)


def test_what_a_broken_config_named_last_is_watched_until_it_can_be_read_again(tmp_path: Path):
    (tmp_path / "agent.yaml").write_text(CONFIG)
    ref = AgentRef(discovery.project(tmp_path))
    before = steering(ref)
    assert set(before) == {tmp_path / name for name in ("agent.yaml", "fleet.yaml", ".env", *NAMED)}
    (tmp_path / "agent.yaml").write_text(CONFIG.replace("ssh", "shs"))
    assert set(steering(ref, before)) == set(before)
    (tmp_path / "agent.yaml").write_text(CONFIG[: CONFIG.index("  - plugin: ssh")])
    assert set(before) - set(steering(ref, before)) == {
        tmp_path / name for name in ("keys.pub", "host_key")
    }
    (tmp_path / "agent.yaml").unlink()
    assert tmp_path / "agent.yaml" in steering(ref)


def test_a_link_that_is_not_followed_anymore_is_not_reported(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    link = tmp_path / "link"
    link.symlink_to("one")
    touched: list[tuple[str, threading.Thread]] = []
    watch = Watch(lambda key, _: touched.append((key, threading.current_thread())), print)
    try:
        watch.follow("a", [link / "file"])
        watch.follow("b", [link / "file/below"])
        watch.forget("a")
        link.unlink()
        link.symlink_to("two")
        watch.notice_exchanges()
    finally:
        watch.stop()
    assert [key for key, thread in touched if thread is threading.current_thread()] == []


def test_a_link_that_leads_elsewhere_is_reported_whatever_is_followed_next(tmp_path: Path):
    for name in ("one", "two", "links"):
        (tmp_path / name).mkdir()
    for name in ("one", "two"):
        (tmp_path / name / "file").touch()
    link, ahead = tmp_path / "links/link", tmp_path / "links/ahead"
    link.symlink_to("../one")
    file = link / "file"
    touched: list[tuple[str, threading.Thread]] = []
    watch = Watch(lambda key, _: touched.append((key, threading.current_thread())), print)
    steps = (
        lambda: watch.follow("a", [file]),
        lambda: watch.follow("b", [tmp_path / "other"]),
        watch.look_again,
    )
    try:
        for number, step in enumerate(steps):
            watch.follow("a", [file])
            ahead.symlink_to("../one" if number % 2 else "../two")
            touched.clear()
            ahead.rename(link)
            step()
            here = {key for key, thread in touched if thread is threading.current_thread()}
            assert here == {"a"}
    finally:
        watch.stop()
