"""What is read of many Pods is what kubectl prints of them, whatever an agent wrote into one."""

import json

import pytest

from companion.errors import EngineError
from companion.kubernetes import held_files, listing

LABELS = {"dev.companion.role": "agent"}
ENDED = "a\ttab, a\nline, \x85 and \u2028"


IMAGES = "agent=registry.test/x:1 "


def line(statuses: object, mounted: str = " ", status: str = "", images: str = IMAGES) -> str:
    words = ("Pod", "u1", "coder-1-0", "", "", "Failed", json.dumps(LABELS), "")
    told = json.dumps(statuses, ensure_ascii=False)  # as kubectl does
    return "\t".join((*words, told, status, images, mounted)) + "\n"


def test_a_message_that_an_agent_left_is_no_other_object():
    statuses = [{"name": "agent", "state": {"terminated": {"message": ENDED, "exitCode": 3}}}]
    (pod,) = listing.objects(line(statuses))
    assert pod["status"] == {"phase": "Failed", "containerStatuses": statuses}
    assert pod["metadata"]["labels"] == LABELS
    assert "deletionTimestamp" not in pod["metadata"]
    told = json.dumps({"phase": "Failed", "reason": "Evicted", "message": ENDED})
    (pod,) = listing.objects(line(statuses, " ", told))
    assert pod["status"]["message"] == ENDED
    assert pod["spec"]["containers"] == [{"name": "agent", "image": "registry.test/x:1"}]


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "\n", "a\n\t\tb\n"])
def test_no_name_in_a_foreign_pod_shifts_or_hides_another_one(name: str):
    ours = line([], "coder-1-sshd")
    for foreign in (line([], images=f"agent={name} "), line([], mounted=name)):
        first, second = listing.objects(foreign + ours)
        assert [second] == list(listing.objects(ours))
        assert first["metadata"] == second["metadata"]
        assert first["status"] == second["status"]


def test_an_object_that_cannot_be_read_is_named_and_not_left_out():
    with pytest.raises(EngineError, match="the Pod coder-1-0"):
        list(listing.objects(line([]).replace("[]", "map[]")))


def test_files_of_a_sandbox_that_a_namespace_lacks_are_found_and_others_are_not_ours():
    mounted = "coder-1-sshd coder-1-brought theirs coder-1-reach"
    pods = list(listing.objects(line([], mounted)))
    table = "secret/coder-1-sshd   Opaque   3   5d\n\nconfigmap/coder-1-reach   1   5d\n"
    held = held_files.names(table)
    assert held_files.without(pods, "coder-1", held) == {"agent"}
    assert held_files.without(pods, "coder-1", held | {"secret/coder-1-brought"}) == frozenset()
    assert held_files.of_sandbox(held, "coder-1") == (
        "configmap/coder-1-reach",
        "secret/coder-1-sshd",
    )
    assert held_files.of_sandbox(held, "coder") == ()
