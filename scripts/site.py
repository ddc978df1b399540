"""Build the documentation site into build/site from docs/ and the documents at the top.

Pages are plain Markdown that a forge shows as well. Their order is that of the links in
docs/index.md: each section there that lists pages is a part of the site's navigation. Warnings are
errors: a page that is not listed, a link or an anchor that leads nowhere. So is anything that a
page would fetch from elsewhere while it is read. What scripts/reference.py generated is added to
its pages.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS, PLACE, SITE = ROOT / "docs", ROOT / "build/site-source", ROOT / "build/site"
TOP = ("SECURITY.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md")
"""Documents at the top of the repository that are pages, too."""
_LISTED = re.compile(r"^- \[[^]]+\]\(([\w./-]+)\.md\)", re.MULTILINE)
_LOADED = re.compile(
    r"<(?:script|img|iframe|source|video)[^>]*\bsrc=\"(https?:)?//[^\"]*"
    r"|<link[^>]*\brel=\"(?:stylesheet|preload|preconnect|icon)\"[^>]*\bhref=\"(https?:)?//[^\"]*"
    r"|url\(['\"]?(?:https?:)?//[^)]*"
)


def main() -> int:
    prepare()
    shutil.rmtree(SITE, ignore_errors=True)
    argv = ("-q", "-W", "--keep-going", "-d", "build/site-cache", PLACE, SITE)
    done = subprocess.run([sys.executable, "-m", "sphinx", *argv], cwd=ROOT, check=False)
    if done.returncode:
        return 1
    fetched = list(fetches())
    for what in fetched:
        print(f"error: fetched from elsewhere while a page is read: {what}", file=sys.stderr)
    if fetched:
        return 1
    size = sum(file.stat().st_size for file in SITE.rglob("*") if file.is_file())
    pages = len(list(SITE.rglob("*.html")))
    print(f"{SITE.relative_to(ROOT)}: {pages} pages, {size / 1e6:.1f} MB")
    return 0


def prepare() -> None:
    """Lay out what Sphinx reads: docs/ with the documents of the top in it."""
    shutil.rmtree(PLACE, ignore_errors=True)
    shutil.copytree(DOCS, PLACE)
    shutil.copytree(ROOT / "assets/icons", PLACE / "icons")
    for name in TOP:
        (PLACE / name).write_text((ROOT / name).read_text())
    for generated in (ROOT / "build/reference").glob("*.md"):
        page = PLACE / generated.name
        page.write_text(f"{page.read_text()}\n{generated.read_text()}")
    for page in PLACE.glob("*.md"):
        page.write_text(as_page(page.name, page.read_text()))


def as_page(name: str, text: str) -> str:
    """Return the text of a document as a page: its links lead to pages of the site."""
    if name in TOP:
        text = text.replace("](docs/", "](")
    elif name == "index.md":
        text += f"\n{navigation(text)}"
    text = text.replace("](../", "](")
    return re.sub(r"\[([^]]+)\]\((?:tests|companion|scripts)/[^)]*\)", r"\1", text)


def navigation(index: str) -> str:
    """Return the navigation: the pages that each section of the index lists."""
    sections = re.split(r"^## (.+)$", index, flags=re.MULTILINE)
    pairs = zip(sections[1::2], sections[2::2], strict=True)
    parts = (
        (title, [p.removeprefix("../") for p in _LISTED.findall(body)]) for title, body in pairs
    )
    return "\n".join(
        "\n".join(("```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```", ""))
        for title, pages in parts
        if pages
    )


def fetches() -> Iterator[str]:
    """Yield what pages and their styles would fetch from elsewhere."""
    for file in (*SITE.rglob("*.html"), *SITE.rglob("*.css")):
        for found in _LOADED.finditer(file.read_text()):
            yield f"{file.relative_to(SITE)}: {found[0][:120]}"


if __name__ == "__main__":
    sys.exit(main())
