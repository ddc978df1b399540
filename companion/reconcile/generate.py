"""Generate: writes what `up` would write into a project, without an engine."""

from dataclasses import replace
from pathlib import Path

from companion.project import discovery, store
from companion.project.agent_lock import agent_lock
from companion.project.model import Project
from companion.reconcile import authority, build_dir, trust
from companion.reconcile.allocate import reserve
from companion.reconcile.desire import desired_of
from companion.reconcile.progress import Progress
from companion.reconcile.validate import check
from companion.system.paths import Paths


def generate(home: Paths, project: Project, progress: Progress = lambda _: None) -> Path:
    """Write `.build/` as `up` would, without an engine; return its path.

    Raises:
        CompanionError: the files are not valid, or open more than their user agreed to: editors
            and ssh learn of every agent that is recorded.
    """
    authority.authority(home, progress)  # its certificate is part of what is checked
    all_checked = [check(home, ref) for ref in discovery.agent_refs(project)]
    for checked in all_checked:
        trust.require(home, checked)
    for checked in all_checked:
        with agent_lock(checked.agent_paths(home), progress):
            record = reserve(home, checked, None, progress)
            summary = checked.summary
            if record.engine:  # a sandbox may run: what it is stays recorded until `up` changes it
                summary = replace(record.config, uses=summary.uses)
            record = replace(record, config=summary)
            store.write(checked.agent_paths(home), record)
            build_dir.write(home, checked, desired_of(home, checked, record))
    build_dir.write_env_example(home, project)
    store.register(home.project(project.id), project.directory)
    build_dir.clear(project, {checked.config.name for checked in all_checked})
    return project.build
