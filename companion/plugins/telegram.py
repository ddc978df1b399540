"""A chat channel into the sandbox, which the reference system has and we do not want."""

from pydantic import BaseModel, ConfigDict

from companion.plugins.base import RefusedPlugin


class Options(BaseModel):
    """Anything: it is refused whatever it says."""

    model_config = ConfigDict(extra="allow")


PLUGIN = RefusedPlugin(
    name="telegram",
    options=Options,
    why="is not supported: a chat channel into the sandbox is a way past its walls",
    instead="remove it, and use SSH or an editor",
)
