"""ssh reads our config as intended, and a user's own file stays intact."""

import dataclasses
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ssh.config import Host, add_include, has_include, remove_include, render
from ssh.values import SshValueError

HOST = Host("a.sandbox", "127.0.0.1", 40022, "agent", "/home/o'me & co/key", "/k n/known_hosts")
PATH = "/home/o'me/.ssh/our own/config"
INCLUDE = f'Include "{PATH}"'


def test_ssh_reads_every_value_of_an_entry(effective):
    read = effective(render([HOST]), HOST.alias)
    expected = {
        "hostname": "127.0.0.1",
        "port": "40022",
        "user": "agent",
        "hostkeyalias": "a.sandbox",
        "identityfile": "/home/o'me & co/key",
        "userknownhostsfile": "/k n/known_hosts",
        "globalknownhostsfile": "/dev/null",
        "stricthostkeychecking": "true",
        "updatehostkeys": "false",
        "hostkeyalgorithms": "ssh-ed25519",
        "identitiesonly": "yes",
        "preferredauthentications": "publickey",
        "forwardagent": "no",
        "forwardx11": "no",
    }
    assert {name: read[name] for name in expected} == {n: [v] for n, v in expected.items()}
    assert "identityagent" not in read


def test_our_entries_say_nothing_about_other_hosts(effective):
    assert effective(render([HOST]), "example.org") == effective("", "example.org")


def test_the_file_does_not_depend_on_the_order_of_the_hosts():
    other = dataclasses.replace(HOST, alias="b.sandbox")
    assert render([HOST, other]) == render([other, HOST])


def test_two_hosts_of_one_alias_are_refused():
    with pytest.raises(SshValueError, match=re.escape("a.sandbox")):
        render([HOST, dataclasses.replace(HOST, port=1)])


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_would_break_the_file_is_refused(port):
    with pytest.raises(SshValueError):
        dataclasses.replace(HOST, port=port)


NAMES = {
    "alias": "a host alias",
    "hostname": "the host name",
    "user": "the user",
    "identity_file": "the identity file",
    "known_hosts_file": "the known_hosts file",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "value", ["", "x\nProxyCommand id", "x\rUser root", 'x" "y', "x\\", "%d/x", "${HOME}", "x\x85y"]
)
def test_a_value_that_ssh_would_read_otherwise_is_refused_by_its_name(name, value):
    with pytest.raises(SshValueError, match=f"^{NAMES[name]}[ :]"):
        dataclasses.replace(HOST, **{name: value})


NASTY = st.text(st.sampled_from("aZ09._-/~: '=#,!&;|<>(){}^é\t\n\r\0\x0b\x85\u2028\"\\%$*?[]"))
FIELDS = {
    "alias": "host",
    "hostname": "hostname",
    "user": "user",
    "identity_file": "identityfile",
    "known_hosts_file": "userknownhostsfile",
}


@pytest.fixture(scope="module")
def plain(effective):
    return effective(render([HOST]), HOST.alias)


@given(st.sampled_from(sorted(FIELDS)), NASTY | st.text())
def test_a_value_is_refused_or_is_exactly_what_ssh_reads(effective, plain, name, value):
    """Never a second directive: all else must read as without the value."""
    value = {"hostname": "h", "alias": "", "user": ""}.get(name, "/") + value
    try:
        host = dataclasses.replace(HOST, **{name: value})
    except SshValueError:
        return
    expected = plain | {FIELDS[name]: [value.lower() if name == "hostname" else value]}
    if name == "alias":
        expected["hostkeyalias"] = [value]
    assert effective(render([host]), host.alias) == expected


LINES = st.sampled_from(
    [
        "",
        "# a comment",
        "\t",
        "Host *",
        "  host = x y",
        "Match host z",
        '"Host" q',
        "    Port 22",
        "  User me  # me",
        "Include other",
        'Include "/a b/c" d',
        "# companion: the hosts of your sandboxes; must come before any Host or Match",
        "ServerAliveInterval 3",
    ]
)


@st.composite
def configs(draw) -> str:
    """A user's config: any line ends, with and without a last one, with and without a BOM."""
    newlines = st.sampled_from(draw(st.sampled_from([["\n"], ["\r\n"], ["\n", "\r\n"]])))
    text = "".join(line + draw(newlines) for line in draw(st.lists(LINES)))
    return draw(st.sampled_from(["", "\ufeff"])) + text + draw(LINES)


@given(configs() | st.text())
def test_removing_the_include_gives_back_the_same_bytes(text):
    assume(not has_include(text, PATH))
    added = add_include(text, PATH)
    assert has_include(added, PATH)
    assert added.removeprefix("\ufeff").endswith(text.removeprefix("\ufeff"))
    assert remove_include(added, PATH) == text


@given(configs(), configs())
def test_an_include_that_does_not_count_is_moved_to_the_top(above, below):
    text = f"{above}\nHost h\n{INCLUDE}\n{below}"
    assert not has_include(text, PATH)
    moved = add_include(text, PATH)
    assert moved == add_include(f"{above}\nHost h\n{below}", PATH)
    assert (has_include(moved, PATH), moved.count(INCLUDE)) == (True, 1)


@given(configs())
def test_adding_twice_is_adding_once(text):
    assert add_include(add_include(text, PATH), PATH) == add_include(text, PATH)


@settings(max_examples=15, deadline=None)
@given(configs())
def test_ssh_finds_our_hosts_from_any_config_that_it_can_read(effective, tmp_path_factory, text):
    ours = tmp_path_factory.getbasetemp() / "our own config"
    ours.write_text("Host a.sandbox\n  Port 40022\n")
    ours.chmod(0o600)
    text = text.removeprefix("\ufeff")  # with one, ssh refuses the file, with and without us
    added = add_include(text, str(ours))
    assert effective(added, "a.sandbox")["port"] == ["40022"]
    assert effective(added, "x") == effective(text, "x")


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (INCLUDE, True),
        ("User me\n  include=/other " + f'"{PATH}"' + "\r\n", True),
        ("Include /plain/path\n", False),
        (f"# {INCLUDE}\n", False),
        (f"Host x\n{INCLUDE}\n", False),
        (f"match host z\n{INCLUDE}\n", False),
        (f'\t"Host" x\n{INCLUDE}\n', False),
        (f"Host=x\n{INCLUDE}\n", False),
        (f"HostName x\n{INCLUDE}\n", True),
        (f"# c\rHost x\n{INCLUDE}\n", True),
    ],
)
def test_an_include_counts_exactly_where_ssh_follows_it(text, counts, effective, tmp_path):
    ours = tmp_path / "our own"
    ours.write_text("Host a.sandbox\n  Port 40022\n")
    ours.chmod(0o600)
    assert has_include(text, PATH) is counts
    followed = effective(text.replace(PATH, str(ours)), "a.sandbox")["port"] == ["40022"]
    assert followed is counts


def test_an_include_that_the_user_wrote_for_several_files_is_not_removed():
    text = f'Include a "{PATH}"\n'
    assert remove_include(text, PATH) == add_include(text, PATH) == text


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_our_lines_end_like_the_users(newline):
    added = add_include(f"Host x{newline}", PATH)
    assert added.count(newline) == added.count("\n") == 3


@pytest.mark.parametrize("path", ["", 'a"b', "a\nHost *", "C:\\x", "~/%d", "/a/*", "/[a]"])
def test_a_path_that_ssh_would_expand_is_not_included(path):
    with pytest.raises(SshValueError):
        add_include("", path)
