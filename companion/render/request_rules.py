"""HAProxy rules that judge the requests to services which have request rules.

The path is judged as it is forwarded, decoded once. One that an upstream could read in another way
is refused instead of rewritten: HAProxy 2.6's `normalize-uri` is experimental, and what it changes
is the request.
"""

import re
from collections.abc import Iterable, Iterator

from companion.config.request_rules import ANY, LONGEST, split
from companion.plugins import instructions
from companion.plugins.contribution import Upstream
from companion.render import credentials
from companion.render.literals import literal

_RULED = "{ var(txn.ruled) -m bool }"
_NEXT = "%[89ab][0-9a-f]"
_ENCODED = "|".join((
    # ASCII without control characters and # % / ; ? \, which some upstreams act on once decoded.
    "%2[01246-9a-e]|%3[0-9acde]|%[46][0-9a-f]|%5[0-9abdef]|%7[0-9a-e]",
    # UTF-8: nothing in a longer form than it needs, which some decode to a slash or a dot.
    f"%(c[2-9a-f]|d[0-9a-f]){_NEXT}",
    f"%(e0%[ab][0-9a-f]|e[1-9abcef]{_NEXT}|ed%[89][0-9a-f]){_NEXT}",
    f"%(f0%[9ab][0-9a-f]|f[123]{_NEXT}|f4%8[0-9a-f]){_NEXT}{_NEXT}",
))  # fmt: skip
PLAIN = rf"^/([a-z0-9/._~!$&'()*+,=:@-]+|{_ENCODED})*+$"
"""A path, in any case of letters, that can be decoded in one way only."""
DOTTED = r"/\.{0,2}/|/\.{1,2}$"
"""A decoded path with an empty segment, or with `.` or `..`: upstreams differ in what it means."""
_DEEP = "(/.*)?"
"""Any number of segments. A repeated group would need memory that PCRE2 may not have."""
_FORMAT = r"(\.[^/]*)?"
_METHOD = "^[A-Z]+$"
_OVERRIDES = ("methodoverride", "httpmethod", "originalurl", "originaluri", "rewriteurl")
"""Parts of headers from which some upstreams take the method or path instead."""
OVERRIDING_QUERY = r"(^|[&;])[^a-z0-9=&;]+method[^a-z0-9=&;]*([=&;[\x00]|$)"
"""A decoded query with `_method`, or what PHP takes for it: `.method`, `+_method`, up to a NUL."""


def expression(path: str, *, is_denied: bool) -> str:
    """Return a regular expression for the decoded paths that a rule's path matches.

    What is denied is denied with a slash or a format such as `.json` at its end, too: Rails and
    Grape, and so GitLab, serve all of these alike.
    """
    parts = [_DEEP if one == "**" else f"/{_segment(one)}" for one in path[1:].split("/")]
    if is_denied and path.endswith("/**"):
        parts.insert(-1, _FORMAT)
    elif is_denied and not path.endswith("/"):
        parts += (_FORMAT, "/?")
    return f"^{''.join(parts)}$"


def _segment(text: str) -> str:
    return "[^/]+".join(map(re.escape, text.split("*")))


def judge(upstreams: Iterable[Upstream]) -> Iterator[str]:
    """Yield the rules that refuse what agent.yaml does not allow; none without request rules."""
    ruled = [upstream for upstream in upstreams if upstream.rules]
    if not ruled:
        return
    for upstream in ruled:
        yield f"  http-request set-var(txn.ruled) bool(true) if {_at(upstream)}\n"
    yield f"  http-request set-var(txn.reason) str(rule) if {_RULED}\n"
    yield f"  http-request set-var(txn.judged) path,url_dec if {_RULED}\n"
    yield from _unambiguous()
    for upstream in ruled:
        yield from _denied(upstream)
        yield from _allowed(upstream)


def _unambiguous() -> Iterator[str]:
    """Yield the rules for what cannot be judged: an upstream could take it for something else."""
    path = "this service has request rules, and this path could be read in two ways"
    method = "this service has request rules, and a method must be in capitals"
    query = "this service has request rules, and a query may not name another method"
    decoded = "query,url_dec"
    yield _refusal("this path is too long", f"{_RULED} {{ path -m len gt {LONGEST} }}")
    yield _refusal(path, f'{_RULED} !{{ path -m reg -i "{literal(PLAIN)}" }}')
    yield _refusal(path, f"{_RULED} !{{ var(txn.judged) -m found }}")
    yield _refusal(path, f'{_RULED} {{ var(txn.judged) -m reg "{literal(DOTTED)}" }}')
    yield _refusal(method, f'{_RULED} !{{ method -m reg "{literal(_METHOD)}" }}')
    yield _refusal(query, f"{_RULED} {{ query -m found }} !{{ {decoded} -m found }}")
    yield _refusal(query, f'{_RULED} {{ {decoded} -m reg -i "{literal(OVERRIDING_QUERY)}" }}')
    names = literal("|".join(map(credentials.spelled, _OVERRIDES)))
    yield f'  http-request del-header "{names}" -m reg if {_RULED}\n'


def _denied(upstream: Upstream) -> Iterator[str]:
    for rule in upstream.rules.deny:
        what = f"agent.yaml denies {rule} at {upstream.host}"
        yield _refusal(what, f"{_at(upstream)} {_matching(rule, is_denied=True)}")


def _allowed(upstream: Upstream) -> Iterator[str]:
    rules = upstream.rules.allow
    for rule in rules:
        condition = f"{_at(upstream)} {_matching(rule, is_denied=False)}"
        yield f"  http-request set-var(txn.allowed) bool(true) if {condition}\n"
    if rules:
        what = f"agent.yaml allows other requests at {upstream.host}: see {instructions.FILE}"
        yield _refusal(what, f"{_at(upstream)} !{{ var(txn.allowed) -m bool }}")


def _matching(rule: str, *, is_denied: bool) -> str:
    """Return the conditions for a rule; what is denied is denied in any case of letters."""
    method, path = split(rule)
    case = "-i " if is_denied else ""
    wanted = literal(expression(path, is_denied=is_denied))
    judged = f'{{ var(txn.judged) -m reg {case}"{wanted}" }}'
    return judged if method == ANY else f"{{ method -m str {method} }} {judged}"


def _at(upstream: Upstream) -> str:
    return f"{{ var(txn.endpoint) -m str {upstream.endpoint} }}"


def _refusal(what: str, condition: str) -> str:
    return (
        "  http-request return status 403 content-type text/plain string"
        f' "gateway: refused, {literal(what)}\\n" if {condition}\n'
    )
