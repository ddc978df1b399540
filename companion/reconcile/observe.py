"""What the engine holds of one agent."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from companion.engine.client import Engine
from companion.engine.model import Observed


def engine(handle: Engine, images: Collection[str] = ()) -> Observed:
    """Return what the engine holds of its agent, and which of some images, by their tags.

    Raises:
        EngineError: it does not answer; then nothing may be concluded.
    """
    with ThreadPoolExecutor() as asked:  # the engine's client starts slowly: ask all at once
        containers, networks = asked.submit(handle.containers), asked.submit(handle.networks)
        held = asked.submit(handle.held, images)
        return Observed(containers.result(), networks.result(), held.result())
