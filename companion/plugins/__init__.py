"""Which plugins are there? To add one: write its file, import it, name it here."""

from companion.plugins import codex, custom_runtime, external_services, ssh
from companion.plugins.base import FeaturePlugin, RuntimePlugin

RUNTIMES: tuple[RuntimePlugin, ...] = (codex.PLUGIN,)
FEATURES: tuple[FeaturePlugin, ...] = (
    custom_runtime.PLUGIN,
    external_services.PLUGIN,
    ssh.PLUGIN,
)

NOT_YET: dict[str, str] = {
    "github-pat": "is not supported yet: external-services can inject its header",
    "mcp-oauth": "is not supported yet",
    "telegram": "is not supported: a chat channel into the sandbox is a way past its walls",
}
