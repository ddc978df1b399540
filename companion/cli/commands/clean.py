"""The command that shows the disk used, and removes what nothing uses: clean."""

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from companion.cli.output import Result, ask, comment, plural, table
from companion.engine.model import EngineChoice
from companion.errors import Code, CompanionError, Problem
from companion.operations import disk
from companion.operations.disk import DiskUse, Unused
from companion.system.paths import Paths
from companion.traffic.words import size

_FOUND = list[tuple[EngineChoice, DiskUse]]


def clean(arguments: Namespace) -> Result:
    """Show what engines store of ours; remove what nothing uses, if the user agrees."""
    home = Paths.of_user()
    found, problems = _look(home)
    shown = "\n".join(line for choice, use in found for line in _lines(choice, use))
    candidates = [(choice, _chosen(use, arguments)) for choice, use in found]
    count = sum(len(unused) for _, unused in candidates)
    if arguments.dry_run or not count:
        end = "nothing was removed" if count else "nothing to remove"
        return Result(f"{shown}\n{end}".lstrip(), _data(found, ()), problems=problems)
    if not arguments.yes:
        comment(shown)
        if not _agrees(candidates, arguments):
            return Result("nothing was changed", _data(found, ()), problems=problems)
    gone = [one for choice, unused in candidates
            for one in disk.remove(home, choice, unused, comment)]  # fmt: skip
    left = count - len(gone)
    text = f"removed {_counted(gone)}" + (f"; {left} kept, in use by now" if left else "")
    return Result(text, _data(found, gone), problems=problems)


def _look(home: Paths) -> tuple[_FOUND, tuple[Problem, ...]]:
    found: _FOUND = []
    problems: list[Problem] = []
    for engine in disk.engines(home):
        if isinstance(engine, CompanionError):
            problems += engine.problems
            continue
        comment(f"measuring what {engine.label} stores")
        try:
            found.append((engine, disk.on(home, engine)))
        except CompanionError as error:
            problems += error.problems
    return found, tuple(problems)


def _chosen(use: DiskUse, arguments: Namespace) -> tuple[Unused, ...]:
    return tuple(one for one in use.unused if one.kind == "image" or arguments.volumes)


def _agrees(
    candidates: Iterable[tuple[EngineChoice, tuple[Unused, ...]]], arguments: Namespace
) -> bool:
    """Ask whether to remove what was shown.

    Raises:
        CompanionError: there is nobody to ask.
    """
    if arguments.as_json or not sys.stdin.isatty():
        raise CompanionError(
            "refusing to remove anything without --yes",
            "run `companion clean --yes`; `--dry-run` only shows what it removes",
            code=Code.CONFIRMATION_REQUIRED,
        )
    every = [one for _, unused in candidates for one in unused]
    return ask(f"Remove {_counted(every)}? [y/N] ").lower() in {"y", "yes"}


def _counted(found: Iterable[Unused]) -> str:
    kinds = [one.kind for one in found]
    counts = ((kinds.count("image"), "image"), (kinds.count("volume"), "volume"))
    return " and ".join(plural(count, kind) for count, kind in counts if count) or "nothing"


def _lines(choice: EngineChoice, use: DiskUse) -> Iterator[str]:
    total = f"{choice.label} stores {size(use.images)} of images of ours"
    yield total + disk.volumes_text(use.volumes)
    if use.sandboxes:
        rows = [(s.name, size(s.images), _amount(s.volumes)) for s in use.sandboxes]
        yield table([("SANDBOX", "OWN LAYERS", "VOLUMES"), *rows])
    counts = ((use.foreign, "image"), (use.foreign_volumes, "volume"))
    if foreign := " and ".join(plural(count, kind) for count, kind in counts if count):
        yield f"{foreign} of projects that you do not have: kept"
    if use.unused:
        unused = ((one.kind, one.name, one.why, _amount(one.size)) for one in use.unused)
        yield table([("UNUSED", "NAME", "WHY", "SIZE"), *unused])
        yield f"to free: up to {size(use.frees)} of images, whose layers may be shared"
        if any(one.kind == "volume" for one in use.unused):
            yield "volumes hold agents' files: only `companion clean --volumes` removes them"


def _amount(amount: int | None) -> str:
    return "?" if amount is None else size(amount)


def _data(found: _FOUND, gone: Iterable[Unused]) -> object:
    engines = [{"engine": choice.label, **asdict(use)} for choice, use in found]
    return {"engines": engines, "removed": [asdict(one) for one in gone]}
