"""The steps of a build, told from what the engines printed (podman 4.3, docker 20.10 and 28)."""

import pytest

from companion.engine import build_output

PODMAN = """\
STEP 1/3: FROM localhost/companion/debian:bookworm-slim
STEP 2/3: RUN ["/bin/sh", "-ec", "echo hello; sleep 1; echo bye"]
hello
bye
--> 64fb7468235
STEP 3/3: COPY x /x
COMMIT edges:1
--> 87ea5cc0cfb
Successfully tagged localhost/edges:1
87ea5cc0cfbac20fb19631b3d30ef9e97cfe76aff4b7df5a0564c81e330416d5
"""
CLASSIC = """\
DEPRECATED: The legacy builder is deprecated and will be removed in a future release.
            Install the buildx component to build images with BuildKit:
            https://docs.docker.com/go/buildx/

Sending build context to Docker daemon  3.072kB
Step 1/3 : FROM localhost/companion/debian:bookworm-slim
 ---> c40b96239be8
Step 2/3 : RUN ["/bin/sh", "-ec", "echo hello; sleep 1; echo bye"]
 ---> Running in 593d020a9ec9
hello
bye
Removing intermediate container 593d020a9ec9
 ---> 8cbf2ee98d0f
Step 3/3 : COPY x /x
 ---> 27c79ce7f854
Successfully built 6cd2f10d5f37
"""
BUILDKIT = """\
#1 [internal] load build definition from Dockerfile
#1 sha256:8ea85e6bf58385566cb86935a6e909bd397749bf786d812a5bfd7d16a11e9fef
#1 transferring dockerfile: 198B done
#1 DONE 0.0s

#3 [internal] load metadata for localhost/companion/debian:bookworm-slim
#3 DONE 0.0s

#4 [1/3] FROM localhost/companion/debian:bookworm-slim
#4 sha256:2c3267a0f59352c43d874174901c85627ab97a99e19e6d8e6ef0d5d7aeba1d45
#4 CACHED

#5 [2/3] RUN ["/bin/sh", "-ec", "echo hello; sleep 1; echo bye"]
#5 sha256:5cfe15cdd376b4611eeb80d7f891e1d2b3d0e4014abde5b6745b3f76c34b9552
#5 0.175 hello
#5 1.176 bye
#5 DONE 1.4s

#7 [3/3] COPY x /x
#7 DONE 0.0s

#8 exporting to image
#8 naming to docker.io/library/edges:2 done
#8 DONE 0.0s
"""
STEPS = [
    "step 1/3: FROM localhost/companion/debian:bookworm-slim",
    'step 2/3: RUN ["/bin/sh", "-ec", "echo hello; sleep 1; echo bye"]',
    "step 3/3: COPY x /x",
]


@pytest.mark.parametrize("output", [PODMAN, CLASSIC, BUILDKIT])
def test_every_engine_and_builder_has_its_steps_shown(output: str):
    assert [step for line in output.splitlines() if (step := build_output.step(line))] == STEPS


def test_buildkit_pads_numbers_and_names_stages():
    assert build_output.step("#7 [ 3/12] RUN make") == "step 3/12: RUN make"
    assert build_output.step("#7 [base  3/12] RUN make") == "step 3/12: RUN make"
