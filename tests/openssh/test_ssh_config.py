"""ssh reads our config as intended, and a user's own file stays intact."""

import dataclasses
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ssh.config import Host, add_include, has_include, logins, proxy, remove_include, render
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


def test_ssh_connects_by_the_command_of_an_entry_word_for_word(ssh, tmp_path):
    said = tmp_path / "said"
    script = """printf '%s\\n' "$0" "$@" >"$0" """
    words = ("sh", "-c", script, str(said), "%h 100%", "it's", '"$HOME"', "a\\b", "-x;id")
    host = dataclasses.replace(HOST, proxy=proxy(words))
    config = tmp_path / "config"
    config.write_text(render([dataclasses.replace(host, alias="b.sandbox", proxy="none"), host]))
    assert ssh("-F", config, HOST.alias, "true").returncode == 255
    assert said.read_text().splitlines() == list(words[3:])
    with pytest.raises(SshValueError):
        dataclasses.replace(HOST, proxy=proxy(("id\n  User root",)))
    read = logins(config.read_text())
    assert read == {
        a: (40022, "agent", p) for a, p in ((HOST.alias, host.proxy), ("b.sandbox", "none"))
    }


def test_our_entries_say_nothing_about_other_hosts(effective):
    assert effective(render([HOST]), "example.org") == effective("", "example.org")


def test_the_file_does_not_depend_on_the_order_of_the_hosts():
    other = dataclasses.replace(HOST, alias="b.sandbox")
    assert render([HOST, other]) == render([other, HOST])


def test_ssh_reads_the_entry_of_each_of_several_hosts(effective):
    hosts = [HOST, dataclasses.replace(HOST, alias="b.sandbox", port=40023)]
    for host in hosts:
        assert effective(render(hosts), host.alias) == effective(render([host]), host.alias)


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
    if other := {"alias": "hostkeyalias", "hostname": "bindaddress"}.get(name):
        expected[other] = [value]
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


@pytest.mark.parametrize("path", ["", 'a"b', "a\nHost *", "/x\\\\y", "~/%d", "/${HOME}/x"])
def test_a_path_that_ssh_would_expand_is_not_included(path):
    with pytest.raises(SshValueError):
        add_include("", path)


@pytest.mark.parametrize("name", ["a[1]", "CORP\\jdoe", "a$b", "a*b", "what?", "it's", "a b", "ü"])
def test_ssh_finds_our_files_in_a_home_of_an_odd_name(effective, tmp_path, name):
    """The neighbor's name fits where the odd characters are taken for a pattern."""
    for home in (name, re.sub(r"[^a-z]", "", name) or "x", re.sub(r"[^a-z]+", "1", name)):
        (tmp_path / home).mkdir(exist_ok=True)
        (tmp_path / home / "config").write_text("Host *\n  Port 7\n")
    ours = tmp_path / name / "config"
    host = dataclasses.replace(
        HOST, identity_file=f"{ours.parent}/key", known_hosts_file=f"{ours.parent}/known"
    )
    ours.write_text(render([host]))
    for file in tmp_path.glob("*/config"):
        file.chmod(0o600)
    added = add_include("Host *\n  Port 1\n", str(ours))
    read = effective(added, HOST.alias)
    assert read["port"] == ["40022"]
    assert read["identityfile"] == [f"{ours.parent}/key"]
    assert read["userknownhostsfile"] == [f"{ours.parent}/known"]
    assert has_include(added, str(ours))
    assert remove_include(added, str(ours)) == "Host *\n  Port 1\n"


LEFT_TO_THE_USER = {
    # no harm, and a matter of taste or of the user's network
    "compression", "connectionattempts", "connecttimeout", "controlmaster", "controlpath",
    "controlpersist", "enableescapecommandline", "escapechar", "fingerprinthash", "hashknownhosts",
    "ipqos", "loglevel", "logverbose", "numberofpasswordprompts", "rekeylimit",
    "serveralivecountmax", "streamlocalbindmask", "streamlocalbindunlink", "syslogfacility",
    "tcpkeepalive", "visualhostkey", "xauthlocation",
    # policy of the machine
    "casignaturealgorithms", "ciphers", "kexalgorithms", "macs", "requiredrsasize",
    # without effect where only public keys are tried, or beside what we give
    "batchmode", "canonicaldomains", "canonicalizefallbacklocal", "canonicalizemaxdots",
    "canonicalizePermittedcnames", "enablesshkeysign", "forwardx11timeout", "forwardx11trusted",
    "gssapiauthentication", "gssapidelegatecredentials", "hostbasedacceptedalgorithms",
    "hostbasedauthentication", "kbdinteractiveauthentication", "localcommand",
    "passwordauthentication", "pkcs11provider", "proxyusefdpass", "securitykeyprovider",
    "tunneldevice", "identityagent", "bindinterface", "certificatefile",
    # what accumulates: it cannot be taken back
    "dynamicforward", "localforward", "remoteforward", "sendenv", "setenv", "permitremoteopen",
}  # fmt: skip
"""What a `Host *` of the user's still decides for a sandbox."""
HOSTILE = """\
Host *
  AddKeysToAgent yes
  AddressFamily inet6
  BatchMode yes
  BindAddress 203.0.113.9
  CanonicalDomains example.com
  CanonicalizeFallbackLocal no
  CanonicalizeHostname always
  CanonicalizeMaxDots 3
  CertificateFile ~/.ssh/id-cert.pub
  CheckHostIP yes
  Ciphers aes256-ctr
  Compression yes
  ConnectTimeout 3
  ControlMaster auto
  ControlPath ~/.ssh/%C
  DynamicForward 1080
  EnableSSHKeysign yes
  EscapeChar none
  ExitOnForwardFailure yes
  ForwardAgent yes
  ForwardX11 yes
  ForwardX11Trusted yes
  GatewayPorts yes
  GlobalKnownHostsFile /etc/hosts
  HashKnownHosts yes
  HostbasedAuthentication yes
  HostKeyAlgorithms ssh-rsa
  HostKeyAlias other
  HostName bastion.example.com
  IdentitiesOnly no
  IdentityAgent ~/.1password/agent.sock
  IdentityFile ~/.ssh/id_rsa
  KbdInteractiveAuthentication no
  KexAlgorithms curve25519-sha256
  LocalCommand touch /tmp/it
  LocalForward 5432 localhost:5432
  LogLevel QUIET
  NoHostAuthenticationForLocalhost yes
  PasswordAuthentication no
  PermitLocalCommand yes
  PKCS11Provider /usr/lib/opensc-pkcs11.so
  Port 2200
  PreferredAuthentications password
  ProxyJump bastion.example.com
  PubkeyAcceptedKeyTypes rsa-sha2-256
  PubkeyAuthentication no
  RemoteCommand tmux new -A -s main
  RemoteForward 52698 localhost:52698
  RequestTTY force
  RevokedHostKeys /etc/ssh/revoked
  SendEnv AWS_*
  SetEnv TERM=xterm
  StrictHostKeyChecking no
  Tunnel yes
  UpdateHostKeys yes
  User root
  UserKnownHostsFile /dev/null
  VerifyHostKeyDNS yes
  VisualHostKey yes
"""


def test_the_users_host_star_decides_nothing_that_could_break_or_open_a_login(effective):
    ours, alone = render([HOST]), effective(render([HOST]), HOST.alias)
    both = effective(ours + HOSTILE, HOST.alias)
    assert both["identityfile"][0] == alone["identityfile"][0]
    changed = {name for name in {*alone, *both} if alone.get(name) != both.get(name)}
    assert changed - LEFT_TO_THE_USER == {"identityfile"}


KNOWN_SINCE_7_6 = """
    AddKeysToAgent AddressFamily BindAddress CanonicalizeHostname CheckHostIP ExitOnForwardFailure
    ForwardAgent ForwardX11 GatewayPorts GlobalKnownHostsFile Host HostKeyAlgorithms HostKeyAlias
    HostName IdentitiesOnly IdentityFile NoHostAuthenticationForLocalhost PermitLocalCommand Port
    PreferredAuthentications ProxyCommand PubkeyAcceptedKeyTypes PubkeyAuthentication RemoteCommand
    RequestTTY RevokedHostKeys ServerAliveInterval StrictHostKeyChecking Tunnel UpdateHostKeys User
    UserKnownHostsFile VerifyHostKeyDNS
"""


def test_every_keyword_is_known_to_the_oldest_ssh_in_use():
    """An unknown one would break ssh for all hosts; checked against readconf.c of V_7_6_P1."""
    used = re.findall(r"(?m)^\s*([A-Z]\w+)", render([HOST]))
    assert set(used) <= set(KNOWN_SINCE_7_6.split())
