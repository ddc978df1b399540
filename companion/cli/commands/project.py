"""Commands about a project's files: init, validate, generate, plan, plugins."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from companion import plugins as catalogue
from companion.cli.commands.trust import offer, page, power_facts
from companion.cli.output import DIFFERENCES, Result, ask, comment, table
from companion.cli.targets import project_of
from companion.config import decode
from companion.engine import shared_lists
from companion.engine.model import ClusterChoice
from companion.errors import Code, CompanionError, ConfigError, Problem
from companion.project import discovery
from companion.reconcile import generate as generating
from companion.reconcile import host_facts
from companion.reconcile.compare import preview
from companion.reconcile.comparison import Comparison
from companion.reconcile.steps import Change
from companion.reconcile.trust import Review, agree, judge, review
from companion.reconcile.validate import check
from companion.system import assets, files, ignore_file, links, project_paths
from companion.system.paths import Paths

_WORDS = {
    Change.NONE: "nothing to do",
    Change.RELOAD: "reload: no container restarts, SSH sessions stay",
    Change.RECREATE: "recreate: containers are replaced, images stay",
    Change.REBUILD: "rebuild: an image is built while the old sandbox runs, then swapped in",
}
_IGNORE = ".gitignore"
_BUILDS_ON = {"local-coding-ssh": "local-coding"}
"""Example → the one whose files it extends or overrides."""


def init(arguments: Namespace) -> Result:
    """Scaffold a project; never overwrites a file, but adds to a .gitignore."""
    from companion.operations import json_schema as schemas  # noqa: PLC0415 - start-up time is a budget

    target: Path = arguments.directory or arguments.directory_option
    discovery.require_encodable(files.real(target))
    if arguments.example:
        tree = _example(arguments.example)
    else:
        name = arguments.name or _ask("name of the agent", "coder")
        runtime = arguments.runtime or _ask("runtime", "codex")
        tree = _scaffold(name, runtime)
    tree = {name: schemas.pointed(name, content) for name, content in tree.items()}
    root = files.real(target)
    works = {
        str(Path(name).parent / "work") for name in tree if name.endswith(project_paths.CONFIG_NAME)
    }
    for name in (*tree, *works, project_paths.BUILD_NAME):
        links.unlinked(root, root / name)
    ours = {Path(name).parts[0] for name in tree if "/" in name} - {"work"}
    ignored = tree.pop(_IGNORE, b"").decode().splitlines()
    taken = [
        name for name in (*tree, *sorted(ours), project_paths.FLEET_NAME) if (root / name).exists()
    ]
    if taken:
        raise CompanionError(
            f"{target / taken[0]} exists already", "choose another directory", code=Code.EXISTS
        )
    for name, content in tree.items():
        files.make_dir((target / name).parent)
        if not name.endswith("/"):
            files.write(target / name, content, files.READABLE)
    was_there = ignore_file.add(root / _IGNORE, ignored)
    for ref in discovery.agent_refs(discovery.project(target)):
        work = links.unlinked(root, ref.directory / "work")
        files.make_dir(work)
        files.give_to(work, host_facts.DEFAULT_UID)
        check(Paths.of_user(), ref)
    schemas.write(discovery.project(target))
    agree(Paths.of_user(), review(Paths.of_user(), discovery.project(target)))
    made = sorted(tree if was_there else {*tree, _IGNORE})
    more = f", and completed its {_IGNORE}" if was_there else ""
    lines = [f"created {', '.join(made)} in {target}{more}"]
    if (root / ".git").exists():
        lines.append(
            "its agent sees ./work only; to have one work on this repository: companion run"
        )
    lines.append(f"next: companion -C {quote(str(target))} up")
    return Result(text="\n".join(lines), data={"directory": str(target), "files": made})


def validate(arguments: Namespace) -> Result:
    """Check everything, write nothing."""
    home, project = project_of(arguments)
    refs, found = discovery.agent_refs(project), []
    problems: list[Problem] = []
    for ref in refs:
        try:
            found.append(check(home, ref))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    files_read = [ref.named(ref.config) for ref in refs]
    if project.fleet.exists():
        files_read.insert(0, project_paths.FLEET_NAME)
    return Result(
        text="\n".join(f"{name} is valid" for name in files_read),
        data={
            "agents": [{"agent": c.config.name, "variables": sorted(c.uses)} for c in found],
        },
        problems=tuple(dict.fromkeys(p for c in found for p in (*c.missing, *c.login_problems))),
    )


def generate(arguments: Namespace) -> Result:
    """Write .build/ only, as `up` would: it asks as `up` does."""
    if arguments.kubernetes is not None:
        from companion.cli.commands import kubernetes  # noqa: PLC0415 - start-up time is a budget

        return kubernetes.generate(arguments)
    home, project = project_of(arguments)
    offer(home, project, "Write it", arguments)
    build = generating.generate(home, project, comment)
    return Result(text=f"wrote {build}", data={"directory": str(build)})


def plan(arguments: Namespace) -> Result:
    """Show what `up` would do."""
    home, project = project_of(arguments)
    lists = shared_lists.of_one_look()
    refs = discovery.agent_refs(project)
    found = [preview(home, ref, lists=lists, on=arguments.on) for ref in refs]
    reviewed = Review(project, tuple(judge(home, seen.checked) for seen in found))
    lines = [line for seen in found for line in _told(seen, alone=len(found) == 1)]
    both = zip(found, reviewed.verdicts, strict=True)
    return Result(
        text="\n".join((*lines, *page(reviewed), *_agreeing(reviewed))),
        data={
            "trusted": reviewed.is_trusted,
            "digest": reviewed.digest,
            "agents": [_facts(seen) | {"powers": power_facts(one)} for seen, one in both],
        },
        code=DIFFERENCES if arguments.check and any(seen.plan.steps for seen in found) else 0,
        problems=tuple(
            dict.fromkeys(p for s in found for p in (*s.checked.missing, *s.checked.login_problems))
        ),
    )


def _told(seen: Comparison, *, alone: bool) -> Iterator[str]:
    yield ("" if alone else f"{seen.checked.config.name}: ") + _summary(seen)
    yield from (f"  {step.describe()}: {step.why}" for step in seen.plan.steps)
    choice = seen.engine.choice
    if seen.was_asked and isinstance(choice, ClusterChoice) and choice.caveat:
        yield f"  {choice.caveat}"
    if not seen.was_asked:
        yield f"  {seen.engine.choice.label} is not asked what it holds before you agree to it"


def _agreeing(reviewed: Review) -> Iterator[str]:
    """Yield how a script agrees to what is shown, if that is needed."""
    if not reviewed.is_trusted:
        yield "to agree without a question:"
        yield f"  {reviewed.command}"


def _summary(seen: Comparison) -> str:
    was, engine = seen.was_on, seen.engine.choice
    if was and not was.is_same(engine):
        way = f"move from {was.label} to {engine.label}"
        return f"{way}: images are built first, volumes stay behind"
    there = map(seen.observed.container, (s.name for s in seen.desired.target.services))
    if seen.plan.steps and not any(there):
        return "start: nothing exists yet; missing images are built first"
    return _WORDS[seen.plan.change]


def _facts(seen: Comparison) -> dict[str, object]:
    return {
        "agent": seen.checked.config.name,
        "change": seen.plan.change.name.lower(),
        "asked": seen.was_asked,
        "egress": seen.checked.egress,
        "steps": [
            {"step": s.describe(), "code": s.why.reason, "reason": s.why.text}
            for s in seen.plan.steps
        ],
    }


def plugins(_: Namespace) -> Result:
    """List what an agent.yaml may name."""
    rows = [("runtime", p.name, p.summary) for p in catalogue.RUNTIMES]
    rows += [("feature", p.name, p.summary) for p in catalogue.FEATURES]
    return Result(
        text=table(rows, wraps=True),
        data=[{"kind": kind, "name": name, "summary": summary} for kind, name, summary in rows],
    )


def schema(arguments: Namespace) -> Result:
    """Print a schema, or write both where the project's files point to."""
    from companion.operations import json_schema as schemas  # noqa: PLC0415 - start-up time is a budget

    if not arguments.write:
        found = schemas.fleet() if arguments.fleet else schemas.agent()
        return Result(text=schemas.text(found).rstrip(), data=found, is_verbatim=True)
    written = [str(path) for path in schemas.write(project_of(arguments)[1])]
    return Result(
        text=f"wrote {', '.join(written)}" if written else "the schemas are up to date",
        data=written,
    )


def _example(name: str) -> dict[str, bytes]:
    root = assets.assets_directory() / "examples"
    known = sorted(p.name for p in root.iterdir() if p.is_dir())
    if name not in known:
        raise CompanionError(f"there is no example '{name}'", decode.suggest(name, known))
    base = _BUILDS_ON.get(name)
    # pip compiles the modules of an installed package.
    there = sorted((root / name).rglob("*"))
    found = (p for p in there if p.is_file() and "__pycache__" not in p.parts)
    own = {p.relative_to(root / name).as_posix(): p.read_bytes() for p in found}
    return _example(base) | own if base else own


def _scaffold(name: str, runtime: str) -> dict[str, bytes]:
    template = assets.assets_directory() / "scaffold"
    text = (template / "agent.yaml").read_text(encoding="utf-8")
    text = text.replace("@NAME@", name).replace("@RUNTIME@", runtime)
    decode.agent(text)
    return {"agent.yaml": text.encode(), ".gitignore": b".build/\n.env\n"}


def _ask(question: str, default: str) -> str:
    if not sys.stdin.isatty():
        return default
    return ask(f"{question} [{default}]: ") or default
