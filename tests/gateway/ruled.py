"""Which requests are made to get past the rules of proxied.RULED? Methods, targets and headers."""

from dataclasses import dataclass

from proxied import LISTENER, RULED


@dataclass(frozen=True)
class Evasion:
    """A request that must not arrive, because an upstream may take it for one that is refused."""

    target: str
    method: str = "POST"


LONG = "with a path of 5000 characters"
HEAD = "HEAD where GET is allowed"
"""Its answer has no text, so by HTTP/2 the test could not tell what was answered."""
REFUSED = {
    "the denied request itself": Evasion("/repos/a/merge"),
    "with a query": Evasion("/repos/a/merge?a=b"),
    "with a slash at its end": Evasion("/repos/a/merge/"),
    "with a format at its end": Evasion("/repos/a/merge.json"),
    "in capitals": Evasion("/REPOS/a/Merge"),
    "with an encoded letter": Evasion("/repos/a/%6Derge"),
    "with two slashes": Evasion("/repos/a//merge"),
    "with two slashes first": Evasion("//repos/a/merge"),
    "with a dot": Evasion("/repos/a/./merge"),
    "with an encoded dot": Evasion("/repos/a/%2e/merge"),
    "with dots": Evasion("/repos/a/b/../merge"),
    "with encoded dots": Evasion("/repos/a/b/%2E%2e/merge"),
    "with dots at its end": Evasion("/repos/a/merge/b/.."),
    "with an encoded slash": Evasion("/repos/a%2Fmerge"),
    "with a slash that is encoded twice": Evasion("/repos/a%252fmerge"),
    "with a slash in a longer form than UTF-8 has": Evasion("/repos/a%C0%AFmerge"),
    "with a backslash": Evasion("/repos/a\\merge"),
    "with an encoded backslash": Evasion("/repos/a%5cmerge"),
    "with a parameter": Evasion("/repos/a/merge;b=c"),
    "with an encoded semicolon": Evasion("/repos/a/merge%3Bb"),
    "with an encoded question mark": Evasion("/repos/a/merge%3fb"),
    "with an encoded number sign": Evasion("/repos/a/merge%23b"),
    "with an encoded NUL": Evasion("/repos/a/merge%00"),
    "with an encoded line break": Evasion("/repos/a/merge%0D%0A"),
    "with half an encoding": Evasion("/repos/a/merge%2"),
    LONG: Evasion("/repos/a" + "/b" * 2500),
    "as a URL": Evasion(f"http://{RULED}:{LISTENER}/repos/a/merge"),
    "with a method in small letters": Evasion("/repos/a/merge", "post"),
    "with another method in its query": Evasion("/repos/a?_method=DELETE"),
    "the same, as PHP spells it": Evasion("/repos/a?x=y&%2Emethod=DELETE"),
    "a denied request below any path": Evasion("/a/b/secrets", "GET"),
    "a path that is not allowed": Evasion("/user"),
    "a method that is not allowed": Evasion("/repos/a", "PUT"),
    HEAD: Evasion("/repos/a", "HEAD"),
    "a request for the whole server": Evasion("*", "OPTIONS"),
}
BY_HTTP_2 = tuple(what for what in REFUSED if what not in {"as a URL", LONG, HEAD})
ALLOWED = (
    *("/", "/repos/", "/repos/a/merged", "/repos/a%20b/%C3%A9.txt", "/v1/models/a:run", "/a..b"),
    *("/repos/a/merge", "/secret", "/repos/a?path=%2Fsecrets&x=../merge", "/a" + "/b" * 1900),
)
OVERRIDES = (
    *("X-HTTP-Method-Override: DELETE", "x_http_method_override: DELETE", "X-Method-Override: PUT"),
    *("X-HTTP-Method: DELETE", "X-Original-URL: /a/secrets", "X-Rewrite-URL: /a/secrets"),
)
