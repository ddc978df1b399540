"""Values of agent.yaml and fleet.yaml: what each text must be, and types that require it."""

import re
import unicodedata
from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from companion.config.names import KINDS, runtime_name, short_name
from companion.config.ports import GATE_PORT, SSHD_PORT

_GATEWAY_PORTS = {0, 1, 53}
"""0 is not a port; on the others the gateway itself listens for the agent."""

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\Z")
_URL = re.compile(r"([a-z][a-z0-9+.-]*://)?(?P<host>[^/:?#]+)(:[0-9]*)?([/?#].*)?\Z", re.IGNORECASE)
_NUMBER = r"(0x[0-9a-f]*|[0-9]+)"
_ADDRESS = re.compile(rf"{_NUMBER}(\.{_NUMBER})*\Z")
"""Whatever inet_aton reads: 10.0.0.5, and 10.5, 012.0.0.5, 0xa000005 and 167772165."""
NAMELESS = "TLS to an address sends no name for the gateway to decide by"
USE_A_NAME = "use a name that leads to it, such as an entry in your DNS"
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}\Z")
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(\.{_OCTET}){{3}}\Z")
_PORT = re.compile(
    r"((?P<address>[0-9]{1,3}(\.[0-9]{1,3}){3}):)?(?P<host>[0-9]{1,5})(:(?P<inner>[0-9]{1,5}))?\Z"
)
_PACKAGE = re.compile(
    r"[a-z0-9][a-z0-9.+-]{0,62}[a-z0-9+](=[0-9A-Za-z][0-9A-Za-z.+~:-]{0,62}[0-9A-Za-z])?\Z"
)
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}\Z")
_MEMORY = re.compile(r"[1-9][0-9]{0,5}[kmg]\Z")
_BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0d\uffa0"
    r"\U0001d159\U000e0100-\U000e01ef]"
)
"""Letters, symbols and marks that show nothing, although Unicode counts them as visible."""
_JOINERS = "\u200c\u200d"
_CPUS = re.compile(r"[0-9]{1,4}(\.[0-9]{1,2})?\Z")


def single_line(text: str) -> str:
    """Refuse what is not shown as what it is: in other formats a newline becomes a directive."""
    return _without_hidden(text, "")


def _file_name(path: str) -> str:
    if not path.strip():
        raise ValueError("must name a file or directory; leave the key out for none")
    return path


def free_text(text: str) -> str:
    """Do as single_line(), but keep what people write: joiners (in emoji) and all spaces."""
    spaces = {char for char in text if unicodedata.category(char) == "Zs"}
    return _without_hidden(text, {*_JOINERS, *spaces})


def is_hidden(char: str) -> bool:
    """Tell whether a character is not shown, or not as what it is; a plain space is."""
    return not char.isprintable() or bool(_BLANK.match(char))


def _without_hidden(text: str, kept: Collection[str]) -> str:
    for char in text:
        if is_hidden(char) and char not in kept:
            name = unicodedata.name(char, "a control character")
            raise ValueError(
                f"must be one line of visible characters, without U+{ord(char):04X} ({name})"
            )
    return text


def _workdir(text: str) -> str:
    """Refuse a relative path: in an editor's `ssh://HOST/PATH`, it would be part of the host."""
    if not text.startswith(("/", "{{ .AGENT_HOME }}")):
        raise ValueError("must be an absolute path, such as {{ .AGENT_HOME }}/work")
    return text


def _user(text: str) -> str:
    if not _USER.match(text) or text == "root":
        raise ValueError("must be a Unix user name other than root")
    return text


def _image(text: str) -> str:
    if not _IMAGE.match(text):
        raise ValueError("must be an image reference such as docker.io/library/node:24-slim")
    return text


def split_port(text: str) -> tuple[str, int, int]:
    """Return (address, host port, container port) of `3000`, `8080:3000`, `0.0.0.0:8080:3000`.

    Raises:
        ValueError: the text has none of these forms, or the port is reserved.
    """
    match = _PORT.match(text)
    address = (match and match["address"]) or "127.0.0.1"
    host = int(match["host"]) if match else 0
    inner = int(match["inner"] or host) if match else 0
    is_port = match and all(0 < port < 1 << 16 for port in (host, inner))
    if not is_port or not _IPV4.match(address):
        raise ValueError("must be PORT, HOST:CONTAINER or ADDRESS:HOST:CONTAINER")
    if inner in {GATE_PORT, SSHD_PORT}:
        raise ValueError(f"uses the container's port {inner}, which is reserved for Companion")
    return address, host, inner


def _port(text: str) -> str:
    split_port(text)
    return text


def _version(text: str) -> str:
    if not _VERSION.match(text):
        raise ValueError("must be a version such as 1.2.3, or latest")
    return text


def package(text: str) -> str:
    """Refuse what apt-get takes for anything but a package: options, removals, files, releases."""
    if not _PACKAGE.match(text):
        raise ValueError(
            "must be the name of a Debian package, such as ripgrep or ripgrep=13.0.0-4"
        )
    return text


def _memory(text: str) -> str:
    if not _MEMORY.match(text):
        raise ValueError("must be a size such as 512m or 8g")
    return text


def _cpus(text: str) -> str:
    if not _CPUS.match(text) or float(text) <= 0:
        raise ValueError('must be a number of cores in quotes, such as "2" or "1.5"')
    return text


def service_port(port: int | None) -> None:
    """Refuse a port that no service behind the gateway can have."""
    if port in _GATEWAY_PORTS:
        raise ValueError(f"must have another port: {port} is reserved for the gateway")


def hostname(text: str) -> str:
    """Return a DNS name or IPv4 address in lower case.

    Raises:
        ValueError: the text is neither.
    """
    lowered = text.lower()
    if not _HOST.match(lowered):
        raise ValueError("must be a host name such as api.example.com")
    return lowered


def is_address(host: str) -> bool:
    """Tell whether programs take a host for an IP address, in any spelling."""
    return ":" in host or bool(_ADDRESS.match(host.lower()))


def tls_name(host: str) -> str:
    """Return a host name in lower case; refuse everything else, and addresses too."""
    if is_address(host):
        raise ValueError(f"must have a host name: {NAMELESS}; {USE_A_NAME}")
    return hostname(host)


def host_pattern(text: str) -> str:
    """Return a host name, or `*.` and a host name, which matches all names below it.

    Raises:
        ValueError: the text is neither; of a URL, the message has its host.
    """
    url = _URL.match(text)
    if url and url["host"] != text:
        inner = host_pattern(url["host"])
        raise ValueError(f"must be a host name without scheme, port and path; write {inner}")
    wildcard, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    if is_address(name):
        other = "for plain HTTP add http://ADDRESS to the plugin external-services"
        raise ValueError(f"must be a host name: {NAMELESS}; {USE_A_NAME}, or {other}")
    return wildcard + hostname(name)


Line = Annotated[str, AfterValidator(single_line)]
Text = Annotated[str, AfterValidator(free_text)]
FileName = Annotated[Line, AfterValidator(_file_name)]
"""A file or directory of the project."""
Version = Annotated[Line, AfterValidator(_version)]
Package = Annotated[str, AfterValidator(package)]
Image = Annotated[str, AfterValidator(_image)]
PortText = Annotated[str, AfterValidator(_port)]
EngineName = Annotated[
    Line,
    AfterValidator(runtime_name),
    WithJsonSchema({"anyOf": [{"enum": list(KINDS)}, {"type": "string"}]}),
]
User = Annotated[str, AfterValidator(_user)]
Workdir = Annotated[Line, AfterValidator(_workdir)]
HostPattern = Annotated[str, AfterValidator(host_pattern)]
Memory = Annotated[str, AfterValidator(_memory)]
Cpus = Annotated[str, AfterValidator(_cpus)]
ShortName = Annotated[str, AfterValidator(short_name)]
