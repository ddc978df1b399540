"""The self-contained bundle starts itself and others as an installation with Python does."""

import runpy
import subprocess
import sys

import pytest
from desk import ROOT

OURS = "/usr/lib/companion/_internal"
STARTED = """
import sys
sys.frozen, sys.executable = True, "/opt/bundle/companion"
from companion.system import assets, programs
print(*programs.companion("tray"))
print(*assets.code_directories()[0])
"""


@pytest.mark.parametrize(
    ("user", "loader"),
    [
        ({}, {"LD_LIBRARY_PATH": OURS}),
        (
            {"LD_LIBRARY_PATH": "/mine"},
            {"LD_LIBRARY_PATH": f"{OURS}:/mine", "LD_LIBRARY_PATH_ORIG": "/mine"},
        ),
        ({"LD_LIBRARY_PATH": "/mine"}, {"LD_LIBRARY_PATH": "/mine"}),
        ({}, {"_PYI_ARCHIVE_FILE": "/usr/lib/companion/companion"}),
        ({}, {}),
    ],
)
def test_programs_that_a_bundle_starts_get_the_users_libraries(
    user: dict[str, str], loader: dict[str, str]
):
    restore = runpy.run_path(str(ROOT / "installer/bundle/environment.py"))["restore"]
    environment = {"PATH": "/bin", **loader}
    restore(environment, OURS)
    assert environment == {"PATH": "/bin", **user}


def test_a_bundle_starts_its_own_program_and_no_mount_may_hold_it():
    argv = [sys.executable, "-c", STARTED]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)
    command, protected = done.stdout.splitlines()
    assert command == "/opt/bundle/companion tray"
    assert "/opt/bundle" in protected.split()
