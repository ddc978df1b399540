"""What a registry answers to the clients of engines is told as what happened, with the next step.

The texts are those of docker 20.10 and podman 4.3 with docker-registry 2.8.
"""

import pytest

from companion.engine import registry
from companion.errors import Code

IMAGE = "192.0.2.2:5999/team/gateway:6fc2885e0f07acfe"
PING = "pinging container registry 192.0.2.2:5999: Get"
URL = '"https://192.0.2.2:5999/v2/"'
BLOB = "sha256:ff818bd4d1c58dee0e4484795ee8214f84e2d6322e3b36dd4b6db9596ce4cd74"
BLOB_ABOUT = f"trying to reuse blob {BLOB} at destination: "
CONFIG = {
    "IndexConfigs": {
        "docker.io": {"Name": "docker.io", "Secure": True},
        "build.example:5000": {"Name": "build.example:5000", "Secure": False},
    },
    "InsecureRegistryCIDRs": ["127.0.0.0/8", "10.9.0.0/16"],
}


@pytest.mark.parametrize(
    ("engine", "lines", "what", "hint", "code"),
    [
        (
            "docker",
            ["ff818bd4d1c5: Preparing", "no basic auth credentials"],
            f"the registry 192.0.2.2:5999 refuses pushing {IMAGE}: no basic auth credentials",
            "`docker login 192.0.2.2:5999`",
            Code.ENGINE_DENIED,
        ),
        (
            "podman",
            [
                (
                    f"Error: {BLOB_ABOUT}checking whether a blob {BLOB} exists in"
                    " 192.0.2.2:5999/team/gateway: unauthorized: authentication required"
                )
            ],
            (
                f"the registry 192.0.2.2:5999 refuses pushing {IMAGE}: unauthorized:"
                " authentication required"
            ),
            "`podman login 192.0.2.2:5999`",
            Code.ENGINE_DENIED,
        ),
        (
            "docker",
            ["denied: requested access to the resource is denied", ""],
            (
                f"the registry 192.0.2.2:5999 refuses pushing {IMAGE}: denied: requested access to"
                " the resource is denied"
            ),
            "as a user who may push there",
            Code.ENGINE_DENIED,
        ),
        (
            "docker",
            [f"Get {URL}: http: server gave HTTP response to HTTPS client"],
            "the registry 192.0.2.2:5999 speaks HTTP only, which docker does not trust",
            "daemon.json",
            Code.PULL_FAILED,
        ),
        (
            "podman",
            [f"Error: {BLOB_ABOUT}{PING} {URL}: http: server gave HTTP response to HTTPS client"],
            "the registry 192.0.2.2:5999 speaks HTTP only, which podman does not trust",
            "registries.conf",
            Code.PULL_FAILED,
        ),
        (
            "podman",
            [
                'time="2026-11-27T16:10:42Z" level=warning msg="Failed, retrying in 1s …"',
                (
                    f"Error: {BLOB_ABOUT}{PING} {URL}: dial tcp 192.0.2.2:5999: connect: connection"
                    " refused"
                ),
            ],
            (
                f"the registry 192.0.2.2:5999 does not answer: Get {URL}: dial tcp"
                " 192.0.2.2:5999: connect: connection refused"
            ),
            "check `registry` of the place",
            Code.ENGINE_SILENT,
        ),
        (
            "docker",
            [],
            f"the registry 192.0.2.2:5999 refuses pushing {IMAGE}: no reason given",
            "",
            Code.ENGINE_FAILED,
        ),
    ],
)
def test_a_push_that_fails_is_one_message_with_the_registrys_reason(
    engine: str, lines: list[str], what: str, hint: str, code: Code
):
    (problem,) = registry.refusal(engine, IMAGE, lines, pushing=True).problems
    assert problem.what == what
    assert hint in problem.hint
    assert problem.code is code


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        (IMAGE, "192.0.2.2:5999"),
        ("localhost/x:1", "localhost"),
        ("registry.example.com/team/x:1", "registry.example.com"),
        ("team/x:1", "docker.io"),
    ],
)
def test_the_host_in_an_images_name_is_what_engines_take_for_it(reference: str, host: str):
    assert registry.host_of(reference) == host


@pytest.mark.parametrize(
    ("host", "insecure"),
    [
        ("127.0.0.1:5000", True),
        ("localhost:5000", True),
        ("10.9.3.4", True),
        ("10.8.3.4:5000", False),
        ("build.example:5000", True),
        ("build.example", False),
        ("docker.io", False),
    ],
)
def test_dockers_client_does_without_tls_only_where_its_daemon_does(host: str, *, insecure: bool):
    assert registry.is_insecure(host, CONFIG) is insecure
    assert not registry.is_insecure(host, {})
