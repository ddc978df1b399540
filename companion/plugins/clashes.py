"""Clashes: what one plugin adds that contradicts what another one adds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from companion.config.origin import Origin
from companion.plugins.contribution import Contribution


@dataclass(frozen=True, slots=True)
class Clash:
    """An addition that contradicts an earlier one."""

    what: str
    hint: str
    origin: Origin
    """The later addition."""
    first: Origin | None
    """The earlier one; None if it contradicts what Companion itself decides."""


def clashes(contribution: Contribution) -> tuple[Clash, ...]:
    """Return every pair of contradictory additions."""
    return (
        *_conflicts("variable", ((v.name, v.value, v.origin) for v in contribution.variables)),
        *_conflicts("service", ((u.endpoint, u.meaning, u.origin) for u in contribution.upstreams)),
        *_conflicts("network of", _networks(contribution)),
        *_conflicts("provider", ((p.name, p.meaning, p.origin) for p in contribution.providers)),
        *_conflicts("mount at", ((m.target, m, m.origin) for m in contribution.mounts)),
        *_conflicts("file in the home", ((f.path, f.text, f.origin) for f in contribution.home)),
        *_conflicts("home overlay", (("", o, o.origin) for o in contribution.overlays)),
        *_conflicts("desktop's port", _ports(contribution)),
        *_conflicts("ssh server", (("", s, s.origin) for s in contribution.ssh)),
        *_conflicts("committer", (("", c, c.origin) for c in contribution.committers)),
        *_mixed_ports(contribution),
    )


def _mixed_ports(contribution: Contribution) -> Iterator[Clash]:
    """Yield a clash for each port that serves both http and https upstreams."""
    first: dict[int, tuple[str, Origin | None]] = {80: ("http", None), 443: ("https", None)}
    for upstream in contribution.upstreams:
        scheme, origin = first.setdefault(upstream.port, (upstream.scheme, upstream.origin))
        if scheme != upstream.scheme:
            what = f"{upstream.scheme}://{upstream.endpoint} is on a port of {scheme} services"
            hint = "give one of them another port: a port has one scheme"
            yield Clash(what, hint, upstream.origin, origin)


def _networks(contribution: Contribution) -> Iterator[tuple[str, object, Origin]]:
    """Yield where each name is resolved: one name has one network, whatever its ports."""
    http = (u for u in contribution.upstreams if u.scheme == "http")
    yield from ((u.host, u.network, u.origin) for u in http)


def _ports(contribution: Contribution) -> Iterator[tuple[str, object, Origin]]:
    yield from ((str(p.host), p.route, p.origin) for p in contribution.ports)
    yield from ((str(s.port), s, s.origin) for s in contribution.ssh if s.port)


def _conflicts(what: str, claims: Iterable[tuple[str, object, Origin]]) -> Iterator[Clash]:
    """Yield a clash for each claim (key, value, origin) that differs from its key's first."""
    first: dict[str, tuple[object, Origin]] = {}
    for key, value, origin in claims:
        first_value, first_origin = first.setdefault(key, (value, origin))
        if first_value != value:
            name = f"{what} {key}".strip()
            both = f"{first_origin} and {origin} both define the {name}"
            yield Clash(both, "remove one of them", origin, first_origin)
