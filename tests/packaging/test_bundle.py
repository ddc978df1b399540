"""The self-contained bundle starts itself and others as an installation with Python does."""

import os
import runpy
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from desk import ROOT

from companion.system import authorities

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


def test_ssh_connects_through_a_bundle_in_any_directory(tmp_path: Path):
    bundle, told = tmp_path / "of Ada's 100%d/companion", tmp_path / "told"
    bundle.parent.mkdir()
    bundle.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{told}\n')
    bundle.chmod(0o755)
    code = f"""
import sys
sys.frozen, sys.executable = True, {str(bundle)!r}
from companion.system import programs
from ssh import config
print(config.proxy(programs.companion("proxy", "app-0d3a9fc1/coder")))
"""
    argv = [sys.executable, "-c", code]
    proxy = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    settings = tmp_path / "config"
    settings.write_text(f"Host coder.sandbox\n  ProxyCommand {proxy}")
    subprocess.run(["ssh", "-F", settings, "coder.sandbox"], capture_output=True, check=False)
    assert told.read_text().split() == ["proxy", "app-0d3a9fc1/coder"]


@pytest.mark.parametrize(
    "place",
    [
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/certs/ca-certificates.crt",
    ],
)
def test_a_bundle_finds_the_authorities_of_fedora_opensuse_and_debian(place: str):
    compiled = ("SSL_CERT_FILE", "/usr/lib/ssl/cert.pem", "SSL_CERT_DIR", "/usr/lib/ssl/certs")
    nothing = ssl.DefaultVerifyPaths(None, None, *compiled)
    assert authorities.missed(nothing, {place}.__contains__) == place
    found = nothing._replace(capath="/usr/lib/ssl/certs")
    assert authorities.missed(found, {place}.__contains__) is None


@pytest.mark.skipif(
    not Path("/etc/ssl/certs/ca-certificates.crt").exists(), reason="needs ca-certificates"
)
def test_authorities_are_loaded_where_openssl_looks_elsewhere():
    code = (
        "from companion.system import authorities;"
        "print(authorities.context().cert_store_stats()['x509_ca'])"
    )
    elsewhere = {**os.environ, "SSL_CERT_FILE": "/nowhere", "SSL_CERT_DIR": "/nowhere"}
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, env=elsewhere, capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) > 10
