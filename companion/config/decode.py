"""Decode configuration texts into models; report all problems at once, each with its place."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from companion.config import newer_format, strict_yaml
from companion.config.models import AgentConfig, Feature, Fleet
from companion.config.origin import SHARED, Origin
from companion.config.strict_yaml import Document, Location
from companion.errors import ConfigError, Problem, named
from companion.spec.identity import Role

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)
_A_KEY = "[key]"
"""pydantic's marker for a problem with the preceding key itself, not with its value."""


def agent(text: str, file: str = "agent.yaml") -> tuple[AgentConfig, Document]:
    """Decode an agent.yaml.

    Raises:
        ConfigError: every problem within this text.
    """
    document = _parse(text, file)
    return decode(AgentConfig, document.data, document, ()), document


def remainder(text: str, file: str = "agent.yaml") -> tuple[AgentConfig, Document]:
    """Decode an agent.yaml without its invalid parts, to find what is wrong with the rest.

    Features keep their numbers; a feature that is no mapping becomes one that adds nothing.

    Raises:
        ConfigError: nothing can be made of it.
    """
    document = _parse(text, file)
    data: dict[str, Any] = dict(document.data) if isinstance(document.data, Mapping) else {}
    try:
        return AgentConfig.model_validate(data), document
    except ValidationError as error:
        for key, *inner in (detail["loc"] for detail in error.errors() if detail["loc"]):
            if key == "features" and inner and isinstance(inner[0], int):
                features = list(data[key])
                features[inner[0]] = {"plugin": "custom-runtime"}
                data[key] = tuple(features)
            else:
                data.pop(str(key), None)
    placeholders = {"name": "agent", "runtime": {"base_image": "scratch"}}
    return decode(AgentConfig, placeholders | data, document, ()), document


def fleet(text: str, file: str = "fleet.yaml") -> tuple[Fleet, Document]:
    """Decode a fleet.yaml.

    Raises:
        ConfigError: every problem within this text.
    """
    document = _parse(text, file)
    found = decode(Fleet, document.data, document, ())
    if problems := tuple(_name_clashes(found.agents, document)):
        raise ConfigError(problems)
    return found, document


def _parse(text: str, file: str) -> Document:
    """Parse a text; a format that is not ours gets one message instead of one for each key."""
    document = strict_yaml.parse(text, file)
    if problem := newer_format.refusal(document):
        raise ConfigError([problem])
    return document


def _name_clashes(names: Sequence[str], document: Document) -> Iterator[Problem]:
    """Yield a problem for each agent whose containers would have names of another agent's.

    Each agent has a container for each role: NAME, NAME-net and so on.
    """
    places = [document.place(("agents", number)) for number in range(len(names))]
    for second, name in enumerate(names):
        for first, other in enumerate(names):
            if name == other and first < second:
                hint = f"remove one of them; the first is at {places[first]}"
                yield Problem(f"the agent '{name}' is listed twice", hint, places[second])
            if name != other and name in {role.service_of(other) for role in Role}:
                what = f"the agents '{other}' and '{name}' have containers of one name"
                hint = f"rename one of them; the other is at {places[first]}"
                yield Problem(what, hint, places[second])


@dataclass(frozen=True, slots=True)
class Loaded:
    """One agent's configuration, joined with everything that its fleet shares."""

    config: AgentConfig
    features: tuple[tuple[Origin, Feature], ...]
    document: Document
    egress: Origin
    """Where the egress rules are."""

    @property
    def engine(self) -> Origin:
        """Where the engine is chosen."""
        location = ("container_runtime",)
        return Origin(location, is_shared=location not in self.document.places)


def loaded(config: AgentConfig, document: Document, above: tuple[Fleet, Document] | None) -> Loaded:
    """Return an agent's config joined with its fleet's.

    The agent's own values override shared ones, and its features override those of the same plugin.
    """
    own = _features(config.features, is_shared=False)
    if above is None:
        return Loaded(config, own, document, Origin(("egress",)))
    shared, own_plugins = above[0].shared, {feature.plugin for feature in config.features}
    features = _features(shared.features, is_shared=True)
    inherited = (f for f in features if f[1].plugin not in own_plugins)
    values = {key: getattr(shared, key) for key in ("container_runtime", "egress")}
    missing = {k: v for k, v in values.items() if v and k not in config.model_fields_set}
    joined = document.joined(above[1], SHARED)
    egress = Origin(("egress",), is_shared="egress" in missing)
    return Loaded(config.model_copy(update=missing), (*inherited, *own), joined, egress)


def _features(
    features: Iterable[Feature], *, is_shared: bool
) -> tuple[tuple[Origin, Feature], ...]:
    return tuple(
        (Origin(("features", number), is_shared, feature.plugin), feature)
        for number, feature in enumerate(features)
    )


def decode(model: type[M], data: Any, document: Document, at: Location) -> M:  # noqa: ANN401 - the user's
    """Return `data`, located at `at` in the document, as a `model`.

    Raises:
        ConfigError: every invalid part of `data`.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=True)
        raise ConfigError(_problem(d, model, document, at) for d in details) from None


def _problem(
    detail: "ErrorDetails", model: type[BaseModel], document: Document, at: Location
) -> Problem:
    where = detail["loc"]
    if where[-1:] == ("[key]",):  # pydantic's word for the name of an entry
        where = where[:-1]
    name = _called(where) if where else "the plugin" if at else "the file"
    what, hint = _explain(detail, model, name)
    location = (*at, *where)
    unknown = detail["type"] == "extra_forbidden"
    place = document.key_place(location) if unknown else document.place(location)
    return Problem(what, hint, place)


def _called(where: Location) -> str:
    """Return the name of the last part of a location: a key, or an entry of a list."""
    if where[-1] == _A_KEY:
        return f"the key {named(str(where[-2]))}"
    if isinstance(where[-1], str):
        return named(where[-1])
    keys = [part for part in where if isinstance(part, str)]
    return f"entry {where[-1] + 1} of {named(keys[-1])}" if keys else f"entry {where[-1] + 1}"


def _explain(detail: "ErrorDetails", model: type[BaseModel], name: str) -> tuple[str, str]:
    """Return what is wrong and what to do, without repeating a value that may be a secret."""
    context: Mapping[str, Any] = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return f"{name} is missing", "add it"
        case "extra_forbidden":
            return f"unknown key {name}", suggest(
                name.strip("'"), _keys_at(model, detail["loc"][:-1])
            )
        case "too_short":
            return f"{name} is empty", "give at least one"
        case "literal_error":
            return f"{name} must be {context.get('expected')}", ""
        case "value_error":
            return f"{name} {context.get('error')}", ""
        case "greater_than_equal" | "less_than_equal":
            return f"{name} {detail['msg'].removeprefix('Input ')}", ""
        case kind if kind.endswith("_type"):
            return f"{name} must be {_NOUNS.get(kind, kind)}", _got(detail["input"])
        case _:
            return f"{name}: {detail['msg']}", ""


_NOUNS = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
}


def _got(value: object) -> str:
    match value:
        case None:
            return "it is empty"
        case bool() | int():
            return "it is a number or boolean: put it in quotes if you mean text"
        case str():
            return "it is text"
        case tuple():
            return "it is a list"
        case _:
            return "it is a mapping"


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word, or else all of them."""
    import difflib  # noqa: PLC0415 - start-up time is a budget

    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    every = f"known are: {', '.join(names)}" if names else "none is configured"
    return f"did you mean '{close[0]}'?" if close else every


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> Iterable[str]:
    """Return the keys that are valid for a mapping at `location` in `model`."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            inner = _model_in(model.model_fields[part].annotation)
            model = inner or model
    return model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any annotation
    """Return the model inside `X`, `X | None`, `tuple[X, ...]` or a mapping to X."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model), None)
