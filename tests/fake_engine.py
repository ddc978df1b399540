"""A container engine in one file, for deaths that a real one takes too long to repeat.

It speaks what companion uses of podman's command line, keeps its world in a file, and refuses
what podman refuses. By what it is called it is podman or docker, each with a world of its own:
`$FAKE_ENGINE`, or `$CONTAINER_HOST` where that is set, and its name make the file's. The key `met`
counts the calls of each kind; `kill` is [kind, n, "before" | "after"]: at the n-th call of a kind
the caller gets a SIGKILL, before or after the call did its work; `hang` makes it silent; `refuse`
names the commands that it refuses; `hold` names those that do their work and then wait until they
are let go, and `held` is what waits now; `says` are
the lines of each build, at once; `vanishing` names networks that are listed and gone when
they are looked at; `follows` has `events` last until its caller ends, as a real engine does;
`taken` are ports that it cannot publish;
`ghost` is the end of a network's name: an address there is held until the network is removed;
`elsewhere` has containers see no file of this machine, and `files` is what was copied into
volumes, `copied` the directories of the last time;
`gather` is [words, n]: calls that begin with the words do their work and then wait until n of them
were made, which `gathered` counts. It is started thousands of times, so it imports little.
"""

import fcntl
import marshal
import os
import sys
import time
from fnmatch import fnmatch

PLACE = os.environ.get("CONTAINER_HOST", "").removeprefix("unix://")
PLACE = PLACE or os.environ.get("FAKE_ENGINE", "")
NAME = os.path.basename(sys.argv[0])
WORLD = f"{PLACE}.{NAME}"
NOUNS = {"image", "network", "volume"}
"""Their second word says what is done."""
NEW = {"calls": [], "containers": {}, "networks": {}, "images": {}, "volumes": [], "met": {},
       "kill": None, "hang": False, "refuse": [], "hold": [], "held": [], "count": 0,
       "follows": False,
       "gather": ["", 0], "gathered": 0}  # fmt: skip


class RefusedError(Exception):
    """The engine says no, and perhaps something of what it was asked for."""

    def __init__(self, why: str, out: str = "") -> None:
        super().__init__(why)
        self.out = out


def main(argv: list[str]) -> int:
    with open(f"{WORLD}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        world = read(WORLD) if os.path.exists(WORLD) else NEW
        if world["hang"]:
            fcntl.flock(lock, fcntl.LOCK_UN)
            time.sleep(1000)
        world["count"] += 1
        kind = " ".join(argv[:2] if argv[0] in NOUNS else argv[:1])
        world["met"][kind] = world["met"].get(kind, 0) + 1
        fatal, number, moment = world["kill"] or ("", 0, "")
        dies = (kind, world["met"][kind]) == (fatal, number)
        if dies and moment == "before":
            save(WORLD, world)
            return die()
        try:
            out = call(world, argv)
            code = 0
        except RefusedError as refused:
            sys.stderr.write(f"Error: {refused}\n")
            out, code = refused.out, 125
        holds = argv[0] in world["hold"]
        world["held"] += [argv[0]] * holds
        gathers = " ".join(argv).startswith(world["gather"][0] or "?")
        world["gathered"] += gathers
        save(WORLD, world)
    if dies:
        return die()
    if gathers and not all_are_there():
        sys.stderr.write("Error: the others did not come\n")
        return 125
    if argv[0] == "build":
        sys.stdout.write("".join(f"{line}\n" for line in world.get("says", [])))
        sys.stdout.flush()
    if holds:
        wait_to_be_let_go(argv[0])
    sys.stdout.write(out)
    if argv[0] == "run" and "--interactive" in argv:
        sys.stdout.flush()
        sys.stdin.read()
    caller = os.getppid()
    while argv[0] == "events" and follows() and os.getppid() == caller:
        time.sleep(0.1)
    return code


def follows() -> bool:
    """Tell whether the stream of events goes on."""
    return bool(read(WORLD)["follows"])


def all_are_there() -> bool:
    """Wait until as many calls as shall gather were made, or nobody shall gather any more."""
    for _ in range(1200):
        world = read(WORLD)
        if not world["gather"][0] or world["gathered"] >= world["gather"][1]:
            return True
        time.sleep(0.05)
    return False


def wait_to_be_let_go(command: str) -> None:
    while command in read(WORLD)["hold"]:
        time.sleep(0.02)
    with open(f"{WORLD}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        world = read(WORLD)
        world["held"].remove(command)
        save(WORLD, world)


def read(file: str) -> dict:
    with open(file, "rb") as kept:
        return marshal.load(kept)


def save(file: str, world: dict) -> None:
    with open(f"{file}.new", "wb") as new:
        marshal.dump(world, new)
    os.replace(f"{file}.new", file)


def as_json(value: object) -> str:
    import json

    return json.dumps(value)


def die() -> int:
    os.kill(os.getppid(), 9)
    return 137


def context_of(world: dict) -> str:
    """Return the selected context; `context` in the world is what `docker context use` said."""
    host = os.environ.get("DOCKER_HOST") or world.get("context", "unix:///var/run/docker.sock")
    docker = {"Host": host, "SkipTLSVerify": False}
    return as_json([{"Endpoints": {"docker": docker}, "TLSMaterial": {}, "Storage": {}}])


def call(world: dict, argv: list[str]) -> str:  # noqa: C901, PLR0912, PLR0915 - a table of commands
    """Do one call and return what it prints."""
    words, options = parse(argv)
    changes = words[0] in {"create", "start", "rm", "rmi", "build"}
    if changes or words[:2] in (["network", "create"], ["network", "rm"], ["network", "connect"]):
        world["calls"].append(words)
    if words[0] in world["refuse"]:
        raise RefusedError(f"{words[0]} is refused")
    match words:
        case ["context", "inspect"] if os.environ.get("DOCKER_CONTEXT", "there") != "there":
            raise RefusedError("context not found")
        case ["system", "connection", "list"]:
            return world.get("connections", "")
        case ["context", "inspect"]:
            return context_of(world)
        case ["version"]:
            return "4.9.0\n"
        case ["--version"]:
            return f"{NAME} 4.9.0\n"
        case ["info"] if options["format"] == ["{{.Store.GraphDriverName}}"]:
            return f"{world.get('storage', 'overlay')}\n"
        case ["info"] if options["format"] == ["{{.SecurityOptions}}"]:
            return f"[name=seccomp,profile=builtin{world.get('mapped', '')}]\n"
        case ["info"] if options["format"] == ["{{.Host.ServiceIsRemote}}"]:
            return f"{str(world.get('elsewhere', False)).lower()}\n"
        case ["info"]:
            return f"{str(world.get('rootless', False)).lower()}\n"
        case ["manifest", "inspect", reference]:  # no registry has anything
            raise RefusedError(f"reading manifest 1 in {reference}: manifest unknown")
        case ["ps"]:
            shown = "Name" if options.get("format") == ["{{.Names}}"] else "Id"
            return lines(c[shown] for c in fitting(world["containers"], options))
        case ["inspect", _] if options.get("format") == ["{{.State.Pid}}"]:
            return "1\n"
        case ["run", _, "/proc/net/fib_trie"]:  # whose image a real engine pulls
            return ""
        case ["run", image, *_]:  # a container of a build's fence
            if image not in world["images"]:
                raise RefusedError(f"{image}: image not known")
            return "waiting\nready\n"
        case ["inspect", *ids]:
            return as_json([found(world, i) for i in ids])
        case ["image", "inspect", *tags] if "format" not in options:
            return as_json([inspected(world["images"][tag]) for tag in tags])
        case ["history", tag]:
            return world["images"][tag].get("history", "")
        case ["volume", "inspect", name] if "format" in options:
            return f"/volumes/{name}\n"
        case ["volume", "inspect", *names]:
            places = world.get("mountpoints", {})
            return as_json(
                [
                    {
                        "Name": n,
                        "Labels": world.get("labeled", {}).get(n),
                        "Mountpoint": places.get(n, ""),
                    }
                    for n in names
                ]
            )
        case ["image", "inspect", *tags]:
            missing = [tag for tag in tags if tag not in world["images"]]
            if missing:
                raise RefusedError(
                    f"{missing[0]}: image not known", lines(t for t in tags if t not in missing)
                )
            return lines(tags)
        case ["images"]:
            return lines(i["tag"] for i in fitting(world["images"], options))
        case ["network", "ls"]:
            vanishing = [] if options.get("filter") else world.get("vanishing", [])
            return lines((*vanishing, *(n["name"] for n in fitting(world["networks"], options))))
        case ["network", "inspect", *names]:
            there = as_json([world["networks"][n] for n in names if n in world["networks"]])
            for gone in (name for name in names if name not in world["networks"]):
                raise RefusedError(
                    f"unable to find network with name or ID {gone}: network not found", there
                )
            return there
        case ["network", "create", name]:
            return network(world, name, options)
        case ["network", "rm", name]:
            users = [c["Name"] for c in world["containers"].values() if name in c["nets"]]
            if users:
                raise RefusedError(f'"{name}" has associated containers with it')
            if world["networks"].pop(name, None) is None:
                raise RefusedError(f"unable to find network with name {name}")
            if name.endswith(world.get("ghost") or "?"):
                world["ghost"] = ""
        case ["network", "connect", name, container]:
            world["containers"][container]["nets"].append(name)
        case ["create", image, *_]:
            return create(world, image, options)
        case ["start", name]:
            start(world, name)
        case ["rm", name]:
            mine = world["containers"].get(name)
            mode = f"container:{mine['Id']}" if mine else "none"
            if any(c["HostConfig"]["NetworkMode"] == mode for c in world["containers"].values()):
                raise RefusedError(f"container {name} has dependent containers")
            world["containers"].pop(name, None)
        case ["import", "-", *tags]:
            tag = tags[0] if tags else f"sha256:{world['count']}"
            world["images"][tag] = {"tag": tag, "labels": {}}
            return f"{tag}\n"
        case ["compose", *_]:
            return f"{NAME} compose {' '.join(argv[1:])}\n"
        case ["unshare", "ip", *_]:
            return world.get("addresses", "")
        case ["build", context]:
            tag = options["tag"][0]
            labels = labels_of(context)
            world["images"][tag] = {"tag": tag, "labels": labels}
        case ["rmi", tag] | ["image", "rm", tag]:
            if any(c["Image"] == tag for c in world["containers"].values()):
                raise RefusedError("image is in use")
            world["images"].pop(tag, None)
        case ["exec", name, *_]:
            if not world["containers"].get(name, {}).get("State", {}).get("Running"):
                raise RefusedError(f"no running container {name}")
        case ["logs", *_]:
            return world.get("said", "")
        case ["volume", "ls"]:
            return lines(volumes(world, options))
        case ["volume", "create", name]:
            if name in world["volumes"]:
                raise RefusedError(f"volume with name {name} already exists: volume already exists")
            world["volumes"] = sorted({*world["volumes"], name})
            world.setdefault("labeled", {})[name] = labelled(options)
        case ["cp", _, "-", target]:
            copy(world, *target.split(":"))
        case ["volume", "rm", *names]:
            world["volumes"] = [name for name in world["volumes"] if name not in names]
            for name in names:
                world.get("files", {}).pop(name, None)
        case ["events"]:
            pass
        case ["manifest", "inspect", name]:
            raise RefusedError(f"reading image {name}: manifest unknown")
        case _:
            raise RefusedError(f"not known here: {argv}")
    return ""


def parse(argv: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Split into words and options; an option of no value is not in this list."""
    flags = {"--all", "--quiet", "--no-trunc", "--force", "--ignore", "--init", "--read-only",
             "--rm", "--detach", "--internal", "--disable-dns", "--interactive", "--force-rm",
             "--follow", "--rootless-netns", "--volumes", "--timestamps"}  # fmt: skip
    words: list[str] = []
    options: dict[str, list[str]] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word.startswith("--") and word != "--version" and not words[3:] and "=" not in word:
            value = "" if word in flags else rest.pop(0)
            options.setdefault(word[2:], []).append(value)
        elif not word.startswith(("--filter=", "--http-proxy=", "--env-host=")):
            words.append(word)
    return words, options


def inspected(image: dict) -> dict:
    """Return an image as `inspect` describes it; its ID is its tag, also where it has none."""
    tag = image["tag"]
    return {
        "Id": tag, "RepoTags": [tag] if ":" in tag else [], "Config": {"Labels": image["labels"]},
        "RootFS": {"Layers": image.get("layers", [tag])}, "Size": image.get("size", 1_000_000),
        "Created": image.get("created", ""),
    }  # fmt: skip


def lines(found: "object") -> str:
    return "".join(f"{one}\n" for one in found)


def fitting(things: dict, options: dict[str, list[str]]) -> list[dict]:
    return [t for t in things.values() if all(fits(t, f) for f in options.get("filter", []))]


def fits(thing: dict, asked: str) -> bool:
    kind, _, text = asked.partition("=")
    if kind == "reference":
        return fnmatch(thing["tag"], text)
    key, _, value = text.partition("=")
    return key in thing["labels"] and value in ("", thing["labels"][key])


def found(world: dict, identity: str) -> dict:
    for container in world["containers"].values():
        if identity in (container["Id"], container["Name"]):
            return container
    raise RefusedError(f"no such container {identity}")


def volumes(world: dict, options: dict[str, list[str]]) -> list[str]:
    """Return the volumes; by the label of our files, those that are named as they are."""
    files = "label=dev.companion.files"
    (asked,) = options.get("filter", [""])
    owner = asked.removeprefix(files).removeprefix("=").replace("/", "_")
    return [
        name for name in world["volumes"] if not asked or (name.startswith(owner) and "." in name)
    ]


def labelled(options: dict[str, list[str]]) -> dict[str, str]:
    return dict(label.split("=", 1) for label in options.get("label", []))


def labels_of(context: str) -> dict[str, str]:
    with open(f"{context}/Dockerfile") as dockerfile:
        found = [line.split()[1:] for line in dockerfile if line.startswith("LABEL")]
    return dict(pair.split("=", 1) for pairs in found for pair in pairs)


def network(world: dict, name: str, options: dict[str, list[str]]) -> str:
    if name in world["networks"]:
        raise RefusedError(f"network name {name} already used")
    subnet = options.get("subnet", ["10.88.7.0/24"])[0]
    if any(n["subnets"][0]["subnet"] == subnet for n in world["networks"].values()):
        raise RefusedError(f"subnet {subnet} is already used on the host or by another config")
    labels = labelled(options)
    world["networks"][name] = {"name": name, "subnets": [{"subnet": subnet}], "labels": labels}
    return f"{name}\n"


def user_namespace(world: dict, options: dict[str, list[str]]) -> str:
    kind, _, name = options.get("userns", [""])[0].partition(":")
    return f"{kind}:{found(world, name)['Id']}" if name else kind


def create(world: dict, image: str, options: dict[str, list[str]]) -> str:
    name, where = options["name"][0], options["network"][0]
    if name in world["containers"]:
        raise RefusedError(f'the container name "{name}" is already in use by {name}')
    if options.get("pull") != ["never"]:
        raise RefusedError("a registry would be asked for what is not here")
    if image not in world["images"]:
        raise RefusedError(f"{image}: image not known")
    if where.startswith("container:"):
        where = f"container:{found(world, where.removeprefix('container:'))['Id']}"
    elif where != "none" and where not in world["networks"]:
        raise RefusedError(f"unable to find network with name or ID {where}")
    mounts = [dict(f.partition("=")[::2] for f in m.split(",")) for m in options.get("mount", [])]
    for mount in (m for m in mounts if m["type"] == "bind"):
        if world.get("elsewhere") or not os.path.exists(mount["source"]):
            raise RefusedError(f"bind source path does not exist: {mount['source']}")
    mine = {mount["source"] for mount in mounts if mount["type"] == "volume"}
    world["volumes"] = sorted({*world["volumes"], *mine})
    labels, identity = labelled(options), f"{name}-{world['count']}"
    world["containers"][name] = {
        "Id": identity, "Name": name, "Image": image, "labels": labels,
        "Config": {"Labels": labels},
        "State": {"Running": False, "Status": "created", "ExitCode": 0, "StartedAt": ""},
        "HostConfig": {"NetworkMode": where, "UsernsMode": user_namespace(world, options)},
        "publish": options.get("publish", []),
        "nets": [] if where.startswith("container:") else [where],
        "mounts": {m["target"]: m["source"] for m in mounts if m["type"] == "volume"},
    }  # fmt: skip
    return f"{identity}\n"


def copy(world: dict, name: str, directory: str) -> None:
    """Unpack an archive into the volumes that a container mounts."""
    import io
    import tarfile

    mounts = found(world, name)["mounts"]
    held, world["copied"] = world.setdefault("files", {}), []
    with tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read())) as archive:
        for entry in archive:
            if entry.isfile() or entry.issym():
                path = os.path.normpath(f"{directory}/{entry.name}")
                mount = next(one for one in mounts if path.startswith(f"{one}/"))
                world["copied"].append(os.path.basename(mount))
                content = b"-> " + entry.linkname.encode()
                if entry.isfile():
                    content = archive.extractfile(entry).read()
                held.setdefault(mounts[mount], {})[path.removeprefix(f"{mount}/")] = content


def start(world: dict, name: str) -> None:
    if name.endswith(world.get("forget", "?")):
        world["images"].clear()
        world["forget"] = "?"
    if name.startswith("companion-probe"):
        nothing = 'exec: "/probe": stat /probe: no such file or directory'
        raise RefusedError(world.get("probe", nothing))
    container = found(world, name)
    for port in world.get("taken", []):
        if any(f":{port}:" in one for one in container["publish"]):
            what = f"failed to bind host port 127.0.0.1:{port}/tcp: address already in use"
            raise RefusedError(f"driver failed programming external connectivity: {what}")
    for network in container["nets"]:
        if network.endswith(world.get("ghost") or "?"):
            address = world["networks"][network]["subnets"][0]["subnet"].partition("/")[0]
            held = f"requested ip address {address} is already allocated to container ID 26d00b2"
            raise RefusedError(f"IPAM error: {held}")
    mode = container["HostConfig"]["NetworkMode"]
    if mode.startswith("container:"):
        holder = found(world, mode.removeprefix("container:"))
        if not holder["State"]["Running"]:
            raise RefusedError(f"{holder['Name']} is not running")
    seconds = world["count"]
    now = f"2026-01-01T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.000000+00:00"
    container["State"] = {"Running": True, "Status": "running", "ExitCode": 0, "StartedAt": now}
