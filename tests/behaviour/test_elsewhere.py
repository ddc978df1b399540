"""An engine elsewhere sees no file of this desktop: found out by trying, once for each endpoint."""

import pytest
from desk import Desk
from fake_project import Fake, changes, config


def fake(desk: Desk, name: str, **world: object) -> Fake:
    made = Fake(desk, desk.project(config().replace("podman", name)), name)
    made.companion("plan").ok()
    made.set(met={}, **world)
    return made


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_an_engine_elsewhere_is_named_before_anything_is_built(desk: Desk, name: str):
    one = fake(desk, name, elsewhere=True)
    done = one.companion("up")
    assert done.code == 1
    assert f"containers of {name} cannot mount files of this desktop" in done.err
    assert "use an engine of this machine" in done.err
    assert changes(one) == ["create", "rm"], "only the probe"
    assert not one.world["containers"]
    assert not one.world["images"]


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_an_engine_is_tried_once_and_a_second_agent_asks_nothing(desk: Desk, name: str):
    one = fake(desk, name)
    one.companion("up").ok()
    one.set(met={})
    one.companion("up").ok()
    probing = {"import", "create", "info", "rmi"}
    assert not probing & set(one.world["met"])
    two = Fake(desk, desk.project(config().replace("podman", name), "other"), name)
    one.set(met={})
    two.companion("up").ok()
    assert "import" not in one.world["met"]
