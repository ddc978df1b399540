"""OpenSSH and our library agree on keys."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from ssh import keys
from ssh.values import SshValueError


@pytest.fixture(scope="module")
def pair():
    return keys.generate("me@desk top")


@pytest.fixture
def key_file(pair, tmp_path):
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text(pair.private)
    return path


def test_ssh_keygen_reads_a_new_private_key_and_finds_the_same_public_half(
    pair, key_file, ssh_keygen
):
    answer = ssh_keygen("-y", "-f", key_file)
    assert answer.stdout.strip() == keys.public_of(pair.private)
    assert pair.public == f"{keys.public_of(pair.private)} me@desk top"


def test_the_fingerprint_is_the_one_that_ssh_keygen_prints(pair, ssh_keygen):
    answer = ssh_keygen("-l", "-f", "-", stdin=pair.public)
    assert answer.stdout.split() == [
        "256",
        keys.fingerprint(pair.public),
        "me@desk",
        "top",
        "(ED25519)",
    ]


def test_two_keys_differ():
    assert keys.generate("").private != keys.generate("").private


def test_a_key_pair_does_not_show_its_private_half(pair):
    assert "PRIVATE" not in repr(pair)


def test_a_comment_cannot_start_a_second_line():
    with pytest.raises(SshValueError):
        keys.generate("me\nssh-ed25519 AAAA")


def test_a_key_with_a_passphrase_is_refused(pair):
    key = load_ssh_private_key(pair.private.encode(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, BestAvailableEncryption(b"x"))
    with pytest.raises(SshValueError, match="passphrase"):
        keys.public_of(locked.decode())


def test_a_key_of_another_type_is_refused():
    key = generate_private_key(SECP256R1())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    with pytest.raises(SshValueError, match="Ed25519"):
        keys.public_of(text)


@pytest.mark.parametrize("text", ["", "secret", "\x00", "ssh-ed25519 AAAA", "\ud800"])
def test_what_is_no_private_key_is_refused_and_not_repeated(text):
    with pytest.raises(SshValueError) as caught:
        keys.public_of(text)
    assert str(caught.value) == "not an OpenSSH private key without a passphrase"
    assert caught.value.__cause__ is None
