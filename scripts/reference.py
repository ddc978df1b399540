"""Write the generated half of the reference into build/reference: it is added to pages of the site.

Commands come from the parser, keys of YAML files from the models that decode them, so neither can
say anything else than what is so.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= {"NO_COLOR": "1", "COLUMNS": "80"}

from pydantic import BaseModel

from companion import plugins
from companion.cli import parser
from companion.cli.catalogue import GROUPS
from companion.config.models import AgentConfig, Fleet
from companion.config.settings import Settings

PLACE = Path(__file__).parent.parent / "build/reference"
_WORDS = {"string": "text", "integer": "number", "boolean": "true or false", "null": ""}


def main() -> None:
    PLACE.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (PLACE / name).write_text(text)


def pages() -> dict[str, str]:
    """Return the generated part of each page, by the page's name."""
    agent = (
        "## Keys\n",
        *tables(AgentConfig),
        "## Runtimes\n",
        "| runtime | program | npm package | tested with |\n|---|---|---|---|",
        *(f"| `{p.name}` | {p.summary} | `{p.package}` | {p.pinned} |" for p in plugins.RUNTIMES),
        "\n## Options of plugins\n",
        *(line for plugin in plugins.FEATURES for line in features(plugin)),
    )
    return {
        "commands.md": "\n".join(("## Each command\n", *commands())),
        "agent-yaml.md": "\n".join(agent),
        "fleet-yaml.md": "\n".join(("## Keys\n", *tables(Fleet))),
        "settings-yaml.md": "\n".join(("## Every key\n", *tables(Settings))),
    }


def commands() -> Iterator[str]:
    for group in GROUPS:
        for command in group.commands:
            yield f"### {command.name}\n\n```text\n{parser.help_of(command)}\n```\n"


def features(plugin: plugins.FeaturePlugin) -> Iterator[str]:
    yield f"### Plugin {plugin.name}\n\n{plugin.summary[0].upper()}{plugin.summary[1:]}.\n"
    yield from tables(plugin.options)


def tables(model: type[BaseModel]) -> Iterator[str]:
    """Yield a table of a model's keys, then those of the models that it refers to."""
    schema = model.model_json_schema()
    yield table(schema)
    for name, inner in schema.get("$defs", {}).items():
        if inner.get("properties") and name not in {"Feature", "AgentConfig"}:
            yield f"**{name}**: {inner.get('description', '').partition(chr(10))[0]}\n"
            yield table(inner)


def table(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = (
        f"| `{key}` | {kind(value)} | {'required' if key in required else default(value)} |"
        for key, value in schema["properties"].items()
    )
    return "\n".join(("| key | value | default |\n|---|---|---|", *rows, ""))


def kind(value: dict[str, Any]) -> str:
    """Say in words what a key takes."""
    if "$ref" in value:
        return f"a mapping: *{value['$ref'].rpartition('/')[2]}*"
    if "anyOf" in value:
        return " or ".join(filter(None, map(kind, value["anyOf"])))
    if "allOf" in value:
        return kind(value["allOf"][0])
    if choices := value.get("enum", [value["const"]] if "const" in value else []):
        return ", ".join(f"`{choice}`" for choice in choices)
    if value.get("type") == "array":
        inner = kind(value.get("items", {"type": "string"}))
        return "a list" if inner == "text" else f"a list of: {inner}"
    if value.get("type") == "object":
        return f"names, each with: {kind(value.get('additionalProperties', {'type': 'string'}))}"
    limits = [f"{value[k]}" for k in ("minimum", "maximum") if k in value]
    return _WORDS.get(value.get("type", ""), "text") + (
        f", {' to '.join(limits)}" if limits else ""
    )


def default(value: dict[str, Any]) -> str:
    given = value.get("default")
    if given is None or given in ({}, [], ""):
        return ""
    if isinstance(given, dict):
        given = {key: one for key, one in given.items() if one not in (None, [], {}, "")}
        return ", ".join(f"`{key}: {one}`" for key, one in given.items())
    if isinstance(given, list | tuple):
        return ", ".join(f"`{one}`" for one in given)
    return f"`{str(given).lower() if isinstance(given, bool) else given}`"


if __name__ == "__main__":
    main()
