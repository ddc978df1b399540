"""Powers in words: the lines that a user reads before agreeing. Pure; nothing is ever cut."""

import textwrap
from collections.abc import Collection, Iterable, Iterator

from companion.sandbox.powers import Kind, Power

WIDTH = 80
_SECTIONS = (
    ("files", {Kind.FOREIGN_WRITE, Kind.FOREIGN_READ, Kind.PROJECT_WRITE, Kind.PROJECT_READ}),
    ("network", {Kind.NO_GATEWAY, Kind.OPEN_EGRESS, Kind.WILDCARD, Kind.HOST, Kind.SERVICE,
                 Kind.ENGINE_NETWORK}),
    ("secrets", {Kind.SECRET, Kind.LOGIN}),
    ("ports", {Kind.PUBLIC_PORT, Kind.PORT, Kind.KEYS, Kind.HOST_KEY}),
    ("image", {Kind.IMAGE, Kind.BUILD, Kind.HOME}),
    ("root", {Kind.ROOT_HOOK, Kind.CAPABILITY}),
    ("start", {Kind.HOOK, Kind.COMMAND, Kind.EDITOR}),
)  # fmt: skip
_BUILD = "these commands run as root while it is built, with access to the internet:"
_NOTHING = "nothing: it stays in a closed sandbox"


def lines(powers: Iterable[Power], new: Collection[Power] = ()) -> tuple[str, ...]:
    """Return powers by subject, each sentence whole, wrapped to 80 columns.

    Those in `new` are marked with a +.
    """
    every = tuple(powers)
    if not every:
        return (f"  {_NOTHING}",)
    return tuple(line for title, kinds in _SECTIONS for line in _section(title, kinds, every, new))


def sentence(power: Power) -> str:
    """Return one power as a sentence that stands alone, without its subject."""
    if power.kind is Kind.BUILD:
        return f"runs as root while its image is built: {power.text}"
    return power.text


def _section(
    title: str, kinds: Collection[Kind], every: Iterable[Power], new: Collection[Power]
) -> Iterator[str]:
    mine = [power for power in every if power.kind in kinds]
    built = [power for power in mine if power.kind is Kind.BUILD]
    sentences = [(power.text, power in new) for power in mine if power.kind is not Kind.BUILD]
    if built:
        sentences.append((_BUILD, False))
        sentences += (("  " + power.text, power in new) for power in built)
    for number, (text, is_new) in enumerate(sentences):
        yield from _wrapped(title if number == 0 else "", text, "+" if is_new else " ")


def _wrapped(title: str, text: str, mark: str) -> list[str]:
    inner = " " * (len(text) - len(text.lstrip()))
    first = f"  {title:<8}{mark} {inner}"
    return textwrap.wrap(
        text.strip(),
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
