"""Dev containers: what a repository's devcontainer.json asks for that a sandbox can give it.

The repository's author wrote the file. So nothing is taken from it that reaches the desktop:
`initializeCommand`, mounts, arguments of the engine, privileges, variables of the desktop. What is
left out is named with its place and the reason. Format: containers.dev/implementors/json_reference.
"""

import posixpath
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from companion.config import devcontainer_features as known
from companion.config.values import is_hidden, split_port
from companion.errors import Position
from editors.jsonc_tree import Element, JsoncError, Node, parse, position

FILES = (".devcontainer/devcontainer.json", ".devcontainer.json")
"""Where the file lies in a repository; else in one directory below .devcontainer/."""
MOST_CHARACTERS = 100_000

_SHOWN = 100
"""Characters of a text of the file that a message repeats."""
_MOST = 50
"""Values of a kind that are taken, and values left out that are named."""
_LONGEST = 4000
_ONCE = ("onCreateCommand", "updateContentCommand", "postCreateCommand")
"""Commands that run after a sandbox was created, in their order."""
_OWN = re.compile(r"\$\{(containerWorkspaceFolder|(?:local|container)WorkspaceFolderBasename)\}")
_FOREIGN = re.compile(
    r"\$\{(localEnv|env|containerEnv|localWorkspaceFolder|devcontainerId)\b[^}]*\}?"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}\Z")
_Take = Callable[[str, Element], str]
"""Takes over one element, by its key, and says what it did."""


@dataclass(frozen=True, slots=True)
class Note:
    """A value of the file: what became of it, or why nothing did."""

    place: Position
    key: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.key}: {self.what}"


@dataclass(frozen=True, slots=True)
class Command:
    """Shell text that the agent runs in the workdir, once after the sandbox was created."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class DevContainer:
    """What a sandbox takes over, and what it does not; in the order of the file."""

    file: str
    """Its path, relative to the repository."""
    packages: tuple[str, ...] = ()
    """Debian packages."""
    ports: tuple[int, ...] = ()
    """TCP ports of servers inside."""
    commands: tuple[Command, ...] = ()
    """In the order in which they run."""
    environment: tuple[tuple[str, str], ...] = ()
    taken: tuple[Note, ...] = ()
    left: tuple[Note, ...] = ()


class UnreadableError(ValueError):
    """The file is no devcontainer.json; `place` says where."""

    def __init__(self, place: Position, what: str) -> None:
        super().__init__(f"{place}: {what}")
        self.place, self.what = place, what


def read(file: str, text: str, workdir: str) -> DevContainer:
    """Return what a sandbox takes over from a devcontainer.json.

    Args:
        file: its path for messages, relative to the repository.
        text: its content, JSON with comments.
        workdir: where the repository is in the sandbox.

    Raises:
        UnreadableError: the text is too long, does not parse, or is not an object.
    """
    if len(text) > MOST_CHARACTERS:
        what = f"longer than {MOST_CHARACTERS:,} characters"
        raise UnreadableError(Position(file, 1, 1), what)
    try:
        root = parse(text)
    except JsoncError as error:
        raise UnreadableError(Position(file, error.line, error.column), error.what) from None
    if root is None or root.kind != "{":
        place = Position(file, *position(text, root.start if root else 0))
        raise UnreadableError(place, "the file must hold one object")
    reader = _Reader(file, text, workdir)
    last = {element.key: element for element in root.elements}  # of duplicates, the last counts
    for element in sorted(last.values(), key=lambda one: one.start):
        reader.member(element)
    return reader.result()


class _NotTakenError(ValueError):
    """Why one value is not taken over."""


@dataclass(slots=True)
class _Reader:
    """Collects what is taken, and notes on the rest."""

    file: str
    text: str
    workdir: str
    packages: dict[str, None] = field(default_factory=dict)
    ports: dict[int, None] = field(default_factory=dict)
    commands: dict[str, list[Command]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    taken: list[Note] = field(default_factory=list)
    left: list[Note] = field(default_factory=list)

    def result(self) -> DevContainer:
        more = len(self.left) - _MOST
        left = self.left[:_MOST]
        if more > 0:
            left.append(Note(self.left[_MOST].place, "…", f"and {more} more values"))
        return DevContainer(
            file=self.file,
            packages=tuple(self.packages),
            ports=tuple(self.ports),
            commands=tuple(c for key in _ONCE for c in self.commands.get(key, ())),
            environment=tuple(self.environment.items()),
            taken=tuple(self.taken),
            left=tuple(left),
        )

    def member(self, element: Element) -> None:
        """Take over one top-level member, or note why not."""
        key, node = element.key or "", element.node
        if key in known.SILENT:
            return
        if key == "image":
            self._try(element, key, self._image)
        elif key == "features":
            self._each(element, key, self._feature)
        elif key in {"forwardPorts", "appPort"}:
            self._each(element, key, self._port)
        elif key in {"containerEnv", "remoteEnv"}:
            self._each(element, key, self._variable)
        elif key in _ONCE and node.kind == "{":
            self._each(element, key, self._command)
        elif key in _ONCE:
            self._try(element, key, self._command)
        else:
            self._note(self.left, element, key, known.LEFT.get(key, "no key that Companion knows"))

    def _each(self, element: Element, key: str, take: _Take) -> None:
        """Take over each element of a container; a single value stands for an array of it."""
        if not element.node.kind:
            self._try(element, key, take)
        for inner in element.node.elements:
            self._try(inner, f"{key}.{_shown(inner.key)}" if inner.key is not None else key, take)

    def _try(self, element: Element, key: str, take: _Take) -> None:
        try:
            what = take(key, element)
        except _NotTakenError as error:
            self._note(self.left, element, key, str(error))
        else:
            self._note(self.taken, element, key, what)

    def _note(self, notes: list[Note], element: Element, key: str, what: str) -> None:
        place = Position(self.file, *position(self.text, element.start))
        notes.append(Note(place, _shown(key), what))

    def _image(self, _key: str, element: Element) -> str:
        packages = known.of_image(_line(element.node))
        why = "the sandbox keeps the image of its runtime, a Debian"
        if not packages:
            raise _NotTakenError(why)
        self._note(self.left, element, "image", f"{why}, where versions are Debian's")
        return self._install(packages)

    def _feature(self, _key: str, element: Element) -> str:
        options = {
            inner.key or "": inner.node.scalar
            for inner in element.node.elements
            if not inner.node.kind
        }
        found = known.of_feature(element.key or "", options)
        if found.why:
            raise _NotTakenError(found.why)
        if found.version:
            whose = "Debian's own" if found.packages else "the one of the agent's image"
            why = f"version {_shown(found.version)} is not chosen: it is {whose}"
            self._note(self.left, element, f"features.{_shown(element.key or '')}", why)
        return self._install(found.packages) if found.packages else "is there already"

    def _install(self, packages: tuple[str, ...]) -> str:
        if len({*self.packages, *packages}) > _MOST:
            raise _NotTakenError(f"more than {_MOST} packages")
        self.packages.update(dict.fromkeys(packages))
        return f"installs {', '.join(packages)}"

    def _port(self, key: str, element: Element) -> str:
        port = _port_number(element.node, key)
        if len({*self.ports, port}) > _MOST:
            raise _NotTakenError(f"more than {_MOST} ports")
        self.ports[port] = None
        return f"`companion port` forwards {port}"

    def _variable(self, _key: str, element: Element) -> str:
        name, value = element.key or "", _line(element.node)
        if not _NAME.match(name):
            raise _NotTakenError("not the name of a variable")
        if name in known.OWN_VARIABLES or name.upper().startswith(known.OWN_PREFIXES):
            raise _NotTakenError(
                "how the agent and its sandbox work is not the repository's to say"
            )
        value = self._own(value)
        if "$" in value:
            raise _NotTakenError("refers to another variable")
        if len({*self.environment, name}) > _MOST:
            raise _NotTakenError(f"more than {_MOST} variables")
        self.environment[name] = value
        return f"{name}={value}"

    def _command(self, key: str, element: Element) -> str:
        node = element.node
        if node.kind == "[":
            words = [self._own(_line(inner.node)) for inner in node.elements]
            text = shlex.join(words)
        elif node.kind:
            raise _NotTakenError("neither a text nor a list of words")
        else:
            text = self._own(_script(node))
        if not text.strip():
            raise _NotTakenError("no command")
        commands = self.commands.setdefault(key.partition(".")[0], [])
        if len(commands) == _MOST:
            raise _NotTakenError(f"more than {_MOST} commands")
        commands.append(Command(key, text))
        return "runs once in the sandbox, as the agent: " + text.replace("\n", "; ")

    def _own(self, text: str) -> str:
        """Replace what the format calls the workdir; refuse what only the desktop knows."""
        if found := _FOREIGN.search(text):
            raise _NotTakenError(f"refers to {found[0]}, which nothing here resolves")

        def value(match: re.Match[str]) -> str:
            is_name = match[1].endswith("Basename")
            return posixpath.basename(self.workdir) if is_name else self.workdir

        return _OWN.sub(value, text)


def _line(node: Node) -> str:
    """Return a text of one visible line."""
    text = _script(node)
    if "\n" in text:
        raise _NotTakenError("has more than one line")
    return text


def _script(node: Node) -> str:
    """Return a text of visible lines."""
    if node.kind or not isinstance(node.scalar, str):
        raise _NotTakenError("not a text")
    if len(node.scalar) > _LONGEST:
        raise _NotTakenError(f"longer than {_LONGEST} characters")
    if any(is_hidden(char) for char in node.scalar if char not in "\n\t"):
        raise _NotTakenError("has characters that cannot be seen")
    return node.scalar


def _port_number(node: Node, key: str) -> int:
    value = node.scalar
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    host, _, inner = text.rpartition(":")
    if host and key == "forwardPorts" and host not in {"localhost", "127.0.0.1"}:
        raise _NotTakenError("a port of another container; add it as an external service")
    if not re.fullmatch(r"[0-9]{1,5}", inner):
        raise _NotTakenError("not a port")
    try:
        return split_port(inner)[2]
    except ValueError as error:
        raise _NotTakenError(str(error)) from None


def _shown(text: str) -> str:
    """Return a text of the file for a message: short, and only visible characters."""
    clean = "".join("?" if is_hidden(char) else char for char in text)
    return clean if len(clean) <= _SHOWN else f"{clean[:_SHOWN]}…"
