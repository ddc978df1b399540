"""A chat channel into the sandbox: part of the reference system, refused here."""

from pydantic import BaseModel, ConfigDict

from companion.plugins.base import RefusedPlugin


class Options(BaseModel):
    """Any options: the plugin is always refused."""

    model_config = ConfigDict(extra="allow")


PLUGIN = RefusedPlugin(
    name="telegram",
    options=Options,
    why="is not supported: a chat channel would bypass the sandbox's isolation",
    instead="remove it, and use SSH or an editor",
)
