"""Installation: how this program came here, how it is updated, and how it is removed; pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

NAME = "companion-sandbox"
"""What the package is called at the index and in systems' package managers."""


class Kind(StrEnum):
    """A way of installation, for scripts; a value never changes its meaning."""

    CHECKOUT = "checkout"
    PIP = "pip"
    UV_PIP = "uv-pip"
    PIPX = "pipx"
    UV_TOOL = "uv-tool"
    PACKAGE = "package"
    """A package of the system: deb, rpm and the like."""
    BUNDLE = "bundle"
    """A bundle with an interpreter of its own, unpacked by hand."""
    MACOS = "macos-app"
    WINDOWS = "windows-installer"


@dataclass(frozen=True, slots=True)
class Owner:
    """The package of the system that has our files."""

    manager: str
    """The program that manages packages: apt, dnf, zypper, pacman."""
    package: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be observed of an installation."""

    program: str
    """The interpreter that runs it, or its own program if it is a bundle."""
    prefix: str
    """The directory of its Python environment, or of the bundle."""
    top: frozenset[str] = frozenset()
    """The names of the files at the top of that."""
    installer: str = ""
    """Who says to have written our files (INSTALLER): pip, uv, or nobody."""
    source: str = ""
    """The directory that an editable installation points to (direct_url.json)."""
    owner: Owner | None = None
    frozen: bool = False
    platform: str = "linux"
    """As in sys.platform."""


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation: what it is, and what to do to update and to remove it."""

    kind: Kind
    name: str
    """What it is, in words."""
    program: str
    update: str
    """A command in backquotes, or what to do."""
    removal: str


_PACKAGED: Mapping[str, tuple[str, str, str]] = {
    "apt": ("a deb package", "apt install ./{0}_*.deb", "apt remove {0}"),
    "dnf": ("an rpm package", "dnf install ./{0}-*.rpm", "dnf remove {0}"),
    "zypper": ("an rpm package", "zypper install ./{0}-*.rpm", "zypper remove {0}"),
    "pacman": ("a package of pacman", "pacman -Syu {0}", "pacman -R {0}"),
}
"""Manager → what its packages are, how a file of a newer one is installed, how one is removed."""
_MARKS: Mapping[str, tuple[Kind, str, str, str]] = {
    "uv-receipt.toml": (Kind.UV_TOOL, "a tool of uv", "uv tool upgrade", "uv tool uninstall"),
    "pipx_metadata.json": (Kind.PIPX, "an application of pipx", "pipx upgrade", "pipx uninstall"),
}
"""A file that a manager of tools leaves in an environment → the kind, in words, its commands."""


def of(facts: Facts) -> Installation:
    """Return what an installation is."""
    if facts.owner:
        return _package(facts, facts.owner)
    if facts.frozen:
        return _bundle(facts)
    if facts.source:
        return _checkout(facts)
    for mark, (kind, name, update, remove) in _MARKS.items():
        if mark in facts.top:
            return Installation(
                kind, name, facts.program, f"`{update} {NAME}`", f"`{remove} {NAME}`"
            )
    what = f"a package in the Python environment {facts.prefix}"
    if facts.installer == "uv":
        python = f"--python {shlex.quote(facts.program)}"
        update = f"`uv pip install {python} --upgrade {NAME}`"
        removal = f"`uv pip uninstall {python} {NAME}`"
        return Installation(Kind.UV_PIP, what, facts.program, update, removal)
    pip = f"{shlex.quote(facts.program)} -P -m pip"
    update, removal = f"`{pip} install --upgrade {NAME}`", f"`{pip} uninstall {NAME}`"
    return Installation(Kind.PIP, what, facts.program, update, removal)


def _package(facts: Facts, owner: Owner) -> Installation:
    unknown = ("a package of the system", "{0}", "{0}")
    what, update, remove = _PACKAGED.get(owner.manager, unknown)
    if owner.manager != "pacman":
        update = f"download the newer package, and run `sudo {update}`"
    else:
        update = f"`sudo {update}`"
    package = owner.package
    return Installation(
        Kind.PACKAGE,
        f"{what} ({package})",
        facts.program,
        update.format(package),
        f"`sudo {remove.format(package)}`",
    )


def _bundle(facts: Facts) -> Installation:
    if facts.platform == "darwin":
        app = next((p for p in PurePath(facts.program).parents if p.suffix == ".app"), facts.prefix)
        update = f"replace {app} by the one in the newer disk image"
        return Installation(
            Kind.MACOS, f"the application {app}", facts.program, update, f"move {app} to the trash"
        )
    if facts.platform == "win32":
        return Installation(
            Kind.WINDOWS,
            f"installed in {facts.prefix}",
            facts.program,
            "run the newer installer",
            "choose Companion in Settings, Apps, Installed apps",
        )
    update = f"replace {facts.prefix} by the directory in the newer archive"
    name = f"a bundle in {facts.prefix}"
    return Installation(Kind.BUNDLE, name, facts.program, update, f"remove {facts.prefix}")


def _checkout(facts: Facts) -> Installation:
    """Return an editable installation; an environment inside the checkout is the Makefile's."""
    name = f"the checkout {facts.source}"
    source = shlex.quote(facts.source)
    update = f"`git -C {source} pull && make -C {source} setup`"
    within = PurePath(facts.source) in PurePath(facts.prefix).parents
    pip = f"`{shlex.quote(facts.program)} -P -m pip uninstall {NAME}`"
    removal = f"`make -C {source} clean`" if within else pip
    return Installation(Kind.CHECKOUT, name, facts.program, update, removal)
