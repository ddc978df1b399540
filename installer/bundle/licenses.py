"""Write the licenses of what a bundle contains into its directory `licenses`.

Usage: licenses.py BUNDLE (run by the Python of the environment that was frozen)
"""

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

_ROOT = Requirement("companion-sandbox[top]")
_NAMES = ("license", "licence", "copying", "notice")


def distributions(wanted: Requirement) -> dict[str, metadata.Distribution]:
    """Return a distribution and what it needs here: name → distribution."""
    found: dict[str, metadata.Distribution] = {}
    queue = [wanted]
    while queue:
        one = queue.pop()
        distribution = metadata.distribution(one.name)
        if found.setdefault(distribution.name, distribution) is not distribution:
            continue
        needs = map(Requirement, distribution.requires or ())
        extras = one.extras or {""}
        queue += [
            need
            for need in needs
            if not need.marker or any(need.marker.evaluate({"extra": extra}) for extra in extras)
        ]
    return found


def of_package(distribution: metadata.Distribution) -> str:
    """Return the license of a Python package: its name, then the texts that come with it.

    Raises:
        ValueError: the package has none.
    """
    data = distribution.metadata
    classifiers = [c for c in data.get_all("Classifier", ()) if c.startswith("License ::")]
    name = data.get("License-Expression") or data.get("License") or "; ".join(classifiers)
    files = [file for file in distribution.files or () if _is_license(Path(file))]
    texts = [Path(distribution.locate_file(file)).read_text(errors="replace") for file in files]
    if not (name or texts):
        raise ValueError(f"{distribution.name} names no license")
    return "\n\n".join([f"{distribution.name} {distribution.version}: {name}", *texts])


def of_libraries(bundle: Path) -> Iterator[tuple[str, str]]:
    """Yield the package and license of each of the system's libraries in a bundle."""
    names = {path.name for path in (bundle / "_internal").glob("lib*.so*")}
    for package in sorted({owner for name in names if (owner := _owner(name))}):
        text = Path("/usr/share/doc", package.partition(":")[0], "copyright")
        yield package.partition(":")[0], text.read_text(errors="replace")


def _owner(library: str) -> str:
    """Return Debian's package that a library comes from; nothing if it came with Python's own."""
    argv = ["dpkg-query", "--search", f"*/{library}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.split(": ")[0].split(",")[0] if done.returncode == 0 else ""


def _is_license(file: Path) -> bool:
    return ".dist-info" in file.parts[0] and file.name.lower().startswith(_NAMES)


def main(bundle: Path) -> None:
    """Write all of them."""
    target = bundle / "licenses"
    target.mkdir()
    for name, distribution in distributions(_ROOT).items():
        (target / f"{name.lower()}.txt").write_text(of_package(distribution))
    for name, text in of_libraries(bundle):
        (target / f"{name}.txt").write_text(text)
    python = Path(sysconfig.get_path("stdlib"), "LICENSE.txt")
    if python.is_file():
        (target / "python.txt").write_text(python.read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
