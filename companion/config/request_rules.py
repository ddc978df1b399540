"""Request rules: which requests to an intercepted service are let through, as `METHOD /path`.

A rule's path is compared with that of a request, decoded once. `*` matches one or more characters
other than `/`, so `/repos/*` is `/repos/` and one segment. `**` is a segment of its own, and
matches any number of segments, none included.
"""

import json
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from companion.config.models import Model

ANY = "*"
LONGEST = 4000
"""Characters of a path: a longer one could end the search for a match before there is one."""
METHODS = (
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "SEARCH", "REPORT"),
    *("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "PURGE"),
)
_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@-]+\Z")
_DEEP = "**"
_LONGEST_LIST = 300
"""Characters of the rules that a sentence shows."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one service, each as `METHOD /path`; none of both kinds allow everything."""

    allow: tuple[str, ...] = ()
    """If there are any, a request must match one of them."""
    deny: tuple[str, ...] = ()
    """A request must match none of them, whatever is allowed."""

    def __bool__(self) -> bool:
        return bool(self.allow or self.deny)

    @property
    def text(self) -> str:
        """The rules in one spelling, to be compared and remembered; "" without any."""
        rules = {"allow": sorted({*self.allow}), "deny": sorted({*self.deny})}
        return json.dumps(rules) if self else ""

    @property
    def sentence(self) -> str:
        """The rules in words that follow a request's subject; "" without any.

        Of many, it gives the number: a list would push what else a project asks for off the
        screen, and a part of it would mislead.
        """
        only = f"only {_named(self.allow, 'allow')}" if self.allow else ""
        never = f"never {_named(self.deny, 'deny')}" if self.deny else ""
        return "; ".join(filter(None, (only, never)))


NO_RULES = Rules()


def _named(rules: tuple[str, ...], verb: str) -> str:
    listed = ", ".join(rules)
    return listed if len(listed) <= _LONGEST_LIST else f"what its {verb} list has ({len(rules)})"


def lie_within(narrow: str, wide: str) -> bool:
    """Tell whether rules let through no more than others do, each as `Rules.text`.

    Rules are compared as texts, so an equal meaning in other words is not recognized as such.
    """
    if not narrow or not wide:
        return not wide
    now, before = json.loads(narrow), json.loads(wide)
    is_allowed = not before["allow"] or (now["allow"] and {*now["allow"]} <= {*before["allow"]})
    return bool(is_allowed) and {*before["deny"]} <= {*now["deny"]}


def split(rule: str) -> tuple[str, str]:
    """Return the method and the path of a checked rule."""
    method, _, path = rule.partition(" ")
    return method, path


def _checked(text: str) -> str:
    method, space, path = text.partition(" ")
    if not space or not path.startswith("/"):
        raise ValueError(
            'must be a method and a path, such as "GET /repos/**" or "* /admin/*"; the host is that'
            " of the service"
        )
    _check_method(method)
    _check_path(path)
    return text


def _check_method(method: str) -> None:
    if method in {ANY, *METHODS}:
        return
    if not method.isascii() or not method.isalpha():
        raise ValueError("must begin with a method in capitals, or `*` for any method")
    import difflib  # noqa: PLC0415 - start-up time is a budget

    close = difflib.get_close_matches(method.upper(), METHODS, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"known are: {', '.join(METHODS)}"
    raise ValueError(f"has an unknown method '{method[:20]}': {hint}")


def _check_path(path: str) -> None:
    if len(path) > LONGEST:
        raise ValueError(f"must have a path of at most {LONGEST} characters")
    if "?" in path or "#" in path:
        raise ValueError("must have no query and no fragment: rules judge method and path")
    if "%" in path:
        raise ValueError("must have its path without percent-encoding: requests are decoded first")
    segments = path[1:].removesuffix("/").split("/")
    if path != "/" and any(one in {"", ".", ".."} for one in segments):
        raise ValueError("must have no empty segment and no `.` or `..` in its path")
    if any(one and not _SEGMENT.match(one) for one in segments):
        raise ValueError("must have a path of letters, digits and -._~!$&'()+,=:@ with `*` or `**`")
    deep = [number for number, one in enumerate(segments) if _DEEP in one]
    if any(segments[number] != _DEEP for number in deep):
        raise ValueError("must have `**` only as a whole segment, such as /repos/**")
    # More would let a path make the gateway try its parts against each other.
    if any(one.count(ANY) > 1 for one in segments if one != _DEEP):
        raise ValueError("must have `*` at most once in a segment")
    if len([number for number in deep if number < len(segments) - 1]) > 1:
        raise ValueError("must have `**` at most once before its last segment")


RuleText = Annotated[str, AfterValidator(_checked)]


class Ruled(Model):
    """Options of a feature or service whose requests may be limited."""

    allow: tuple[RuleText, ...] = ()
    """Requests that are let through; without any, all are that `deny` does not name."""
    deny: tuple[RuleText, ...] = ()
    """Requests that are refused, also where `allow` names them."""

    @property
    def rules(self) -> Rules:
        """Its rules."""
        return Rules(self.allow, self.deny)
