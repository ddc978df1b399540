"""Our own ssh_config, and the Include of it in the user's ssh_config."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ssh import values
from ssh.values import SshValueError

_HEADER = "# Written by companion: changes here are lost.\n"
_COMMENT = "# companion: the hosts of your sandboxes; must come before any Host or Match"
_BOM = "\ufeff"
_LOGIN = re.compile(
    r"^Host (\S+)\n  HostName .*\n  Port (\d+)\n  User (\S+)\n"
    r"(?:  \w+ .*\n)*?  ProxyCommand (.*)\n",
    re.MULTILINE,
)
NO_PROXY = "none"
_DIRECTIVE = re.compile(r'[ \t\r]*"?(host|match|include)"?[ \t]*[ \t=][ \t]*(.*)', re.IGNORECASE)
_ARGUMENT = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Host:
    """One host entry; both paths are absolute, with forward slashes.

    `hostname` is an IPv4 address of this machine: connections start from it, too. A client that
    ignores `proxy`, a ProxyCommand as proxy() returns it, connects there.

    Raises:
        SshValueError: ssh would not read a value literally.
    """

    alias: str
    hostname: str
    port: int
    user: str
    identity_file: str
    known_hosts_file: str
    proxy: str = NO_PROXY

    def __post_init__(self) -> None:
        values.alias(self.alias)
        values.word("the host name", self.hostname)
        values.port(self.port)
        values.word("the user", self.user)
        values.path("the identity file", self.identity_file)
        values.path("the known_hosts file", self.known_hosts_file)
        values.one_line("the proxy command", self.proxy)


def render(hosts: Iterable[Host]) -> str:
    """Return our complete file, sorted by alias.

    Raises:
        SshValueError: two hosts have the same alias; ssh would mix them.
    """
    entries: dict[str, str] = {}
    for host in hosts:
        if host.alias in entries:
            raise SshValueError(f"two hosts have the alias {host.alias}")
        entries[host.alias] = _entry(host)
    return _HEADER + "".join(entry for _, entry in sorted(entries.items()))


def logins(text: str) -> dict[str, tuple[int, str, str]]:
    """Return alias → (port, user, proxy) from a file that render() wrote."""
    return {alias: (int(port), user, proxy) for alias, port, user, proxy in _LOGIN.findall(text)}


def proxy(argv: Sequence[str]) -> str:
    """Return the ProxyCommand that runs `argv`: ssh expands %, then a shell reads it."""
    return shlex.join(argv).replace("%", "%%")


def add_include(text: str, path: str) -> str:
    """Return a user's ssh_config with our Include at the very top.

    After a Host or Match it would belong to that block, so it is moved from there. An Include that
    already applies to all hosts stays in place. All other bytes are unchanged.

    Raises:
        SshValueError: ssh would not read the path literally.
    """
    block = (_COMMENT, include_line(path), "")
    if has_include(text, path):
        return text
    rest = remove_include(text, path).removeprefix(_BOM)
    bom = _BOM if text.startswith(_BOM) else ""
    newline = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
    return bom + newline.join(block) + rest


def has_include(text: str, path: str) -> bool:
    """Return whether a user's ssh_config includes `path` before any Host or Match."""
    for line in text.removeprefix(_BOM).split("\n"):
        keyword, arguments = _directive(line)
        if keyword in {"host", "match"}:
            return False
        if keyword == "include" and _is_matched(path, arguments):
            return True
    return False


def remove_include(text: str, path: str) -> str:
    """Return a user's ssh_config without our Include: the exact inverse of add_include()."""
    kept: list[str] = []
    for line in re.split(r"(?<=\n)", text.removeprefix(_BOM)):
        keyword, arguments = _directive(line)
        if keyword != "include" or len(arguments) > 1 or not _is_matched(path, arguments):
            kept.append(line)
        elif kept and kept[-1].rstrip("\r\n") == _COMMENT:
            kept.pop()
    return (_BOM if text.startswith(_BOM) else "") + "".join(kept)


def include_line(path: str) -> str:
    """Return the line that add_include() adds, without its end.

    Raises:
        SshValueError: ssh would not read the path literally.
    """
    return f"Include {_pattern(path)}"


def _is_matched(path: str, arguments: Iterable[str]) -> bool:
    try:
        return _pattern(path).strip('"') in arguments
    except SshValueError:
        return False


def _directive(line: str) -> tuple[str, list[str]]:
    """Return the keyword in lower case and its arguments of a Host, Match or Include line."""
    match = _DIRECTIVE.match(line)
    if not match:
        return "", []
    return match[1].lower(), [quoted or bare for quoted, bare in _ARGUMENT.findall(match[2])]


def _pattern(path: str) -> str:
    """Return a quoted argument of Include, a glob pattern, that matches exactly one path.

    A backslash would be removed twice by some versions of ssh and once by others, so it is matched
    by a range of characters around it.
    """
    quoted = values.path("the included file", path)
    return re.sub(r"[*?[]", r"\\\g<0>", quoted.replace("\\", "\0")).replace("\0", "[[-^]")


def _entry(host: Host) -> str:
    # ssh uses the first value of an option, and our entry comes first, so it gives all that a `Host
    # *` of the user's could break or open. It cannot give what accumulates (forwards, SendEnv,
    # CertificateFile), nor what OpenSSH before 8.5 does not know: one unknown keyword breaks ssh
    # for all hosts, and IgnoreUnknown would replace the user's. PubkeyAcceptedKeyTypes is the name
    # of PubkeyAcceptedAlgorithms that all versions know. VSCodium reads "IdentityAgent none" as a
    # socket. HostKeyAlias is spelled out because ssh does not expand %h there.
    return (
        f"\nHost {host.alias}\n"
        f"  HostName {host.hostname}\n"
        f"  Port {host.port}\n"
        f"  User {host.user}\n"
        f"  AddressFamily inet\n"
        f"  BindAddress {host.hostname}\n"
        f"  ProxyCommand {host.proxy}\n"
        f"  CanonicalizeHostname no\n"
        f"  HostKeyAlias {host.alias}\n"
        f"  HostKeyAlgorithms ssh-ed25519\n"
        f"  UserKnownHostsFile {values.path('the known_hosts file', host.known_hosts_file)}\n"
        f"  GlobalKnownHostsFile /dev/null\n"
        f"  RevokedHostKeys none\n"
        f"  StrictHostKeyChecking yes\n"
        f"  NoHostAuthenticationForLocalhost no\n"
        f"  VerifyHostKeyDNS no\n"
        f"  CheckHostIP no\n"
        f"  UpdateHostKeys no\n"
        f"  IdentityFile {values.path('the identity file', host.identity_file)}\n"
        f"  IdentitiesOnly yes\n"
        f"  AddKeysToAgent no\n"
        f"  PreferredAuthentications publickey\n"
        f"  PubkeyAuthentication yes\n"
        f"  PubkeyAcceptedKeyTypes ssh-ed25519\n"
        f"  ForwardAgent no\n"
        f"  ForwardX11 no\n"
        f"  ExitOnForwardFailure no\n"
        f"  GatewayPorts no\n"
        f"  Tunnel no\n"
        f"  PermitLocalCommand no\n"
        f"  RemoteCommand none\n"
        f"  RequestTTY auto\n"
        f"  ServerAliveInterval 15\n"
    )
