"""Write what the Linux packages have besides the bundle: icons, pages, completions, texts.

Usage: stage.py DIRECTORY VERSION (DIRECTORY/companion is the bundle)
"""

import gzip
import io
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "installer")]

import manuals  # noqa: E402 - from the checkout that this file is in
import shared_files  # noqa: E402

MAINTAINER = "Companion contributors <companion@localhost>"
_COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Companion
Comment:
 /usr/lib/companion contains Python and libraries by others. Their licenses are in
 /usr/lib/companion/licenses, a file for each.

Files: *
Copyright: {holders}
License: Expat
{text}
"""


def icons() -> Iterator[tuple[str, bytes]]:
    """Yield the path and content of each size of the icon, for the theme that all others extend."""
    with Image.open(ROOT / "assets/icons/idle.ico") as found:
        for size in sorted(found.info["sizes"]):
            buffer = io.BytesIO()
            found.size = size
            found.copy().save(buffer, "png")
            name = f"{size[0]}x{size[1]}"
            yield f"share/icons/hicolor/{name}/apps/companion.png", buffer.getvalue()


def shared() -> Iterator[tuple[str, bytes]]:
    """Yield manual pages, compressed, and completions."""
    for name, text in shared_files.shared():
        data = text.encode()
        yield (f"{name}.gz", _packed(data)) if "/man/" in name else (name, data)


def copyright_text() -> str:
    """Return our license in the form that Debian's tools read."""
    lines = (ROOT / "LICENSE").read_text(encoding="utf-8").splitlines()
    holders = next(line for line in lines if line.startswith("Copyright (c) "))
    body = lines[lines.index(holders) + 2 :]
    return _COPYRIGHT.format(
        holders=holders.removeprefix("Copyright (c) "),
        text="\n".join(f" {line}" if line else " ." for line in body),
    )


def changelog(text: str, version: str) -> str:
    """Return the entry of this version in the form that nfpm reads (JSON is YAML)."""
    day = datetime.combine(manuals.released(text), time(), UTC)
    note = "the changes are in /usr/share/doc/companion-sandbox/changelog.gz"
    entry = {
        "semver": version,
        "date": day.isoformat(),
        "packager": MAINTAINER,
        "deb": {"urgency": "low", "distributions": ["unstable"]},
        "changes": [{"note": note}],
    }
    return json.dumps([entry])


def main(stage: Path, version: str) -> None:
    """Write all files."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for name, data in (*icons(), *shared()):
        path = stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (stage / "copyright").write_text(copyright_text(), encoding="utf-8")
    (stage / "changelog.gz").write_bytes(_packed(text.encode()))
    (stage / "changelog.yaml").write_text(changelog(text, version), encoding="utf-8")


def _packed(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
