"""However a place is reached, what it shares with a guarded one is noticed."""

from itertools import product
from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from companion.sandbox.desktop import DesktopFacts, system
from companion.sandbox.mount_policy import target_refusal
from companion.sandbox.places import Place, contains, relation
from companion.system.mount_table import MountedAt, MountTable, parse

NAMES = ("a", "b")
TREE = tuple(f"/{'/'.join(parts)}" for n in (1, 2, 3) for parts in product(NAMES, repeat=n))
"""All directories of each of two file systems."""
PATHS = st.sampled_from(TREE)
BINDS = st.lists(st.builds(MountedAt, st.sampled_from(["8:1", "8:2"]), PATHS, PATHS), max_size=3)
ROOT = MountedAt("8:1", "/", "/")


def place(table: MountTable, path: str) -> Place:
    return Place(path, device_path=table.device_path(path), mounted=table.mounted_below(path))


def shown(table: MountTable, top: str) -> set[tuple[str, str] | None]:
    """Return every directory that can be seen at or below a path, as the kernel resolves it."""
    return {table.device_path(path) for path in TREE if PurePosixPath(path).is_relative_to(top)}


@given(BINDS, PATHS, PATHS)
def test_places_that_share_a_directory_are_related_whatever_is_mounted_where(
    binds: list[MountedAt], mount: str, guarded: str
):
    table = MountTable((ROOT, *binds))
    if shown(table, mount) & shown(table, guarded):
        assert relation(place(table, mount), place(table, guarded))


@given(PATHS, PATHS)
def test_without_mounts_places_are_related_as_their_paths_are(one: str, other: str):
    table, path = MountTable((ROOT,)), PurePosixPath(one)
    expected = {
        (True, True): "is",
        (False, True): "contains",
        (True, False): "lies in",
        (False, False): None,
    }[path.is_relative_to(other), PurePosixPath(other).is_relative_to(one)]
    assert relation(place(table, one), place(table, other)) == expected
    unnamed = Place(f"/alias{one}", device_path=table.device_path(one))
    assert relation(unnamed, place(table, other)) == expected


def test_one_directory_of_two_names_is_known_by_its_inode():
    guarded = Place("/home/me/.ssh", (1, 7), ((1, 5), (1, 2)))
    assert relation(Place("/firm/.ssh", (1, 7), ((1, 9),)), guarded) == "is"
    assert relation(Place("/firm/.ssh/keys", (1, 8), ((1, 7), (1, 9))), guarded) == "lies in"
    assert relation(Place("/firm", (1, 5), ((1, 9),)), guarded) == "contains"
    assert relation(Place("/firm/.config", (1, 6), ((1, 5), (1, 9))), guarded) is None


def test_the_kernels_table_is_read_with_its_escapes():
    table = parse(
        b"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        b"90 27 254:0 /home/me/my\\040keys /srv/a\\011b rw shared:4 - ext4 /dev/vda rw\n"
        b"broken\n"
    )
    assert table.device_path("/srv/a\tb/x") == ("254:0", "/home/me/my keys/x")
    assert table.device_path("/srv/c") == ("254:0", "/srv/c")
    assert table.mounted_below("/srv") == (("254:0", "/home/me/my keys"),)
    assert MountTable().device_path("/srv") is None


STEPS = st.lists(st.sampled_from(["", ".", "..", "etc", "usr", "var", "run", "x"]), max_size=5)


@given(STEPS)
def test_no_spelling_of_a_target_leads_into_the_containers_system(steps: list[str]):
    target = "/".join(["", *steps])
    real: list[str] = []
    for step in steps:
        if step == "..":
            real = real[:-1]
        elif step not in {"", "."}:
            real.append(step)
    if not real or real[0] in {"etc", "usr", "run"} or real in (["var"], ["var", "run"]):
        assert target_refusal(target)


def test_a_project_on_a_disk_of_the_users_may_mount_its_own_directories():
    """Removable disks lie in /run, which is the system's otherwise."""
    facts = DesktopFacts(never=(Place("/run"),), disks=(Place("/run/media"),))
    elsewhere, there = (Place(f"{top}/me/project") for top in ("/home", "/run/media"))
    mounts = {name: Place(name) for name in ("/run/media/me/project/work", "/run/user/1000")}
    refused = {
        (project.path, name)
        for project in (elsewhere, there)
        for name, mount in mounts.items()
        for guard in system(facts, project)
        if (how := relation(mount, guard.place)) and guard.refuses(mount, how)
    }
    own = (there.path, "/run/media/me/project/work")
    assert refused == set(product((elsewhere.path, there.path), mounts)) - {own}


def test_spelling_counts_where_nothing_says_that_case_is_ignored():
    assert not contains(Place("/home/me/.ssh"), Place("/home/me/.SSH/config"))
    assert contains(Place("/home/me/.ssh"), Place("/home/me/.SSH/config"), ignores_case=True)
