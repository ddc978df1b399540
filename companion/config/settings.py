"""The user's settings for all projects: `settings.yaml` in the config directory."""

from collections.abc import Mapping

from companion.config import decode, strict_yaml
from companion.config.models import Image, Line, Model


class Settings(Model):
    """The user's settings; a missing file means all defaults."""

    images: Mapping[str, Image] = {}
    """Image → mirror to use instead: for closed networks and local stand-ins."""
    trusted_certificates: tuple[Line, ...] = ()
    """PEM files of CAs that gateways trust besides the public ones: for company networks."""


def parse(text: str | None, file: str) -> Settings:
    """Decode settings.yaml.

    Raises:
        ConfigError: every problem of the text.
    """
    if text is None or not text.strip():
        return Settings()
    document = strict_yaml.parse(text, file)
    return decode.decode(Settings, document.data, document, ())
