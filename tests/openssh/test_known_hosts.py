"""OpenSSH finds the pins in our known_hosts."""

import pytest

from ssh import keys, known_hosts
from ssh.values import SshValueError

ONE, TWO = keys.generate("one").public, keys.generate("two").public


def test_ssh_keygen_finds_the_pin_of_each_alias(ssh_keygen, tmp_path):
    file = tmp_path / "known hosts"
    file.write_text(known_hosts.render({"b.sandbox": TWO, "a.sandbox": ONE}))
    for alias, public in (("a.sandbox", ONE), ("b.sandbox", TWO)):
        found = ssh_keygen("-l", "-F", alias, "-f", file).stdout.split("\n")[1]
        assert found.split()[:3] == [alias, "ED25519", keys.fingerprint(public)]


def test_the_file_is_sorted_and_can_be_read_back():
    pins = {"b.sandbox": TWO.rpartition(" ")[0], "a.sandbox": ONE.rpartition(" ")[0]}
    text = known_hosts.render(pins)
    assert text == known_hosts.render(dict(reversed(pins.items())))
    assert text.startswith("a.sandbox ssh-ed25519 ")
    assert known_hosts.parse(text) == pins


@pytest.mark.parametrize(
    "alias", ["", "a b", "a\n* x", "*", "a,b", "!a", "@revoked", "|1|a|b", "#a", "A.sandbox"]
)
def test_an_alias_that_means_something_else_is_refused(alias):
    with pytest.raises(SshValueError):
        known_hosts.render({alias: ONE})


@pytest.mark.parametrize(
    "key",
    ["", "ssh-ed25519", f"x {ONE}", ONE[:60], "ssh-rsa AAAA"],
    ids=["nothing", "no key", "a host before it", "half a key", "another kind"],
)
def test_what_is_no_host_key_is_refused(key):
    with pytest.raises(SshValueError):
        known_hosts.render({"a.sandbox": key})


def test_a_comment_with_a_line_break_does_not_become_a_second_pin():
    pin = known_hosts.render({"a.sandbox": f"{ONE}\nb.sandbox {TWO}"})
    assert known_hosts.parse(pin).keys() == {"a.sandbox"}


def test_a_host_key_that_our_config_would_never_ask_for_is_refused(ssh_keygen, tmp_path):
    ssh_keygen("-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "key")
    with pytest.raises(SshValueError, match="must be ssh-ed25519"):
        known_hosts.render({"a.sandbox": (tmp_path / "key.pub").read_text()})


def test_a_line_of_somebody_else_is_noticed():
    with pytest.raises(SshValueError):
        known_hosts.parse(f"@cert-authority *.sandbox {ONE}\n")
