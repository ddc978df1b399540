"""Dockerfile and build context of the agent's image.

Layers are ordered from rarely to often changed: the packages of every image, the runtime's
installation, the config's packages, the user, the plugins' commands, the sandbox CA, and last the
project's own hooks and home files.
"""

import json
import shlex
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from companion.render import environment, mcp_clients
from companion.sandbox.model import Sandbox
from companion.spec.containers import File, Image
from companion.spec.identity import ATTENTION, LIB, Role
from editors import zed

_COPIED = ("root-hooks", "hooks", "home", mcp_clients.DIRECTORY)
# What coding agents take for granted, and sshd, which starts only where it is configured. So
# all images on one base image share this layer, and the runtime's installation on top of it.
_PACKAGES = (
    *("bash", "ca-certificates", "curl", "fd-find", "git", "jq", "less", "make"),
    *("openssh-client", "openssh-server", "procps"),
    *("python-is-python3", "python3", "python3-pip", "python3-venv", "ripgrep", "tmux"),
)
# Installing openssh-server generates host keys; a key in an image would be shared by all.
_AFTERWARDS = " /etc/ssh/ssh_host_* && ln -sf /usr/bin/fdfind /usr/local/bin/fd"

_USER = """\
RUN set -eu; \\
    if id -u {user} >/dev/null 2>&1 && [ "$(id -u {user})" != {uid} ]; then \\
      echo "the base image has a user {user} with another uid than {uid}" >&2; exit 1; fi; \\
    group=$(getent group {uid} | cut -d: -f1); \\
    if [ -z "$group" ]; then groupadd -g {uid} {user}; \\
    elif [ "$group" != {user} ]; then groupmod -n {user} "$group"; fi; \\
    name=$(getent passwd {uid} | cut -d: -f1); \\
    if [ -z "$name" ]; then useradd -m -u {uid} -g {uid} -s /bin/bash {user}; \\
    elif [ "$name" != {user} ]; then usermod -l {user} -d {home} -m -s /bin/bash "$name"; fi; \\
    mkdir -p {home} && chown {uid}:{uid} {home}
"""


def render(sandbox: Sandbox, scripts: tuple[File, ...]) -> Image:
    """Return the agent's image with its complete build context.

    On a cluster, equal images of a project's agents are one: pushed once, and pulled once.
    """
    context = (*scripts, *_context(sandbox))
    text = "".join(_lines(sandbox, {file.path.split("/")[0] for file in context}))
    return Image(
        name="-".join(_owner(sandbox).values()),
        role=Role.AGENT,
        files=(File("Dockerfile", text.encode()), *context),
        arguments=(),
    )


def run(command: str) -> str:
    """Return a RUN instruction in exec form, which keeps Dockerfile syntax in `command` inert."""
    return f"RUN {json.dumps(['/bin/sh', '-ec', command])}\n"


def _lines(sandbox: Sandbox, parts: set[str]) -> Iterator[str]:
    program, uid = sandbox.program, sandbox.host.uid
    yield f"FROM {sandbox.host.image(program.base_image)}\n"
    # First, so that leftovers of a failed build can be recognized as ours.
    yield "LABEL dev.companion.image=1\nUSER root\n"
    yield from map(run, (_installed(_PACKAGES, _AFTERWARDS), *_further(program.packages)))
    yield from map(run, (*program.install, *_further(sandbox.contribution.packages)))
    yield _USER.format(user=program.user, uid=uid, home=program.home)
    if points := _mount_points(sandbox):
        names, make = " ".join(map(shlex.quote, points)), f"install -d -o {uid} -g {uid}"
        yield run(f'for point in {names}; do [ -e "$point" ] || {make} "$point"; done')
    yield from (run(command.text) for command in sandbox.contribution.commands)
    yield from map(run, mcp_clients.commands(sandbox))
    if sandbox.gateway:
        yield f"COPY companion-sandbox.crt {environment.CA_FILE}\nRUN update-ca-certificates\n"
    yield f"COPY entrypoint.sh {LIB}/entrypoint.sh\n"
    yield f"COPY attention.sh {ATTENTION}\nCOPY tmux.conf /etc/tmux.conf\n"
    # First in its directory: others there may add to PATH.
    yield "COPY profile.sh /etc/profile.d/00-companion.sh\n"
    if sandbox.ssh:
        yield f"COPY shell.sh {LIB}/shell\nRUN usermod -s {LIB}/shell {program.user}\n"
    if _speaks_acp(sandbox):
        yield f"COPY acp {zed.PROGRAM_IN_SANDBOX}\n"
    yield from (f"COPY {name}/ {LIB}/{name}/\n" for name in _COPIED if name in parts)
    labels = (f"dev.companion.{key}={name}" for key, name in _owner(sandbox).items())
    yield f"LABEL {' '.join(labels)}\n"
    # A base image's own locale is kept.
    yield f"USER {uid}:{uid}\nWORKDIR {program.home}\nENV LANG=${{LANG:-C.UTF-8}}\n"
    # Where root starts, the entrypoint gives this PATH to the agent alone.
    path = "COMPANION_SET_PATH" if sandbox.contribution.root_hooks else "PATH"
    yield f'ENV {path}="{":".join(environment.programs(program.home))}:$PATH"\n'
    root = ("--root-hooks", str(uid)) if sandbox.contribution.root_hooks else ()
    gate = () if sandbox.gateway else ("--no-gate",)
    words = ("/bin/bash", f"{LIB}/entrypoint.sh", *root, *gate)
    yield f"ENTRYPOINT {json.dumps(words)}\n"


def _owner(sandbox: Sandbox) -> dict[str, str]:
    """Return whose the image is: the project's, or the agent's alone."""
    own = {} if sandbox.is_on_cluster else {"agent": sandbox.agent}
    return {"project": sandbox.project} | own


def _installed(packages: Iterable[str], afterwards: str = "") -> str:
    """Return the command that installs Debian packages."""
    names = " ".join(map(shlex.quote, dict.fromkeys(packages)))
    return (
        f"apt-get update && apt-get install -y --no-install-recommends -- {names}"
        f" && rm -rf /var/lib/apt/lists/*{afterwards}"
    )


def _further(packages: Iterable[str]) -> Iterator[str]:
    """Yield the command that installs the packages which no image has anyway, if there are any."""
    if missing := [name for name in packages if name not in _PACKAGES]:
        yield _installed(missing)


def _mount_points(sandbox: Sandbox) -> tuple[str, ...]:
    """Return the directories that must be the agent's, outer ones first.

    These are the volumes that it may write to, because docker gives a new volume the owner of the
    directory in the image, and root if there is none. Directories above a mount in its home lie in
    the home volume, where an engine would make them for root.
    """
    home, points = PurePosixPath(sandbox.program.home), set()
    for mount in sandbox.mounts:
        target = PurePosixPath(mount.target)
        points |= {above for above in target.parents if home in above.parents}
        if mount.is_volume and not mount.read_only and target != home:
            points.add(target)
    return tuple(map(str, sorted(points)))


def _context(sandbox: Sandbox) -> Iterator[File]:
    if _speaks_acp(sandbox):
        command = " ".join(map(shlex.quote, sandbox.program.acp_command))
        yield File("acp", f"#!/bin/sh\nexec {command}\n".encode(), 0o755)
    if sandbox.gateway:
        yield File("companion-sandbox.crt", sandbox.host.ca_certificate.encode())
    hooks = {"root-hooks": sandbox.contribution.root_hooks, "hooks": sandbox.contribution.hooks}
    for directory, files in hooks.items():
        for index, hook in enumerate(files):
            path = f"{directory}/{index:02}-{hook.path.rsplit('/', 1)[-1]}"
            yield from (File(path, f.content) for f in sandbox.files_of(hook))
    yield from mcp_clients.files(sandbox)
    yield from (File(f"home/{f.path}", f.content, f.mode) for f in _home(sandbox))


def _speaks_acp(sandbox: Sandbox) -> bool:
    """Tell whether editors can reach the agent, and have something to start."""
    return bool(sandbox.ssh and sandbox.program.acp_command)


def _home(sandbox: Sandbox) -> Iterator[File]:
    """Yield the agent's home files: the plugins' and Zed's, overridden by the project's own."""
    own = (File(path, text.encode()) for path, text in sandbox.program.home_files)
    files = {f.path: f for f in own}
    files |= {f.path: File(f.path, f.text.encode()) for f in sandbox.contribution.home}
    if _speaks_acp(sandbox):
        text = zed.settings_of_sandbox(sandbox.agent)
        files[zed.SETTINGS_IN_HOME] = File(zed.SETTINGS_IN_HOME, text.encode())
    for overlay in sandbox.contribution.overlays:
        files |= {f.path: f for f in sandbox.files_of(overlay)}
    yield from files.values()
