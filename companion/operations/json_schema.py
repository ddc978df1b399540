"""JSON Schema of agent.yaml and fleet.yaml for editors, from the same types as the decoder.

Editors find it by the comment on a file's first line that `init` and `schema --write` put there:
https://github.com/redhat-developer/yaml-language-server
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from pydantic import BaseModel

from companion import plugins
from companion.config.models import AgentConfig, Egress, Feature, Fleet, Limits, Runtime, Shared
from companion.operations.descriptions import KEYS
from companion.plugins.base import FeaturePlugin
from companion.project.discovery import agent_refs
from companion.project.model import Project
from companion.system import files, links, project_paths, user_files

Schema = dict[str, Any]
COMMENT = "# yaml-language-server: $schema="
_AGENT, _FLEET = "agent.schema.json", "fleet.schema.json"
_SCHEMAS = {project_paths.CONFIG_NAME: _AGENT, project_paths.FLEET_NAME: _FLEET}
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


_MODELS: tuple[tuple[type[BaseModel], str], ...] = (
    (AgentConfig, "agent.yaml"),
    (Runtime, "runtime"),
    (Egress, "egress"),
    (Limits, "limits"),
    (Feature, "features"),
    (Fleet, "fleet.yaml"),
    (Shared, "shared"),
)


def described() -> Iterator[tuple[type[BaseModel], str]]:
    """Yield every model of the files, with its name in the descriptions."""
    yield from _MODELS
    for plugin in plugins.FEATURES:
        yield plugin.options, plugin.name
        for key, field in plugin.options.model_fields.items():
            for model in _inside(field.annotation):
                yield model, f"{plugin.name}: {key}"


def _inside(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _inside(argument)


def agent() -> Schema:
    """Return the schema of agent.yaml."""
    return _whole(_schema(AgentConfig))


def fleet() -> Schema:
    """Return the schema of fleet.yaml."""
    return _whole(_schema(Fleet))


def _schema(model: type[BaseModel], where: str = "#/$defs/{model}") -> Schema:
    """Return pydantic's schema of a model, with a description of each key."""
    schema: Schema = model.model_json_schema(ref_template=where)
    names = dict(described())
    own = {inner.__name__: name for inner, name in names.items() if inner.__name__ != "Options"}
    places = ((own[name], one) for name, one in schema.get("$defs", {}).items() if name in own)
    for name, place in ((names[model], schema), *places):
        for key, sentence in KEYS[name].items():
            place["properties"][key]["description"] = sentence
    return schema


def text(schema: Schema) -> str:
    """Return a schema as the text of a file."""
    return json.dumps(schema, indent=2) + "\n"


def write(project: Project) -> tuple[Path, ...]:
    """Write the schemas into `.build/`, and comments that refer to them into the user's files.

    Returns what was written; of the user's files only the first line is touched.

    Raises:
        CompanionError: fleet.yaml cannot be read, or a file cannot be written.
    """
    build = links.unlinked(project.directory, project.build)
    pairs = [(ref.config, _AGENT, agent()) for ref in agent_refs(project)]
    if project.fleet.exists():
        pairs.insert(0, (project.fleet, _FLEET, fleet()))
    for config, _, _ in pairs:
        links.unlinked(project.directory, config)
    files.write(build / ".gitignore", "*\n", files.READABLE)
    written = []
    for config, name, schema in pairs:
        if files.write(build / name, text(schema), files.READABLE):
            written.append(build / name)
        if _point(config, config.relative_to(project.directory).as_posix()):
            written.append(config)
    return tuple(written)


def pointed(name: str, content: bytes) -> bytes:
    """Return a new project's file with a comment that refers to its schema, if it has one.

    `name` is relative to the project's directory; only configs have schemas.
    """
    schema = _SCHEMAS.get(PurePosixPath(name).name)
    if schema is None:
        return content
    above = "../" * (len(PurePosixPath(name).parts) - 1)
    comment = f"{COMMENT}{above}{project_paths.BUILD_NAME}/{schema}".encode()
    first, _, rest = content.partition(b"\n")
    return comment + b"\n" + (rest if first.startswith(COMMENT.encode()) else content)


def _point(config: Path, name: str) -> bool:
    """Add the schema comment to a config; return False if it is there or there is no file."""
    return user_files.changing(config, partial(_try_to_point, config, name))


def _try_to_point(config: Path, name: str) -> bool:
    old = files.read_text(config)
    if old is None:
        return False
    new = pointed(name, old.encode()).decode()
    if new == old:
        return False
    user_files.write(config, new, old)
    return True


def _whole(schema: Schema) -> Schema:
    """Return pydantic's schema of a model, completed by what validators check."""
    inner: Schema = schema["$defs"]
    if "Runtime" in inner:
        names = [{"const": p.name, "description": p.summary} for p in plugins.RUNTIMES]
        given = inner["Runtime"] | {"required": ["base_image"]}
        given["properties"].pop("name")
        version = given["properties"].pop("version")
        chosen = {
            "type": "object",
            "properties": {"name": {"anyOf": names}, "version": version},
            "required": ["name"],
            "additionalProperties": False,
        }
        inner["Runtime"] = {"anyOf": [*names, chosen, given]}
    inner["Egress"] = {"anyOf": [{"enum": ["open", "listed"]}, inner["Egress"]]}
    features = []
    for plugin in plugins.FEATURES:
        found, definitions = _feature(plugin)
        features.append(found)
        inner |= definitions
    inner["git-Push"] = {"anyOf": [{"type": "string"}, inner["git-Push"]]}
    inner["Feature"] = {"anyOf": features}
    return {"$schema": _DRAFT, **_plain(schema)}


def _feature(plugin: FeaturePlugin) -> tuple[Schema, Schema]:
    """Return the schema of one plugin's entry, and the definitions that it refers to."""
    where = f"#/$defs/{plugin.name}-{{model}}"
    options = _schema(plugin.options, where)
    definitions = {f"{plugin.name}-{n}": s for n, s in options.pop("$defs", {}).items()}
    entry = {"plugin": {"const": plugin.name}, "name": {"type": "string"}}
    return {
        **options,
        "description": plugin.summary,
        "properties": {**entry, **options["properties"]},
        "required": ["plugin", *options.get("required", ())],
    }, definitions


def _plain(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """Leave out titles, which only repeat the keys."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _plain(one) for name, one in value.items()}
        if key in {"properties", "$defs"}
        else _plain(value)
        for key, value in schema.items()
        if key != "title"
    }
