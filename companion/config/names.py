"""Names: what agents, engines and places of engines may be called."""

import re
from typing import Literal, get_args

Kind = Literal["docker", "podman"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?\Z")
_OF_ENGINES = {*KINDS, "kubernetes"}


def short_name(text: str) -> str:
    """Refuse what is no short name: it becomes part of names of containers and hosts."""
    if not _NAME.match(text):
        raise ValueError("must be 1 to 40 of a-z, 0-9 and '-', beginning and ending without '-'")
    return text


def place_name(name: str) -> str:
    """Refuse what cannot be the name of a place; the kinds of engines mean those here."""
    if name in _OF_ENGINES:
        raise ValueError("must not be the name of an engine: choose another one")
    return short_name(name)


def runtime_name(name: str) -> str:
    """Refuse what can name neither a kind of engine nor a place."""
    if name not in KINDS and (name in _OF_ENGINES or not _NAME.match(name)):
        raise ValueError("must be docker, podman, or a place of your settings.yaml")
    return name
