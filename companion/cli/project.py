"""Commands about a project's files: init, validate, generate, plan, plugins."""

import sys
from argparse import Namespace
from pathlib import Path

from companion import files, observe, paths, reconcile
from companion import plugins as catalogue
from companion.check import check
from companion.cli.output import Result, table
from companion.config import load
from companion.errors import CompanionError
from companion.paths import Paths
from companion.plan import Change
from companion.plan import Plan as PlanValue

DIFFERENCES = 4
_WORDS = {
    Change.NONE: "nothing to do",
    Change.RELOAD: "reload: no container restarts, SSH sessions stay",
    Change.RECREATE: "recreate: containers are replaced, images stay",
    Change.REBUILD: "rebuild: an image is built while the old sandbox runs, then swapped in",
}


def init(arguments: Namespace) -> Result:
    """Scaffold a project; never overwrites a file."""
    target: Path = arguments.directory or arguments.directory_option
    if arguments.example:
        tree = _example(arguments.example)
    else:
        name = arguments.name or _ask("name of the agent", "coder")
        runtime = arguments.runtime or _ask("runtime", "codex")
        tree = _scaffold(name, runtime)
    taken = [name for name in tree if (target / name).exists()]
    if taken:
        raise CompanionError(f"{target / taken[0]} exists already", "choose another directory")
    for name, content in tree.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            files.write(target / name, content, files.READABLE)
    (target / "work").mkdir(exist_ok=True)
    files.give_to(target / "work", observe.DEFAULT_UID)
    check(Paths.of_user(), observe.project(target))
    return Result(
        text=f"wrote {', '.join(sorted(tree))} in {target}; next: companion -C {target} up",
        data={"directory": str(target), "files": sorted(tree)},
    )


def validate(arguments: Namespace) -> Result:
    """Check everything, write nothing."""
    checked = check(Paths.of_user(), observe.project(arguments.directory_option))
    return Result(
        text=f"{paths.CONFIG_NAME} is valid",
        data={"agent": checked.config.name, "variables": sorted(checked.uses)},
        problems=checked.missing,
    )


def generate(arguments: Namespace) -> Result:
    """Write .build/ only."""
    build = reconcile.generate(Paths.of_user(), arguments.directory_option)
    return Result(text=f"wrote {build}", data={"directory": str(build)})


def plan(arguments: Namespace) -> Result:
    """Say what `up` would do."""
    seen = reconcile.look(Paths.of_user(), arguments.directory_option)
    steps = _steps(seen.plan)
    egress = seen.checked.config.egress.mode
    lines = [_WORDS[seen.plan.change], *(f"  {step}: {reason}" for step, reason in steps)]
    if egress == "open":
        lines.append("egress is open: the agent may reach any public host on 443 and 80")
    return Result(
        text="\n".join(lines),
        data={
            "change": seen.plan.change.name.lower(),
            "egress": egress,
            "steps": [{"step": step, "reason": reason} for step, reason in steps],
        },
        code=DIFFERENCES if arguments.check and steps else 0,
        problems=seen.checked.missing,
    )


def plugins(_: Namespace) -> Result:
    """List what an agent.yaml may name."""
    rows = [("runtime", p.name, p.summary) for p in catalogue.RUNTIMES]
    rows += [("feature", p.name, p.summary) for p in catalogue.FEATURES]
    return Result(
        text=table(rows),
        data=[{"kind": kind, "name": name, "summary": summary} for kind, name, summary in rows],
    )


def _steps(value: PlanValue) -> list[tuple[str, str]]:
    return [(step.describe(), step.reason) for step in value.steps]


def _example(name: str) -> dict[str, bytes]:
    root = observe.assets_directory() / "examples"
    known = sorted(p.name for p in root.iterdir() if p.is_dir())
    if name not in known:
        raise CompanionError(f"there is no example '{name}'", load.suggest(name, known))
    found = (p for p in sorted((root / name).rglob("*")) if p.is_file())
    return {p.relative_to(root / name).as_posix(): p.read_bytes() for p in found}


def _scaffold(name: str, runtime: str) -> dict[str, bytes]:
    template = observe.assets_directory() / "scaffold"
    text = (template / "agent.yaml").read_text(encoding="utf-8")
    text = text.replace("@NAME@", name).replace("@RUNTIME@", runtime)
    load.agent(text)
    return {"agent.yaml": text.encode(), ".gitignore": b".build/\n.env\n"}


def _ask(question: str, default: str) -> str:
    if not sys.stdin.isatty():
        return default
    return input(f"{question} [{default}]: ").strip() or default
