"""SSH logins from the desktop through the gateway: an OpenSSH server in the agent, keys only."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from companion.config.models import Model
from companion.config.values import FileName
from companion.plugins.base import Context, FeaturePlugin
from companion.plugins.contribution import Contribution, ProjectFile, SshServer

_PORT = Field(ge=1, le=65535, json_schema_extra={"anyOf": [
    {"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": 65535},
]})  # fmt: skip


class Options(Model):
    """Options of the ssh plugin."""

    port: Annotated[int | None, _PORT] = None
    authorized_keys: FileName | None = None
    host_key: FileName | None = None

    @field_validator("port", mode="before")
    @classmethod
    def _auto(cls, port: int | Literal["auto"]) -> int | None:
        return None if port == "auto" else port


def contribute(options: Options, context: Context) -> Contribution:
    """Let sshd start, which every image has, and add the keys that may log in."""

    def file(path: str | None, option: str) -> ProjectFile | None:
        return ProjectFile(path, context.origin.at(option)) if path is not None else None

    server = SshServer(
        port=options.port,
        authorized_keys=file(options.authorized_keys, "authorized_keys"),
        host_key=file(options.host_key, "host_key"),
        origin=context.origin,
    )
    return Contribution(ssh=(server,))


PLUGIN = FeaturePlugin(
    name="ssh",
    summary="SSH login from the desktop, with a pinned host key",
    options=Options,
    contribute=contribute,
)
