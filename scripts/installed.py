#!/usr/bin/env python3
"""Install the packages on a fresh machine, use them, upgrade, uninstall and remove them.

Run by `make test-long` in scripts/machine.sh, as root or as a user who may use sudo, with the
system's Python. Everything that is not in the packages is installed before, so that what is left at
the end is ours. The first promise that is broken ends the run with exit code 1.

Usage: installed.py OLD.deb NEW.deb NEW.rpm BASE.tar (files in the home; the last is the tree of a
base image)
"""

import contextlib
import hashlib
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NAME = "companion-sandbox"
BASE = "localhost/companion/debian:bookworm-slim"
HOME = Path.home()
PROJECT = HOME / "app"
CHECKOUT = HOME / "companion"
SUDO = () if os.geteuid() == 0 else ("sudo",)
BESIDES = ("dbus", "dbus-bin", "desktop-file-utils", "man-db")
"""What the test itself needs of the system."""
IGNORED = (
    "dev", "proc", "run", "sys", "tmp", "var/cache", "var/lib/apt", "var/lib/containers",
    "var/lib/cni", "var/lib/dpkg", "var/log", "var/tmp",
)  # fmt: skip
"""What changes without us: the system's caches and logs, and the engine, which is listed apart."""
IGNORED_AT_HOME = (".local/share/containers", "companion")
State = dict[str, str]


class BrokenError(Exception):
    """A promise was not kept."""


def main(*packages: str) -> int:
    old, new, rpm, base = (str(HOME / name) for name in packages)
    try:
        prepare(new, base)
        before = snapshot(), engine()
        install(old)
        use()
        upgrade(new)
        remove()
        same(before[0], snapshot(), "the file system")
        same(before[1], engine(), "the engine")
        examine(new, rpm)
    except BrokenError as error:
        say(f"\nFAILED: {error}")
        return 1
    return 0


def prepare(deb: str, base: str) -> None:
    """Install what the package depends on and recommends, and import the base image."""
    quiet(*SUDO, "apt-get", "update", "-qq")
    fields = [quiet("dpkg-deb", "--field", deb, name) for name in ("Depends", "Recommends")]
    wanted = ", ".join((*(field.strip() for field in fields), *BESIDES))
    quiet(*SUDO, "apt-get", "satisfy", "-y", "-qq", wanted)
    quiet("podman", "import", base, BASE)
    settings = HOME / ".config/companion/settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"images:\n  docker.io/library/debian:bookworm-slim: {BASE}\n")


def install(deb: str) -> None:
    """Install the older package."""
    shown(*SUDO, "apt", "install", "-y", deb)
    expect(version() in quiet("companion", "--version"), "the program has another version")
    told = shown("companion", "doctor", check=False)
    expect("is a deb package (companion-sandbox)" in told, "doctor does not know the package")
    expect(f"sudo apt install ./{NAME}_*.deb" in told, "doctor names no update")
    quiet("desktop-file-validate", "/usr/share/applications/companion.desktop")
    expect("companion-run" in quiet("man", "-w", "companion-run"), "man finds no page")


def use() -> None:
    """Start a sandbox, and log in to it."""
    shown("companion", "init", str(PROJECT))
    config = PROJECT / "agent.yaml"
    text = config.read_text()
    config.write_text(text.replace("codex", '{base_image: "debian:bookworm-slim"}', 1))
    os.chdir(PROJECT)
    shown("companion", "up", "--yes")
    inside("agent", "id", "-un")
    proxy = f"ProxyCommand=companion -C {PROJECT} proxy coder"
    told = shown("ssh", "-o", proxy, "coder.sandbox", "id", "-un")
    expect(told.splitlines()[-1:] == ["agent"], f"by `companion proxy`, id printed {told!r}")
    shown("companion", "status")
    shown("companion", "autostart", "on")
    entry = HOME / ".config/autostart/companion.desktop"
    expect("/usr/lib/companion/companion" in entry.read_text(), "another program starts at login")
    quiet("desktop-file-validate", str(entry))


def upgrade(deb: str) -> None:
    """Install the newer package under a sandbox and a tray that run."""
    with tray() as (process, log):
        shown(*SUDO, "apt", "install", "-y", deb)
        inside("agent", "id", "-un")
        maps = Path(f"/proc/{process.pid}/maps")
        wait(lambda: "(deleted)" not in maps.read_text(), log)
        wait(lambda: log.read_text().count("nothing to do") == 2, log)
        saved("custom-runtime\n", 'custom-runtime\n    env: ["GREETING=upgraded"]\n')
        wait(lambda: asked("printenv", "GREETING") == "upgraded", log)
        expect(process.poll() is None, "the tray did not survive the upgrade")
        expect("Traceback" not in log.read_text(), log.read_text())
    expect(process.returncode == 0, f"the tray ended with {process.returncode}")


def remove() -> None:
    """Uninstall, and remove the package."""
    shown("companion", "uninstall", "--yes", "--purge")
    shown(*SUDO, "apt", "purge", "-y", NAME)
    os.chdir(HOME)
    for path in sorted(PROJECT.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    PROJECT.rmdir()


def examine(deb: str, rpm: str) -> None:
    """Judge both packages by the tools of their own worlds, and run what is in the rpm."""
    quiet(*SUDO, "apt-get", "install", "-y", "-qq", "lintian", "rpm", "cpio", "rpmlint")
    shown("lintian", "--allow-root", "--fail-on=error", deb)
    shown("rpmlint", "--config", str(CHECKOUT / "installer/linux/rpmlint.toml"), rpm)
    shown("rpm", "--query", "--package", "--requires", rpm)
    shown(*SUDO, "rpm", "--install", "--test", "--nodeps", rpm)
    place = HOME / "rpm"
    place.mkdir()
    os.chdir(place)
    quiet("sh", "-c", f"rpm2cpio {shlex.quote(rpm)} | cpio --extract --make-directories --quiet")
    expect(version() in quiet("usr/bin/companion", "--version"), "what is in the rpm does not run")


@contextlib.contextmanager
def tray() -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """Run the tray on a session bus of its own."""
    log = HOME / "tray.log"
    bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--print-address=1"],
                           stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert bus.stdout is not None
    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus.stdout.readline().strip()}
    with log.open("wb") as out:
        process = subprocess.Popen(["companion", "tray"], env=environment, stdout=out, stderr=out,
                                   stdin=subprocess.DEVNULL, cwd="/")  # fmt: skip
    try:
        wait(lambda: "nothing to do" in log.read_text(), log)
        yield process, log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        bus.terminate()
        say(f"--- tray\n{log.read_text()}")
        log.unlink()


def snapshot() -> State:
    """Return every file that is there, and what it is; root reads them all."""
    told = quiet(*SUDO, sys.executable, "-B", str(Path(__file__)), "--files", str(HOME))
    return dict(line.rsplit("\t", 1) for line in told.split("\0") if line)


def files(home: Path) -> int:
    """Print each file, and what it is."""
    ignored = {str(top / name) for top, names in
               ((Path("/"), IGNORED), (home, IGNORED_AT_HOME)) for name in names}  # fmt: skip
    for top, directories, names in os.walk("/"):
        directories[:] = [
            name for name in directories if f"{top}/{name}".replace("//", "/") not in ignored
        ]
        for name in (*directories, *names):
            path = Path(top, name)
            sys.stdout.write(f"{path}\t{described(path)}\0")
    return 0


def described(path: Path) -> str:
    found = path.lstat()
    mode = f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid}"
    if path.is_symlink():
        return f"{mode} -> {path.readlink()}"
    return f"{mode} {hashlib.sha256(path.read_bytes()).hexdigest()}" if path.is_file() else mode


def engine() -> State:
    """Return what the engine has."""
    listings = {
        "container": ("ps", "--all", "--format", "{{.Names}}"),
        "network": ("network", "ls", "--format", "{{.Name}}"),
        "volume": ("volume", "ls", "--format", "{{.Name}}"),
        "image": ("images", "--all", "--format", "{{.Id}} {{.Repository}}:{{.Tag}}"),
    }
    told = {kind: quiet("podman", *listing).splitlines() for kind, listing in listings.items()}
    return {f"{kind} {name}": "" for kind, names in told.items() for name in names}


def same(before: State, after: State, what: str) -> None:
    lines = [f"- {name}" for name in sorted(before.keys() - after.keys())]
    lines += [f"+ {name} {after[name]}" for name in sorted(after.keys() - before.keys())]
    lines += [f"~ {name}: {before[name]} -> {after[name]}" for name in sorted(before.keys() & after)
              if before[name] != after[name]]  # fmt: skip
    expect(not lines, f"{what} is not as it was:\n" + "\n".join(lines))
    say(f"{what} is as it was before the installation: {len(after)} entries")


def inside(expected: str, *command: str) -> None:
    """Expect what a command in the sandbox prints, by plain ssh."""
    told = shown("ssh", "coder.sandbox", *command)
    expect(told.strip() == expected, f"{' '.join(command)} printed {told!r}")


def asked(*command: str) -> str:
    return quiet("ssh", "coder.sandbox", *command, check=False).strip()


def saved(old: str, new: str) -> None:
    config = PROJECT / "agent.yaml"
    text = config.read_text()
    expect(old in text, f"agent.yaml has no {old!r}")
    config.write_text(text.replace(old, new, 1))


def wait(condition: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + 90
    while not condition():
        expect(time.monotonic() < end, f"it did not happen within 90 s:\n{log.read_text()}")
        time.sleep(0.2)


def version() -> str:
    text = (CHECKOUT / "companion/__init__.py").read_text()
    found = re.search(r'__version__ = "(.*)"', text)
    return found[1] if found else "none"


def shown(*argv: str, check: bool = True) -> str:
    """Run a command, and show it and what it prints."""
    say(f"\n$ {shlex.join(argv)}")
    out = quiet(*argv, check=check, says=True)
    say(out.rstrip())
    return out


def quiet(*argv: str, check: bool = True, says: bool = False) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT if says else subprocess.PIPE, text=True,
                          timeout=900, check=False)  # fmt: skip
    expect(
        not check or done.returncode == 0, f"{shlex.join(argv)}: {done.stdout[-3000:]}{done.stderr}"
    )
    return done.stdout


def expect(held: bool, otherwise: str) -> None:
    if not held:
        raise BrokenError(otherwise)


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(files(Path(sys.argv[2])) if sys.argv[1] == "--files" else main(*sys.argv[1:]))
