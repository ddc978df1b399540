"""The installer for Windows, built here with a stand-in for the programs; it is not run."""

import shutil
import subprocess
from pathlib import Path

import pytest
from desk import ROOT

NSIS, SEVEN = shutil.which("makensis"), shutil.which("7z")


@pytest.mark.long
@pytest.mark.skipif(not (NSIS and SEVEN), reason="needs `apt-get install nsis p7zip-full`")
def test_the_installer_for_windows_holds_the_bundle_and_its_uninstaller(tmp_path: Path):
    bundle, out = tmp_path / "bundle", tmp_path / "companion-setup.exe"
    (bundle / "_internal").mkdir(parents=True)
    for name in ("companion.exe", "companion-tray.exe", "_internal/python313.dll"):
        (bundle / name).write_bytes(b"stand-in for " + name.encode())
    values = ("-DVERSION=0.2.0", f"-DBUNDLE={bundle}", f"-DOUT={out}")
    script = ROOT / "installer/windows/companion.nsi"
    argv = [NSIS, "-V2", "-WX", *values, script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    subprocess.run([SEVEN, "x", f"-o{tmp_path}/out", out], capture_output=True, check=True)
    for name in ("companion.exe", "companion-tray.exe", "_internal/python313.dll"):
        assert (tmp_path / "out" / name).read_bytes() == (bundle / name).read_bytes()
    text = out.read_bytes()
    assert b'requestedExecutionLevel level="asInvoker"' in text, "no administrator is asked for"
