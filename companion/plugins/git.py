"""Git inside the sandbox: who commits, where it may push, and a signing key of its own."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, model_validator

from companion.config.models import Model
from companion.config.origin import Origin
from companion.config.request_rules import Ruled
from companion.config.values import Line, service_port, tls_name
from companion.plugins.base import Context, FeaturePlugin, Reference
from companion.plugins.contribution import (
    Command,
    Committer,
    Contribution,
    EnvVar,
    Header,
    Upstream,
)

SIGNING = "/companion/signing"
"""Where the signing key and what verifies its signatures are mounted."""
KEY = "key"
ALLOWED_SIGNERS = "allowed_signers"

Kind: TypeAlias = Literal[
    "github", "gitlab", "gitea", "forgejo", "bitbucket", "bitbucket-access-token"
]
_USERS: Mapping[str, str] = {
    "github": "x-access-token",
    "gitlab": "oauth2",
    "gitea": "oauth2",
    "forgejo": "oauth2",
    "bitbucket": "x-bitbucket-api-token-auth",
    "bitbucket-access-token": "x-token-auth",
}
"""The user of HTTP Basic authentication beside a token as the password.

GitHub, Gitea and Forgejo take any name, GitLab any but wants this one for OAuth tokens. Bitbucket
Cloud tells a user's API token from an access token of a repository, project or workspace by it.
Sources: each forge's documentation of Git over HTTPS.
"""
FORGES: Mapping[str, Kind] = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "codeberg.org": "forgejo",
    "gitea.com": "gitea",
    "bitbucket.org": "bitbucket",
}
"""The kinds of public hosts. Elsewhere, agent.yaml names the kind."""
_WHO = re.compile(r"[^<>]+\Z")
_PORT = re.compile(r"[1-9][0-9]{0,4}\Z")
_HTTPS = 443
_EMAIL = re.compile(r"[^<>\s@]+@[^<>\s@]+\Z")


def _who(text: str) -> str:
    if not _WHO.match(text):
        raise ValueError("must be a name without < and >")
    return text


def _forge(text: str) -> str:
    """Return `host` or `host:port` in lower case."""
    host, colon, port = text.partition(":")
    if colon and not _PORT.match(port):
        raise ValueError("must be a host name, or HOST:PORT")
    if colon:
        service_port(int(port))
    return f"{tls_name(host)}{colon}{port}".removesuffix(f":{_HTTPS}")


def _email(text: str) -> str:
    if not _EMAIL.match(text):
        raise ValueError("must be an address such as ada@example.com")
    return text


class Push(Ruled):
    """The token for one host."""

    token: Reference
    kind: Kind | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_token(cls, given: Any) -> Any:  # noqa: ANN401 - whatever the user wrote
        return {"token": given} if isinstance(given, str) else given


class Options(Model):
    """Options of the git plugin."""

    name: Annotated[Line, AfterValidator(_who)] | None = None
    email: Annotated[Line, AfterValidator(_email)] | None = None
    push: Mapping[Annotated[Line, AfterValidator(_forge)], Push] = {}
    sign: bool = False

    @model_validator(mode="after")
    def _kinds_are_known(self) -> "Options":
        for host, push in self.push.items():
            if push.kind is None and host not in FORGES:
                given = f'"{host}": {{token: ${{{push.token}}}, kind: KIND}}'
                kinds = ", ".join(_USERS)
                raise ValueError(
                    f"must tell what kind of forge {host} is: {given}, with one of {kinds}"
                )
        return self


def contribute(options: Options, context: Context) -> Contribution:
    """Add a system-level gitconfig, which the agent's own overrides, and a token for each host."""
    committer = Committer(options.name or "", options.email or "", options.sign, context.origin)
    settings = " && ".join(
        shlex.join(("git", "config", "--system", "--add", key, value))
        for key, value in _settings(options)
    )
    return Contribution(
        packages=("openssh-client",) if options.sign else (),
        commands=(Command(settings),),
        committers=(committer,),
        upstreams=tuple(
            _upstream(forge, push, context.origin.at("push", forge))
            for forge, push in options.push.items()
        ),
    )


def _upstream(forge: str, push: Push, origin: Origin) -> Upstream:
    host, _, port = forge.partition(":")
    user = _USERS[push.kind or FORGES[forge]]
    header = Header("Authorization", "Basic ", EnvVar(push.token), "", basic_user=user)
    return Upstream("https", host, int(port or _HTTPS), (header,), origin, rules=push.rules)


def _settings(options: Options) -> Iterator[tuple[str, str]]:
    """Yield the entries of the system-level gitconfig."""
    # A mounted repository may belong to another user ID; there is one user here.
    yield "safe.directory", "*"
    # `git push -u` cannot remember where: the configuration of a mounted repository is read-only.
    yield "push.default", "current"
    if options.name:
        yield "user.name", options.name
    if options.email:
        yield "user.email", options.email
    for forge in dict.fromkeys((*FORGES, *options.push)):  # no SSH gets out of a sandbox
        host = forge.partition(":")[0]
        for written in (f"git@{host}:", f"ssh://git@{host}/", f"ssh://git@{host}:22/"):
            yield f"url.https://{forge}/.insteadOf", written
    if options.sign:
        yield "gpg.format", "ssh"
        yield "user.signingKey", f"{SIGNING}/{KEY}"
        yield "gpg.ssh.allowedSignersFile", f"{SIGNING}/{ALLOWED_SIGNERS}"
        yield "commit.gpgSign", "true"
        yield "tag.gpgSign", "true"


PLUGIN = FeaturePlugin(
    name="git",
    summary="who commits, tokens for pushing over HTTPS, and a signing key of the sandbox's own",
    options=Options,
    contribute=contribute,
)
