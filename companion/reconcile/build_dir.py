"""Build directory: the sandbox as files in `.build/AGENT/`, for users, compose and builds."""

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
from companion.spec.containers import File
from companion.spec.identity import Role
from companion.system import files, links, locks, trees
from companion.system.paths import Paths
from companion.system.project_paths import COMPOSE_NAME, ENV_EXAMPLE_NAME


def write(home: Paths, checked: Checked, desired: Desired) -> None:
    """Write an agent's directory in `.build/`, after checking that the sandbox is closed.

    Paths in the compose file are absolute, so that a compose tool can combine those of a fleet.
    """
    target, build = desired.target, checked.ref.build(checked.config.name)
    contexts = {role: str(build / role) for role in (Role.GATEWAY, Role.AGENT)}
    contexts[Role.NET] = contexts[Role.GATEWAY]
    mounted = str(checked.agent_paths(home).root)
    text = compose.render(checked.project.id, target, contexts, mounted)
    broken = tuple(closed_check.violations(text, target.services))
    if broken:
        raise CompanionError(f"refusing to write an open sandbox: {'; '.join(broken)}")
    all_files = [File(COMPOSE_NAME, text.encode())]
    for image in target.images:
        all_files += [replace(f, path=f"{image.role}/{f.path}") for f in image.files]
    all_files += [replace(f, path=f"gateway-config/{f.path}") for f in desired.gateway_files]
    tree = {file.path: (file.content, file.mode) for file in all_files}
    files.write(checked.agent_paths(home).compose, text)
    links.unlinked(checked.project.directory, build)
    if not trees.equals(build, tree):
        trees.replace(build, tree)
    if files.read_text(build.parent / ".gitignore") is None:
        files.write(build.parent / ".gitignore", "*\n", files.READABLE)


def clear(project: Project, agents: Collection[str]) -> None:
    """Remove the generated files of agents that are not in `agents`."""
    for path in links.unlinked(project.directory, project.build).iterdir():
        if path.is_dir() and path.name not in agents:
            trees.remove(path)


def write_env_example(home: Paths, project: Project) -> None:
    """Update .env.example, unless the user replaced it, by a link for example.

    It lists the variables of all agents in the project. As each agent is recorded first, the last
    one to write includes all others.
    """
    path = project.directory / ENV_EXAMPLE_NAME
    with locks.exclusive(home.project(project.id).example_lock):
        records = store.of_project(home, project).agents.values()
        uses = {name: use for record in records for name, use in record.config.uses.items()}
        text, old = env_file.example(uses), files.read_text(path)
        is_ours = old is None or old.splitlines()[:1] == text.splitlines()[:1]
        if uses and is_ours and not files.is_link(path):
            files.write(path, text, files.READABLE)
