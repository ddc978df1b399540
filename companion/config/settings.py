"""The user's settings for all projects: `settings.yaml` in the config directory."""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import PurePath, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from companion.config import bindings, decode, strict_yaml
from companion.config.engine_places import EnginePlace
from companion.config.models import Model
from companion.config.names import place_name
from companion.config.values import Image, Line, hostname

SECRET_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,99}\Z")
_PERIOD = re.compile(r"[1-9][0-9]{0,4}[smh]\Z")
_UNITS = {"s": 1, "m": 60, "h": 3600}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def _variable(name: str) -> str:
    if not _VARIABLE.match(name):
        raise ValueError("must be the name of an environment variable")
    return name


def _directory(path: str) -> str:
    if not (path.startswith("~") or PurePath(path).is_absolute()):
        raise ValueError("must be an absolute path, or begin with ~/")
    return path


def _registry(url: str) -> str:
    if not url.startswith("https://") or "@" in url:
        raise ValueError("must be an https:// URL without user and password")
    return url


def _below_home(path: str) -> str:
    """Return a path relative to the home, of one that begins with `~/` or is relative to it."""
    parts = PurePosixPath(path.removeprefix("~/")).parts
    if not parts or ".." in parts or parts[0].startswith(("/", "~")) or "\\" in path:
        raise ValueError("must be a path below your home, such as ~/.claude/skills")
    return "/".join(parts)


class TrustSettings(Model):
    """Whose configurations are applied without asking."""

    always: tuple[Annotated[Line, AfterValidator(_directory)], ...] = ()
    """Directories whose projects, also those below them, the user trusts as their own."""


def _is_local(host: str) -> bool:
    """Tell whether a host is whoever asks for it: in a container, the container itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.rstrip(".")
        return name == "localhost" or name.endswith(".localhost")
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def _proxy(url: str) -> str:
    """Refuse a proxy's URL with a password, which a step of a build could store in the image.

    A loopback address is refused, too: a build would look for the proxy in its own container.
    """
    problem = "must be a URL such as http://proxy.example.com:3128"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(problem) from None
    if parts.username is not None:
        raise ValueError(
            "must have no user and password: a step of a build could store them in the image."
            " Run a proxy that adds them, such as cntlm or px, at an address that containers reach"
        )
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or not port
        or parts.path.strip("/")
    ):
        raise ValueError(problem)
    if _is_local(parts.hostname):
        raise ValueError(
            "must not be a loopback address: a build would look for it in its own container. Let"
            " the proxy listen on an address that containers reach, such as that of a bridge"
        )
    return url


def _endpoint(text: str) -> str:
    """Return HOST:PORT of a service that builds may use, in lower case."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 1 << 16 or "/" in host:
        raise ValueError("must be HOST:PORT, such as 10.0.0.5:8081")
    return f"{hostname(host)}:{int(port)}"


class Build(Model):
    """How image builds reach the network."""

    proxy: Annotated[Line, AfterValidator(_proxy)] = ""
    """The proxy that the steps of builds use; the desktop's own proxy variables never count."""
    allow: tuple[Annotated[Line, AfterValidator(_endpoint)], ...] = ()
    """Private services that they may use, such as a company's package mirror."""
    network: Literal["public", "open"] = "public"
    """Whether they reach public hosts only, or everything that this desktop reaches."""


def _secret_name(name: str) -> str:
    if not SECRET_NAME.match(name):
        raise ValueError("must be A-Z, 0-9 and '_', as in ${GITHUB_TOKEN}")
    return name


def _command(command: tuple[str, ...]) -> tuple[str, ...]:
    if not command or not command[0]:
        raise ValueError("must be a program and its arguments, such as [gh, auth, token]")
    program = PurePath(command[0])
    if program.name != command[0] and not program.is_absolute():
        raise ValueError("must begin with the name of a program, or its absolute path")
    return command


def _period(text: str) -> str:
    if not _PERIOD.match(text):
        raise ValueError("must be a time such as 15m or 1h")
    return text


_Binding = Annotated[Line, AfterValidator(bindings.binding)]


class SecretSettings(Model):
    """Where the value of a secret comes from, and the hosts that it may be sent to."""

    command: Annotated[tuple[Line, ...], AfterValidator(_command)] = ()
    """A program and its arguments, which prints the value; no shell is involved."""
    keyring: bool = False
    """The value lies in the keychain: service `companion`, user name as the secret."""
    hosts: tuple[_Binding, ...] = ()
    """Its bindings; a well-known name has those that it is known for."""
    renew: Annotated[Line, AfterValidator(_period)] = "1h"
    """How long a value is used before `watch` and the tray ask again."""

    @model_validator(mode="after")
    def _has_one_source(self) -> "SecretSettings":
        if bool(self.command) == self.keyring:
            raise ValueError("needs either `command` or `keyring: true`")
        return self

    @property
    def seconds(self) -> int:
        """How long a value is used, in seconds."""
        return int(self.renew[:-1]) * _UNITS[self.renew[-1]]

    def bindings(self, name: str) -> tuple[str, ...]:
        """Return the bindings of the secret of this name."""
        return self.hosts or bindings.WELL_KNOWN.get(name, ())


class Settings(Model):
    """The user's settings; a missing file means all defaults."""

    images: Mapping[str, Image] = {}
    """Image → mirror to use instead: for closed networks and local stand-ins."""
    environment: tuple[Annotated[str, AfterValidator(_variable)], ...] = ()
    """Variables of the desktop's environment that sandboxes may be given as secrets."""
    secrets: Mapping[Annotated[str, AfterValidator(_secret_name)], SecretSettings] = {}
    """Secrets that come from the keychain or from a command; .env takes precedence."""
    places: Mapping[Annotated[str, AfterValidator(place_name)], EnginePlace] = {}
    """Name → an engine for `container_runtime` and `--on`."""
    trust: TrustSettings = TrustSettings()
    trusted_certificates: tuple[Line, ...] = ()
    """PEM files of CAs that gateways trust besides the public ones: for company networks."""
    build: Build = Build()
    npm_registry: Annotated[Line, AfterValidator(_registry)] = "https://registry.npmjs.org"
    """The npm registry that `companion upgrade` asks for the newest versions."""
    bring: tuple[Annotated[Line, AfterValidator(_below_home)], ...] = ()
    """Files and directories below the home that are copied into the homes of all sandboxes."""

    @model_validator(mode="after")
    def _are_bound(self) -> "Settings":
        for name, one in self.secrets.items():
            if not one.bindings(name):
                raise ValueError(f"secrets.{name} needs `hosts`: the only ones it is sent to")
        return self


def parse(text: str | None, file: str) -> Settings:
    """Decode settings.yaml.

    Raises:
        ConfigError: every problem of the text.
    """
    if text is None or not text.strip():
        return Settings()
    document = strict_yaml.parse(text, file)
    return decode.decode(Settings, document.data, document, ())
