#!/usr/bin/env python3
"""Show the whole product on this machine with real parts: run by `make run`.

Works in its own directory and home, which it removes at the end; the images stay, so the second run
is quick. Exits with 0 only if everything that it reports really happened.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPANION = Path(sys.executable).parent / "companion"
ALIAS = "coder.sandbox"
PROMPT = "run: id -un && cat /etc/hostname"

PROBES = (
    ("a host that is not listed, by TLS", "curl -sS -m 5 https://example.com/"),
    ("a host that is not listed, by HTTP", "curl -sSf -m 5 http://example.com/"),
    ("an address of the internet", "curl -sSf -m 5 http://1.1.1.1/"),
    ("the metadata service of clouds", "curl -sSf -m 5 http://169.254.169.254/"),
    ("another port of this machine", "curl -sSf -m 5 http://host.containers.internal:22/"),
    ("another name server", "exec 3<>/dev/udp/198.51.100.7/5353; echo x >&3; echo x >&3"),
    ("IPv6", "curl -sS -m 5 -6 http://[2606:4700:4700::1111]/"),
    ("becoming root", "touch /etc/owned"),
    ("the gateway's secrets", "cat /companion/secrets/MODEL_API_KEY"),
)


class DemoError(Exception):
    """Something did not happen as it should."""


@dataclass(frozen=True)
class Stage:
    """The demo's own home and project, and the environment of every command in it."""

    home: Path
    project: Path
    environment: dict[str, str]

    def companion(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run([str(COMPANION), "-C", str(self.project), *arguments], check=check)

    def ssh(self, command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        argv = ["ssh", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", ALIAS, command]
        return self.run(argv, check=False, timeout=timeout)

    def run(
        self, argv: list[str], *, check: bool, timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            argv, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise DemoError(f"{' '.join(argv)} failed:\n{done.stderr}{done.stdout}")
        return done


def main() -> int:
    begin = time.monotonic()
    try:
        with stage() as here:
            steps = (start, pin, work, probe, live)
            for number, step in enumerate(steps, 1):
                say(f"\n[{number}/{len(steps) + 1}] {(step.__doc__ or '').splitlines()[0]}")
                step(here)
            say(f"\n[{len(steps) + 1}/{len(steps) + 1}] Clean up.")
    except DemoError as error:
        say(f"\nFAILED: {error}")
        return 1
    except KeyboardInterrupt:
        say("\ninterrupted")
        return 130
    say(f"\nAll of it happened, in {time.monotonic() - begin:.0f} s.")
    return 0


def start(here: Stage) -> None:
    """Start the shipped example: companion init, a key in .env, companion up."""
    here.companion("init", str(here.project), "--example", "local-coding-ssh")
    key = f"sk-demo-{secrets.token_hex(12)}"
    env = here.project / ".env"
    env.touch(mode=0o600)
    env.write_text(f"MODEL_API_KEY={key}\n")
    show("agent.yaml", (here.project / "agent.yaml").read_text())
    argv = [str(COMPANION), "-C", str(here.project), "up", "--yes"]
    code = subprocess.run(argv, env=here.environment, stdin=subprocess.DEVNULL, check=False)
    if code.returncode:
        raise DemoError("companion up failed")
    say(here.companion("status").stdout.rstrip())


def pin(here: Stage) -> None:
    """See the SSH entry that was written, in a home of the demo's own."""
    show("~/.ssh/config", (here.home / ".ssh/config").read_text())
    resolved = here.run(["ssh", "-G", ALIAS], check=True).stdout
    wanted = ("hostname", "port", "user ", "stricthostkeychecking", "userknownhostsfile")
    show(f"ssh -G {ALIAS}", "\n".join(x for x in resolved.splitlines() if x.startswith(wanted)))
    expect("stricthostkeychecking true" in resolved, "the host key is not pinned")


def work(here: Stage) -> None:
    """Let Codex work in the sandbox, against a model server on this machine."""
    with model_server(here) as log:
        say(f"$ ssh {ALIAS} codex exec '{PROMPT}'")
        command = f"cd work && codex exec --skip-git-repo-check '{PROMPT}' </dev/null"
        done = here.ssh(command, timeout=180)
        show("codex says", done.stdout.strip())
        expect(done.returncode == 0, f"codex failed:\n{done.stderr[-2000:]}")
        expect("The command said:" in done.stdout and "agent" in done.stdout, "no tool call ran")
        arrived = {json.loads(line)["authorization"] for line in log.read_text().splitlines()}
    held = here.ssh("grep -o 'dummy-token' ~/.codex/config.toml; env").stdout
    key = (here.project / ".env").read_text().strip().partition("=")[2]
    say(f"the agent holds:  {held.splitlines()[0]}")
    say(f"the server sees:  {', '.join(sorted(arrived))}")
    expect(arrived == {f"Bearer {key}"}, "the server did not see the real key")
    expect(key not in held, "the agent sees the real key")


def probe(here: Stage) -> None:
    """Try to get out of the sandbox."""
    for title, command in PROBES:
        begin = time.monotonic()
        done = here.ssh(command)
        seconds = time.monotonic() - begin
        answer = (done.stderr.strip() or done.stdout.strip() or "refused").splitlines()[-1]
        say(f"  {title:36} refused in {seconds:.1f} s   {answer[:70]}")
        expect(done.returncode != 0, f"{title} could be reached: {done.stdout}")
        expect(seconds < 3, f"{title} was not refused at once")


def live(here: Stage) -> None:
    """Save agent.yaml while companion watches: first a change, then a mistake."""
    config = here.project / "agent.yaml"
    good = config.read_text()
    with watcher(here) as log:
        changed = good + '    env: ["GREETING=hello-from-a-save"]\n'
        begin = time.monotonic()
        save(config, changed)
        wait_for(lambda: "hello-from-a-save" in here.ssh("echo $GREETING").stdout, 60, log)
        say(f"from save to SSH with the new variable: {time.monotonic() - begin:.1f} s")
        save(config, good.replace("runtime: codex", "runtime: codexx"))
        wait_for(lambda: "there is no runtime 'codexx'" in log.read_text(), 20, log)
        expect(here.ssh("true").returncode == 0, "the sandbox did not survive a broken save")
        say("after the broken save the sandbox still answers")
        wait_for(lambda: "after the save" in log.read_text(), 10, log)
        show("companion watch", log.read_text())


@contextmanager
def stage(engine: str = "") -> Iterator[Stage]:
    """Make home and project, and leave nothing of them; the engine's images stay."""
    top = Path(tempfile.mkdtemp(prefix="companion-demo-", dir="/var/tmp"))
    home, project, bin_dir = top / "home", top / "local-coding-ssh", top / "bin"
    for directory in (home / ".ssh", home / ".config/companion", bin_dir):
        directory.mkdir(parents=True, mode=0o700)
    for name in ("ssh", "scp", "sftp"):
        # OpenSSH takes the home directory from the password database, not from $HOME.
        wrapper = bin_dir / name
        real = shutil.which(name) or name
        wrapper.write_text(f'#!/bin/sh\nexec {real} -F "{home}/.ssh/config" "$@"\n')
        wrapper.chmod(0o755)
    keep = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
    keep |= {"HOME": str(home), "PATH": f"{bin_dir}:{os.environ['PATH']}"}
    here = Stage(home, project, keep)
    try:
        base_images(here, engine or first_that_answers())
        yield here
    finally:
        if (project / "agent.yaml").exists():
            with suppress(DemoError):
                here.companion("down", "--volumes", check=False)
        shutil.rmtree(top, ignore_errors=True)


def first_that_answers() -> str:
    engine = next((e for e in ("docker", "podman") if answers(e)), "")
    expect(bool(engine), "neither docker nor podman answers; see `podman info`")
    return engine


def base_images(here: Stage, engine: str) -> None:
    """Write settings that name local stand-ins where no registry answers."""
    say(f"engine: {engine}")
    script = [str(ROOT / "scripts/base-images.sh"), engine]
    done = subprocess.run(script, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          check=False)  # fmt: skip
    expect(done.returncode == 0, "there is no base image; the reason stands above")
    (here.home / ".config/companion/settings.yaml").write_text(done.stdout)


def answers(engine: str) -> bool:
    if not shutil.which(engine):
        return False
    argv = [engine, "version", "--format", "{{.Client.Version}}" if engine == "podman" else
            "{{.Server.Version}}"]  # fmt: skip
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


@contextmanager
def model_server(here: Stage) -> Iterator[Path]:
    """Run the example's model server on the address that the gateway knows."""
    status = json.loads(here.companion("status", "--json").stdout)["data"]["agents"][0]
    log = here.project / "requests.jsonl"
    key = (here.project / ".env").read_text().strip().partition("=")[2]
    child = subprocess.Popen(
        [sys.executable, "model_server.py", "--host", status["host_address"]],
        cwd=here.project, env=here.environment | {"MODEL_API_KEY": key},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        say(child.stdout.readline().strip())
        yield log
    finally:
        child.terminate()
        child.wait(timeout=10)


@contextmanager
def watcher(here: Stage) -> Iterator[Path]:
    """Run `companion watch`; yields the file that holds what it says."""
    log = here.home / "watch.log"
    with log.open("w") as out:
        child = subprocess.Popen([str(COMPANION), "watch"], env=here.environment,
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # fmt: skip
    try:
        wait_for(lambda: "nothing to do" in log.read_text(), 30, log)
        yield log
    finally:
        child.terminate()
        child.wait(timeout=10)


def save(path: Path, text: str) -> None:
    """Save as editors do: a new file renamed over the old one."""
    new = path.with_name(".agent.yaml.tmp")
    new.write_text(text)
    new.replace(path)


def wait_for(condition: Callable[[], bool], seconds: float, log: Path) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise DemoError(f"it did not happen within {seconds:.0f} s:\n{log.read_text()}")
        time.sleep(0.05)


def expect(held: bool, otherwise: str) -> None:
    if not held:
        raise DemoError(otherwise)


def show(title: str, text: str) -> None:
    say(f"--- {title}")
    say(re.sub(r"(?m)^", "    ", text.rstrip()))


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
