"""What lies in `.build/AGENT/`? The sandbox as files, for people, compose tools and builds."""

from collections.abc import Collection
from dataclasses import replace

from companion.config import env_file
from companion.errors import CompanionError
from companion.project import store
from companion.project.model import Project
from companion.reconcile import closed_check
from companion.reconcile.desired import Desired
from companion.reconcile.validate import Checked
from companion.render import compose
from companion.spec.containers import File, Role
from companion.system import files, locks
from companion.system.paths import COMPOSE_NAME, ENV_EXAMPLE_NAME, Paths


def write(home: Paths, checked: Checked, desired: Desired) -> None:
    """Write an agent's part of `.build/`, after a check that the result really is closed.

    Paths in the compose file are absolute: several of a fleet may be given to a compose tool at
    once.
    """
    target, build = desired.target, checked.ref.build(checked.config.name)
    contexts = {role: str(build / role) for role in (Role.GATEWAY, Role.AGENT)}
    contexts[Role.NET] = contexts[Role.GATEWAY]
    mounted = str(checked.agent_paths(home).root)
    text = compose.render(checked.project.id, target, contexts, mounted)
    broken = tuple(closed_check.violations(text, target.services))
    if broken:
        raise CompanionError(f"refusing to write an open sandbox: {'; '.join(broken)}")
    whole = [File(COMPOSE_NAME, text.encode())]
    for image in target.images:
        whole += [replace(f, path=f"{image.role}/{f.path}") for f in image.files]
    whole += [replace(f, path=f"gateway-config/{f.path}") for f in desired.gateway_files]
    tree = {file.path: (file.content, file.mode) for file in whole}
    if build.parent.is_symlink():
        raise CompanionError(f"{build.parent} is a symbolic link", "remove it: it is ours to write")
    if not files.tree_equals(build, tree):
        files.replace_tree(build, tree)
    if files.read_text(build.parent / ".gitignore") is None:
        files.write(build.parent / ".gitignore", "*\n", files.READABLE)


def clear(project: Project, agents: Collection[str]) -> None:
    """Remove what was generated for agents that are not among `agents`."""
    for path in project.build.iterdir():
        if path.is_dir() and path.name not in agents:
            files.remove_tree(path)


def write_env_example(home: Paths, project: Project) -> None:
    """Keep .env.example current, unless the user wrote one that is not ours.

    It names what all agents of the project use; who remembered that last, writes it last.
    """
    path = project.directory / ENV_EXAMPLE_NAME
    with locks.exclusive(home.project(project.id).example_lock):
        records = store.of_project(home, project).agents.values()
        uses = {name: use for record in records for name, use in record.config.uses.items()}
        text, old = env_file.example(uses), files.read_text(path)
        if uses and (old is None or old.splitlines()[:1] == text.splitlines()[:1]):
            files.write(path, text, files.READABLE)
