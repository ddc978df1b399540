"""What lies in `.build/`? The sandbox as files, for people, compose tools and builds."""

from dataclasses import replace

from companion import files, invariants
from companion.check import Checked
from companion.config import env_file
from companion.desired import Desired
from companion.errors import CompanionError
from companion.paths import COMPOSE_NAME, ENV_EXAMPLE_NAME
from companion.render import compose
from companion.services import File, Role


def write(checked: Checked, desired: Desired) -> None:
    """Write `.build/` and .env.example, after a check that the result really is closed."""
    agent, contexts = (
        checked.config.name,
        {role: f"./{checked.config.name}/{role}" for role in Role},
    )
    contexts[Role.NET] = contexts[Role.GATEWAY]
    target = desired.target
    text = compose.render(checked.project.id, target, contexts, desired.volumes)
    broken = tuple(invariants.violations(text, target.services))
    if broken:
        raise CompanionError(f"refusing to write an open sandbox: {'; '.join(broken)}")
    whole = [File(COMPOSE_NAME, text.encode()), File(".gitignore", b"*\n")]
    for image in target.images:
        whole += [replace(f, path=f"{agent}/{image.role}/{f.path}") for f in image.files]
    whole += [replace(f, path=f"{agent}/gateway-config/{f.path}") for f in desired.gateway_files]
    tree = {file.path: (file.content, file.mode) for file in whole}
    if not files.tree_equals(checked.project.build, tree):
        files.replace_tree(checked.project.build, tree)
    if checked.uses:
        _write_env_example(checked)


def _write_env_example(checked: Checked) -> None:
    """Keep .env.example current, unless the user wrote one that is not ours."""
    path = checked.project.directory / ENV_EXAMPLE_NAME
    text, old = env_file.example(checked.uses), files.read_text(path)
    if old is None or old.splitlines()[:1] == text.splitlines()[:1]:
        files.write(path, text, files.READABLE)
