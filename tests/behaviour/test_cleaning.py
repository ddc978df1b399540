"""companion clean: shows the disk used, and removes what nothing uses, and nothing of others."""

import json

import pytest
from desk import Desk
from fake_project import Fake, fresh

from companion.engine.layers import LayerSizes, StoredImage, sizes_of
from companion.system import locks

FOREIGN = "localhost/companion/theirs-12345678-coder:1"
TORN = "5f2c0de5f2c0"


@pytest.fixture
def fake(desk: Desk) -> Fake:
    """A sandbox, of which the engine also holds an earlier image; and somebody else's."""
    fake = fresh(desk)
    fake.companion("up").ok()
    (mine,) = (tag for tag in fake.world["images"] if "/gateway:" not in tag)
    labels = fake.world["images"][mine]["labels"]
    earlier, theirs = (
        f"{mine.rpartition(':')[0]}:older",
        labels | {"dev.companion.project": "theirs-12345678"},
    )
    fake.set(
        images=fake.world["images"]
        | {
            mine: image(mine, labels, "base shared mine", created="2"),
            earlier: image(earlier, labels, "base shared older", created="1"),
            FOREIGN: image(FOREIGN, theirs, "base shared theirs", created="1"),
            TORN: image(TORN, labels, "base"),
        }
    )
    return fake


def image(tag: str, labels: dict[str, str], layers: str, created: str = "") -> dict:
    names = layers.split()
    steps = "30MB COPY hooks\n0B LABEL x=y\n200MB RUN apt-get\n100MB ADD rootfs\n"
    size = {1: 100, 3: 330}[len(names)] * 10**6
    history = steps if len(names) == 3 else "100MB ADD rootfs\n"
    return {"tag": tag, "labels": labels, "layers": names, "size": size, "created": created,
            "history": history}  # fmt: skip


def unused(fake: Fake, *arguments: str) -> dict[str, str]:
    (engine,) = fake.desk.companion("clean", "--json", *arguments).ok().data["engines"]
    return {one["name"]: one["why"] for one in engine["unused"]}


def test_of_the_images_that_agents_on_a_cluster_share_the_newest_one_stays(fake: Fake):
    (mine, labels), *_ = (
        (tag, one["labels"]) for tag, one in fake.world["images"].items() if "-coder:" in tag
    )
    name = mine.rpartition("-")[0]
    whose = {key: value for key, value in labels.items() if not key.endswith(".agent")}
    shared = {tag: image(f"{name}:{tag}", whose, "base", created=tag) for tag in "12"}
    fake.set(images=fake.world["images"] | {one["tag"]: one for one in shared.values()})
    assert unused(fake, "--dry-run")[f"{name}:1"].startswith("not the newest image of the agents ")
    assert f"{name}:2" not in unused(fake, "--dry-run")


def test_an_image_that_no_sandbox_needs_is_shown_and_removed_only_on_request(fake: Fake):
    before = fake.world["images"]
    shown = fake.desk.companion("clean", "--dry-run").ok().out
    earlier = next(tag for tag in before if tag.endswith(":older"))
    assert set(unused(fake, "--dry-run")) == {earlier, TORN}
    assert "an older version of coder in " in shown
    assert "left by a build that failed" in shown
    assert "to free: up to 30 MB of images" in shown
    refused = fake.desk.companion("clean")
    assert refused.code == 1
    assert "companion clean --yes" in refused.err
    assert fake.world["images"] == before
    assert "removed 2 images" in fake.desk.companion("clean", "--yes").ok().out
    assert set(before) - set(fake.world["images"]) == {earlier, TORN}
    assert "nothing to remove" in fake.desk.companion("clean", "--yes").ok().out
    fake.is_whole()


def test_no_image_is_removed_while_another_is_built(fake: Fake):
    before = fake.world["images"]
    with locks.exclusive(fake.desk.paths.build_lock("podman", "c0ffee")):
        done = fake.desk.companion("clean", "--yes").ok()
        assert done.err.count("an image is being built") == 2
        assert "removed nothing; 2 kept, in use by now" in done.out
    assert fake.world["images"] == before
    assert "removed 2 images" in fake.desk.companion("clean", "--yes").ok().out


def test_on_a_shared_engine_images_of_unknown_projects_stay(fake: Fake):
    assert FOREIGN not in unused(fake, "--dry-run")
    shown = fake.desk.companion("clean", "--dry-run").ok().out
    assert "1 image of projects that you do not have: kept" in shown
    fake.set(rootless=True)
    assert unused(fake, "--dry-run")[FOREIGN] == "of a project that is gone"


def test_a_step_of_a_build_that_may_be_of_others_stays(fake: Fake):
    images = fake.world["images"]
    step = image(TORN, {"dev.companion.image": "1"}, "base")
    fake.set(images=images | {TORN: step})
    assert TORN not in unused(fake, "--dry-run")
    alone = {tag: one for tag, one in images.items() if tag != FOREIGN}
    fake.set(images=alone | {TORN: step})
    assert unused(fake, "--dry-run")[TORN] == "left by a build that failed"


def test_a_gateway_that_a_stopped_sandbox_of_others_may_need_stays(fake: Fake):
    old = "localhost/companion/gateway:older"
    images = fake.world["images"] | {old: {"tag": old, "labels": {"dev.companion.image": "1"}}}
    fake.set(images=images)
    assert old not in unused(fake, "--dry-run")
    fake.set(images={tag: one for tag, one in images.items() if tag != FOREIGN})
    assert unused(fake, "--dry-run")[old] == "an older gateway"


def test_volumes_go_only_if_their_agent_is_gone_and_the_user_says_so(fake: Fake):
    home, theirs = fake.world["volumes"], "theirs-12345678_coder_home"
    fake.set(volumes=[*home, theirs])
    fake.companion("down").ok()
    assert not [name for name in unused(fake, "--dry-run") if name in home]
    fake.companion("remove").ok()
    place = fake.desk.home / "volume"
    place.mkdir()
    (place / "notes").write_bytes(b"x" * 200_000)
    fake.set(mountpoints={home[0]: str(place)})
    shown = fake.desk.companion("clean", "--dry-run").ok().out
    assert "only `companion clean --volumes` removes them" in shown
    (engine,) = fake.desk.companion("clean", "--dry-run", "--json").ok().data["engines"]
    (volume,) = (one for one in engine["unused"] if one["kind"] == "volume")
    assert volume["name"] == home[0]
    assert volume["size"] >= 200_000
    fake.desk.companion("clean", "--yes").ok()
    assert fake.world["volumes"] == [*home, theirs]
    fake.companion("add").ok()
    fake.companion("up").ok()  # registered again, so its volumes are in use again
    fake.companion("down").ok()
    assert "nothing to remove" in fake.desk.companion("clean", "--volumes", "--yes").ok().out
    fake.companion("remove").ok()
    fake.desk.companion("clean", "--volumes", "--yes").ok()
    assert fake.world["volumes"] == [theirs]


def test_a_volume_carries_labels_and_stays_where_its_project_is_unknown(fake: Fake):
    (home,) = fake.world["volumes"]
    labels = fake.world["labeled"][home]
    project = home.partition("_")[0]
    assert labels == {"dev.companion.project": project, "dev.companion.agent": "coder"}
    theirs = {"lost": labels | {"dev.companion.project": "lost-12345678"}}
    fake.set(volumes=[home, "lost", "somebodys"], labeled=fake.world["labeled"] | theirs)
    fake.set(rootless=True)  # where even images of unknown projects are removed
    shown = fake.desk.companion("clean", "--dry-run").ok().out
    assert "1 volume of projects that you do not have: kept" in shown
    fake.desk.companion("clean", "--volumes", "--yes").ok()
    assert fake.world["volumes"] == [home, "lost", "somebodys"]


def test_an_engine_that_does_not_answer_is_named_and_hides_no_other(fake: Fake):
    silent = Fake(fake.desk, fake.project, "docker")
    silent.file.write_text(json.dumps(fake.world | {"refuse": ["version"]}))
    done = fake.desk.companion("clean", "--dry-run").ok()
    assert "warning: docker does not answer" in done.err
    assert "podman stores" in done.out


def test_doctor_shows_the_disk_used_by_each_sandbox_and_in_sum(fake: Fake):
    said = fake.desk.companion("doctor").out
    assert "podman stores 391 MB of images of ours" in said
    assert "coder in ~/project takes 60 MB of its own on podman, and volumes" in said
    assert "podman holds 2 images of ours that nothing uses: up to 30 MB [disk]" in said
    fake.desk.companion("doctor", "--fix")
    assert "nothing uses" not in fake.desk.companion("doctor").out
    fake.is_whole()


def test_layers_that_images_share_count_once():
    def one(name: str, layers: str, size: int) -> StoredImage:
        return StoredImage(name, name, "", "", tuple(layers.split()), size, "")

    images = (one("a", "1 2 3", 60), one("b", "1 2 4", 70), one("c", "5", 7), one("d", "1 2 4", 70))
    sizes = LayerSizes()
    while image := next(sizes.unknown(images), None):
        sizes.learn(
            image, f"{image.size - 30}B COPY\n0B /bin/sh -c #(nop) ENV A=1\n20B RUN\n10B ADD\n"
        )
    assert sizes.occupied(images) == 30 + 30 + 40 + 7
    untold = LayerSizes()
    while image := next(untold.unknown(images), None):
        untold.learn(image, "")
    assert untold.occupied(images) == 60 + 70 + 70 + 7
    assert sizes_of("1.5 kB COPY\n0B RUN true\n0B USER root\n2 MB ADD", 3) == [2_000_000, 0, 1500]
