"""OpenSSH accepts the keys that we accept; the others are explained."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssh import authorized_keys, keys
from ssh.authorized_keys import Key, merge, parse

ONE, TWO = keys.generate("one").public, keys.generate("two").public


def blob(*fields: bytes) -> str:
    return base64.b64encode(b"".join(len(f).to_bytes(4, "big") + f for f in fields)).decode()


POINT = b"\x04" + base64.b64decode(
    "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q=="
)  # the base point of P-256 (FIPS 186-4 D.1.2.3): hardware keys cannot be made without hardware
HARDWARE = {
    "sk-ssh-ed25519@openssh.com": (b"\x01" * 32, b"ssh:"),
    "sk-ecdsa-sha2-nistp256@openssh.com": (b"nistp256", POINT, b"ssh:"),
}


@pytest.fixture(scope="module")
def made(ssh_keygen, tmp_path_factory):
    """One public key line of each type that ssh-keygen can make."""
    directory = tmp_path_factory.mktemp("made")
    lines = []
    for kind, bits in (("ed25519", 256), ("rsa", 1024), *(("ecdsa", b) for b in (256, 384, 521))):
        file = directory / f"{kind}{bits}"
        ssh_keygen("-q", "-t", kind, "-b", bits, "-N", "", "-C", "a b  c", "-f", file)
        lines.append(file.with_suffix(".pub").read_text())
    return lines


def test_every_type_that_ssh_keygen_makes_is_read_with_its_fingerprint(made, ssh_keygen):
    hardware = [f"{t} {blob(t.encode(), *rest)} key\n" for t, rest in HARDWARE.items()]
    text = "".join([*made, *hardware])
    parsed = parse(text)
    printed = ssh_keygen("-l", "-f", "-", stdin=text).stdout.splitlines()
    assert parsed.problems == ()
    assert [key.fingerprint for key in parsed.keys] == [line.split()[1] for line in printed]
    assert "".join(f"{key.line}\n" for key in parsed.keys) == text


def test_comments_blank_lines_windows_line_ends_and_a_bom_mean_nothing():
    text = f"\ufeff# mine\r\n\r\n{ONE}\r\n  \t\n   {TWO}"
    assert [key.line for key in parse(text).keys] == [ONE, TWO]
    assert parse(text).problems == ()


@pytest.mark.parametrize(
    "options", ["restrict", 'command="ssh-keygen -l" ', 'environment="A=b c",no-pty', "@revoked"]
)
def test_options_are_refused_because_we_would_not_honour_them(options):
    (problem,) = parse(f"{ONE}\n{options} {TWO}").problems
    assert problem.line == 2
    assert "options" in problem.message


@pytest.mark.parametrize("cut", [1, 4, 20, 24, 64])
def test_a_key_that_lost_its_end_is_damaged_for_us_as_for_openssh(cut, ssh_keygen):
    kind, data, comment = ONE.split()
    line = f"{kind} {data[:-cut]} {comment}"
    assert ssh_keygen("-l", "-f", "-", stdin=line).returncode != 0
    (problem,) = parse(line).problems
    assert "damaged" in problem.message


def test_a_key_whose_content_has_another_type_is_damaged():
    (problem,) = parse(ONE.replace("ssh-ed25519", "ssh-rsa")).problems
    assert "not of type ssh-rsa" in problem.message


def test_a_key_without_all_its_parts_is_damaged():
    (problem,) = parse(f"ssh-rsa {blob(b'ssh-rsa', b'e')}").problems
    assert "missing" in problem.message


@pytest.mark.parametrize("newline", ["\n", "\r\n", " "])
def test_a_pasted_private_key_is_one_problem_that_does_not_repeat_it(newline):
    private = keys.generate("").private
    parsed = parse(f"{ONE}\n{private.replace(chr(10), newline)}\n{TWO}")
    (problem,) = parsed.problems
    assert parsed.keys == ()
    assert (problem.line, "PRIVATE" in problem.message) == (2, True)
    assert not any(line in problem.message for line in private.split("\n")[1:-2])


@given(st.text())
def test_any_text_is_answered_and_no_message_repeats_a_line(text):
    for problem in parse(text).problems:
        line = text.removeprefix("\ufeff").split("\n")[problem.line - 1].strip()
        assert len(line) < 20 or line not in problem.message


def test_a_key_cannot_bring_a_second_line():
    with pytest.raises(ValueError, match="line break"):
        Key(*ONE.split()[:2], f"x\n{TWO}")


def test_a_merge_has_each_key_once_in_order_with_its_first_comment():
    first, again = parse(f"{ONE}\n{TWO}").keys, parse(ONE.replace("one", "other")).keys
    assert merge(first, again) == f"{ONE}\n{TWO}\n"
    assert merge(again, first) == f"{ONE.replace('one', 'other')}\n{TWO}\n"
    assert merge() == ""


@given(st.lists(st.sampled_from([ONE, TWO, ONE.replace("one", "ünï ©")])))
def test_merging_what_was_merged_changes_nothing(lines):
    once = merge(parse("\n".join(lines)).keys)
    assert merge(authorized_keys.parse(once).keys) == once
