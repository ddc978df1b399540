"""podman of an ordinary user is asked for namespaces in which the user is who they are."""

from desk import Desk
from fake_project import Fake, fresh


def modes(fake: Fake) -> dict[str, str]:
    """Return service → user namespace."""
    containers = fake.world["containers"]
    holder = next(c["Id"] for name, c in containers.items() if name.endswith("-net"))
    shown = {name: c["HostConfig"]["UsernsMode"] for name, c in containers.items()}
    return {name.partition("-coder")[2]: mode.replace(holder, "") for name, mode in shown.items()}


def test_without_root_podman_leads_the_users_id_through(desk: Desk):
    fake = fresh(desk)
    fake.companion("plan").ok()
    fake.set(rootless=True)
    fake.companion("up", "--yes").ok()
    assert modes(fake) == {
        "-gateway": "keep-id",
        "-ingress": "keep-id",
        "-net": "keep-id",
        "": "container:",
    }


def test_with_root_no_user_namespace_is_asked_for(desk: Desk):
    fake = fresh(desk)
    fake.companion("up", "--yes").ok()
    assert set(modes(fake).values()) == {""}
