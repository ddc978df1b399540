"""Engine power: where a configuration chooses to run. Pure."""

from collections.abc import Iterator, Mapping

from companion.config.decode import Loaded
from companion.config.engine_places import EnginePlace
from companion.sandbox.powers import Agreed, Kind, Power


def powers(loaded: Loaded, places: Mapping[str, EnginePlace]) -> Iterator[Power]:
    """Yield the engine that a config chooses; a place of the user's may be another machine."""
    name = loaded.config.container_runtime
    if name is None:
        return
    kind, text = Kind.ENGINE, f"runs on {name}"
    if name in places:
        kind, text = Kind.PLACE, f"runs on your place {name} ({places[name]}), not here"
        if places[name].seed:
            text += "; directories that it mounts are copied there"
    place = loaded.engine.place(loaded.document)
    yield Power(Agreed(kind, name), text, loaded.engine, place)
