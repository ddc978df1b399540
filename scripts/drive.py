#!/usr/bin/env python3
"""Drive the whole product as a user would, from the command line only: run by `make test-long`.

Works in its own home, like the demo, on the given engine. Each step checks its own promise; the
first one that fails ends the run with exit code 1.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from demo import DemoError, Stage, expect, model_server, save, say, stage, wait_for, watcher

ALIAS = "coder.sandbox"
Edit = Callable[[str], str]
OUT = "curl -sS -o /dev/null -m 10"


def main(engine: str) -> int:
    begin = time.monotonic()
    steps = (
        come_up,
        log_in,
        keep_in,
        attack,
        change,
        roll_back,
        follow,
        go_down,
        run_a_fleet,
        leave,
    )
    try:
        with stage(engine) as here:
            for number, step in enumerate(steps, 1):
                say(f"[{number}/{len(steps)}] {(step.__doc__ or '').splitlines()[0]}")
                step(here, engine)
    except (DemoError, subprocess.TimeoutExpired) as error:
        say(f"\nFAILED: {error}")
        return 1
    say(f"\nThe whole drive on {engine} took {time.monotonic() - begin:.0f} s.")
    return 0


def come_up(here: Stage, engine: str) -> None:
    """Start a project: init, doctor, validate, generate, up, status, list."""
    here.companion("init", str(here.project), "--example", "local-coding-ssh")
    edit(here, lambda text: f"container_runtime: {engine}\n{text}")
    (here.project / ".env").write_text("MODEL_API_KEY=sk-drive-0001\n")
    healthy(here)
    here.companion("validate")
    here.companion("generate")
    expect((here.project / ".build").is_dir(), "generate wrote no .build")
    here.companion("up", "--yes")
    expect(agents(here)[0]["state"] == "running", f"status says {agents(here)}")
    expect(str(here.project) in here.companion("list").stdout, "list does not name the project")
    healthy(here)


def log_in(here: Stage, _: str) -> None:
    """Log in by ssh, exec and proxy, copy a file each way, add a key, rotate all keys."""
    expect(here.ssh("id -un").stdout.strip() == "agent", "ssh gives another user, or none")
    inside = here.companion("exec", "coder", "--", "id", "-un").stdout.strip()
    expect(inside == "agent", "exec gives another user, or none")
    here.companion("ssh", "coder", "--", "true")
    failed = here.companion("ssh", "coder", "--", "exit 7", check=False)
    expect(failed.returncode == 7, "the exit code of a command inside is lost")
    (here.home / "there").write_text("there and back\n")
    here.run(["scp", "-q", str(here.home / "there"), f"{ALIAS}:moved"], check=True)
    here.run(["scp", "-q", f"{ALIAS}:moved", str(here.home / "back")], check=True)
    expect((here.home / "back").read_text() == "there and back\n", "scp lost the file")
    before = fingerprint(here)
    here.companion("keys", "rotate", "coder")
    expect(fingerprint(here) != before, "the host key is the same after a rotation")
    expect(here.ssh("true").returncode == 0, "no login with the new keys")


def keep_in(here: Stage, _: str) -> None:
    """Refuse egress that is not listed, allow what is, add the key on the way."""
    refused = here.ssh(f"{OUT} http://example.com/ -f")
    expect(refused.returncode != 0, "a host that is not listed was reached")
    with model_server(here) as log:
        here.ssh(f"{OUT} http://host.containers.internal:8000/v1/models")
        seen = [json.loads(line)["authorization"] for line in log.read_text().splitlines()]
        expect(seen[-1:] == ["Bearer sk-drive-0001"], f"the service saw {seen}")


def attack(here: Stage, _: str) -> None:
    """Attack the sandbox from inside; everything holds."""
    here.companion("audit", "coder")


def change(here: Stage, _: str) -> None:
    """Apply a change of every class, each as small as it should be."""
    here.companion("plan", "--check")
    applied(here, "none", lambda text: f"# a comment\n{text}")
    applied(here, "reload", lambda text: text.replace(
        "egress: listed", "egress: {mode: listed, allow: [example.com]}"))  # fmt: skip
    applied(here, "recreate", lambda text: f'{text}    env: ["GREETING=hello"]\n')
    expect(here.ssh("echo $GREETING").stdout.strip() == "hello", "the new variable is not there")
    applied(here, "rebuild", lambda text: f'{text}    commands: ["touch /etc/rebuilt"]\n')
    expect(here.ssh("test -e /etc/rebuilt").returncode == 0, "the new image is not there")
    here.companion("restart")
    expect(here.ssh("test -e moved").returncode == 0, "the home did not outlive the changes")


def roll_back(here: Stage, _: str) -> None:
    """Refuse a mistake; bring back what ran where a build or a start fails."""
    good = (here.project / "agent.yaml").read_text()
    broken = (
        good.replace("runtime: codex", "runtime: codexx"),
        good.replace("touch /etc/rebuilt", "false"),
        good.replace("GREETING=hello", "GREETING=bye") + "    entrypoint_hooks: [hook.sh]\n",
    )
    hook = here.project / "hook.sh"
    hook.write_text("#!/bin/bash\nexit 1\n")
    hook.chmod(0o755)
    for text in broken:
        save(here.project / "agent.yaml", text)
        failed = here.companion("up", check=False)
        expect(failed.returncode == 1, f"up ended with {failed.returncode}:\n{failed.stderr}")
        expect("Traceback" not in failed.stderr, failed.stderr)
        expect(here.ssh("echo $GREETING").stdout.strip() == "hello", "what ran is not back")
    save(here.project / "agent.yaml", good)
    here.companion("up")
    here.companion("plan", "--check")


def follow(here: Stage, _: str) -> None:
    """Apply a save while companion watches; pause, and resume."""
    config = here.project / "agent.yaml"
    with watcher(here) as log:
        save(config, config.read_text().replace("GREETING=hello", "GREETING=saved"))
        wait_for(lambda: here.ssh("echo $GREETING").stdout.strip() == "saved", 60, log)
    here.companion("pause")
    here.companion("resume")
    expect(bool(here.companion("logs", "coder").stdout), "logs shows nothing")


def go_down(here: Stage, engine: str) -> None:
    """Stop, and come back with the same home."""
    here.companion("down")
    expect(not held(here, engine, "ps", "-aq"), "containers stayed")
    here.companion("up")
    expect(here.ssh("test -e moved").returncode == 0, "the home did not outlive `down`")
    here.companion("remove", str(here.project), "--volumes")
    expect(not held(here, engine, "volume", "ls", "-q"), "volumes stayed")


def run_a_fleet(here: Stage, engine: str) -> None:
    """Run the fleet: both agents, one of them, each on its own."""
    fleet = replace(here, project=here.home / "fleet")
    fleet.companion("init", str(fleet.project), "--example", "multi-agent")
    (fleet.project / ".env").write_text("GITHUB_TOKEN=drive\n")
    config = fleet.project / "fleet.yaml"
    shared = f"shared:\n  container_runtime: {engine}\n"
    save(config, config.read_text().replace("shared:\n", shared))
    fleet.companion("up", "--yes")
    states = {one["agent"]: one["state"] for one in agents(fleet)}
    expect(states == {"coder": "running", "reviewer": "running"}, f"status says {states}")
    for name in states:
        shown = fleet.companion("ssh", name, "--", "id", "-un").stdout.strip()
        expect(shown == "agent", f"no login to {name}")
    fleet.companion("down", "reviewer")
    states = {one["agent"]: one["state"] for one in agents(fleet)}
    expect(states["coder"] == "running" != states["reviewer"], f"status says {states}")


def leave(here: Stage, engine: str) -> None:
    """Uninstall: nothing of companion stays on the engine or in the home."""
    here.companion("uninstall", "--yes", "--purge")
    for kind in ("ps -aq", "network ls -q", "volume ls -q"):
        expect(not held(here, engine, *kind.split()), f"`{engine} {kind}` still shows ours")
    images = here.run([engine, "images", "-q", "--filter", "label=dev.companion.image"], check=True)
    expect(not images.stdout, f"`{engine} images` still shows ours")
    config = here.home / ".ssh/config"
    expect(
        not config.exists() or "companion" not in config.read_text(), "~/.ssh/config has our line"
    )
    for left in (".local/share/companion", ".local/state/companion"):
        expect(not (here.home / left).exists(), f"~/{left} stayed")


def applied(here: Stage, wanted: str, edited: Edit) -> None:
    """Edit agent.yaml; the plan must be of the wanted class, and be done after `up`."""
    edit(here, edited)
    planned = json.loads(here.companion("plan", "--json").stdout)["data"]["agents"][0]["change"]
    expect(planned == wanted, f"the plan is {planned} instead of {wanted}")
    begin = time.monotonic()
    here.companion("up")
    say(f"      {wanted}: {time.monotonic() - begin:.1f} s")
    here.companion("plan", "--check")


def healthy(here: Stage) -> None:
    done = here.companion("doctor", check=False)
    expect(done.returncode == 0, f"doctor says:\n{done.stdout}{done.stderr}")


def edit(here: Stage, edited: Edit) -> None:
    config = here.project / "agent.yaml"
    save(config, edited(config.read_text()))


def fingerprint(here: Stage) -> str:
    port = re.search(r"(?m)^port (\d+)", here.run(["ssh", "-G", ALIAS], check=True).stdout)
    argv = ["ssh-keyscan", "-t", "ed25519", "-p", port[1] if port else "", "127.0.0.1"]
    lines = here.run(argv, check=True).stdout.splitlines()
    return next(line for line in lines if not line.startswith("#"))  # since OpenSSH 10 also there


def agents(here: Stage) -> list[dict[str, Any]]:
    said = here.companion("status", "--json").stdout
    found: list[dict[str, Any]] = json.loads(said)["data"]["agents"]
    return found


def held(here: Stage, engine: str, *listing: str) -> list[str]:
    argv = [engine, *listing, "--filter", "label=dev.companion.project"]
    return here.run(argv, check=True).stdout.split()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
