"""Draw the animations of docs/ from the terminals that pages there recorded.

A picture that moves by CSS alone: no script, no font and nothing else is fetched. Lines come one by
one and scroll. It begins at the first question, so that a still of it shows what the sandbox may
do; who asked their system for less motion sees the last screen.
"""

import re
from html import escape
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
ROWS, COLUMNS, LINE, CHARACTER, MARGIN = 24, 80, 18, 8.43, 16
STEP, PAUSE, LAST = 0.35, 1.6, 6.0
"""Seconds for a line, for a line where somebody thinks, and for the last screen."""

ASKED = re.compile(r"\? \[[^]]+\](?: y)?$|not shown")
"""The end of a question, with its answer if that is shown."""


def main() -> None:
    start, answer = recorded("five-minutes")[:2]
    first = start.partition("[detached")[0].rstrip().splitlines()
    second = [line.rstrip() for line in answer.strip("\n").splitlines()]
    about = "companion run codex: what the sandbox may do is shown, and Codex answers"
    (DOCS / "five-minutes.svg").write_text(draw(first, second, about))
    lines = "".join(recorded("three-places")).splitlines()
    about = "One project on a laptop, on a machine behind SSH and on a cluster, by the same alias"
    (DOCS / "three-places.svg").write_text(draw(lines, lines[-ROWS:], about))


def recorded(page: str) -> list[str]:
    """Return what a page of docs/ shows of terminals."""
    text = (DOCS / f"{page}.md").read_text()
    return re.findall(r"```text\n(.*?)```", text, re.DOTALL)


def draw(first: list[str], second: list[str], about: str) -> str:
    """Return the animation of lines that scroll, and of the screen that comes after them."""
    times, now = [], 0.0
    for line in first:
        times.append(now)
        now += PAUSE if ASKED.search(line) or line.startswith("ada@") else STEP
    end = now + PAUSE
    whole = end + LAST
    begin = next(t for line, t in zip(first, times, strict=True) if ASKED.search(line))
    styles, lines = [], []
    for number, (line, time) in enumerate(zip(first, times, strict=True)):
        percent = 100 * time / whole
        styles.append(appearing(f"l{number}", percent))
        lines.append(row(line, number, f' style="animation-name:l{number}"'))
    scroll = "".join(
        f"{100 * time / whole:.2f}%{{transform:translateY({-LINE * (number + 1 - ROWS)}px)}}"
        for number, time in enumerate(times)
        if number >= ROWS
    )
    cut = 100 * end / whole
    styles.append(f"@keyframes scroll{{0%{{transform:none}}{scroll}}}")
    styles.append(
        f"@keyframes first{{0%,{cut:.2f}%{{opacity:1}}{cut + 0.01:.2f}%,100%{{opacity:0}}}}"
    )
    styles.append(appearing("second", cut))
    shown = "".join(row(line, number) for number, line in enumerate(second[:ROWS]))
    width, height = COLUMNS * CHARACTER + 2 * MARGIN, ROWS * LINE + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" '
        f'aria-label="{about}">'
        f"<style>text{{font:14px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;"
        f"fill:#d8dee9;white-space:pre}}.y{{fill:#88c0d0}}.w{{fill:#ebcb8b}}"
        f"text,.a{{animation:{whole:.1f}s step-end {-begin - STEP:.2f}s infinite}}"
        f".s{{animation-name:scroll}}.f{{animation-name:first;opacity:0}}.z{{animation-name:second}}"
        f"{''.join(styles)}"
        f"@media(prefers-reduced-motion:reduce){{text,.a{{animation:none}}}}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="#1e222a"/>'
        f'<svg x="{MARGIN}" y="{MARGIN}" width="{width - 2 * MARGIN:.0f}" height="{ROWS * LINE}">'
        f'<g class="a f"><g class="a s">{"".join(lines)}</g></g>'
        f'<g class="a z">{shown}</g></svg></svg>\n'
    )


def appearing(name: str, percent: float) -> str:
    """Return the keyframes of what is not there before a moment."""
    return f"@keyframes {name}{{0%{{opacity:0}}{percent:.2f}%,100%{{opacity:1}}}}"


def row(line: str, number: int, style: str = "") -> str:
    """Return one line of the terminal."""
    kind = "y" if line.startswith("ada@") else "w" if line.startswith(("!", "warning")) else ""
    color = f' class="{kind}"' if kind else ""
    length = f' textLength="{len(line) * CHARACTER:.0f}"' if line.strip() else ""
    where = f'y="{number * LINE + 13}"{length} lengthAdjust="spacingAndGlyphs"'
    return f"<text {where}{color}{style}>{escape(line, quote=False)}</text>"


if __name__ == "__main__":
    main()
