"""When is the stream of an engine's events started again?"""

from companion.engine.events import pause
from companion.engine.model import Choice, ClusterChoice, EngineChoice

CLUSTER = ClusterChoice("kubernetes", "/bin/kubectl", "work", "agents", "registry.test/team")
ENGINE = EngineChoice("docker", "/bin/docker")


def pauses(choice: Choice, *ran: float) -> list[float]:
    found: list[float] = []
    for seconds in ran:
        found.append(pause(choice, found[-1] if found else 0.0, seconds))
    return found


def test_a_cluster_that_ends_it_at_once_is_asked_less_and_less_often():
    assert pauses(CLUSTER, *[0.2] * 9) == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert pauses(CLUSTER, 0.2, 0.2, 1800, 0.2) == [5, 10, 5, 10]


def test_an_engine_that_comes_back_is_noticed_soon():
    assert pauses(ENGINE, *[0.2] * 4) == [5, 5, 5, 5]
