"""The user's settings for all projects: `settings.yaml` in the config directory."""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator

from companion.config import decode, strict_yaml
from companion.config.models import Image, Line, Model, hostname

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def _variable(name: str) -> str:
    if not _VARIABLE.match(name):
        raise ValueError("must be the name of an environment variable")
    return name


def _directory(path: str) -> str:
    if not (path.startswith("~") or PurePath(path).is_absolute()):
        raise ValueError("must be an absolute path, or begin with ~/")
    return path


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


class Settings(Model):
    """The user's settings; a missing file means all defaults."""

    images: Mapping[str, Image] = {}
    """Image → mirror to use instead: for closed networks and local stand-ins."""
    environment: tuple[Annotated[str, AfterValidator(_variable)], ...] = ()
    """Variables of the desktop's environment that sandboxes may be given as secrets."""
    trust: TrustSettings = TrustSettings()
    trusted_certificates: tuple[Line, ...] = ()
    """PEM files of CAs that gateways trust besides the public ones: for company networks."""
    build: Build = Build()


def parse(text: str | None, file: str) -> Settings:
    """Decode settings.yaml.

    Raises:
        ConfigError: every problem of the text.
    """
    if text is None or not text.strip():
        return Settings()
    document = strict_yaml.parse(text, file)
    return decode.decode(Settings, document.data, document, ())
