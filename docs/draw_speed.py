"""Draws docs/speed.svg, the picture of speed on the site's first page, from the output of a benchmark.

    python benchmarks/compare_ways.py > docs/making/speed.txt && python docs/draw_speed.py

tests/test_documentation.py fails when the picture is not what this draws.
"""

import re
from html import escape
from pathlib import Path

DOCS = Path(__file__).resolve().parent
FIGURES = DOCS / "making" / "speed.txt"
PICTURE = DOCS / "speed.svg"

#: In pixels: the height of a bar and of a row's title, the space below a row; where bars begin, and the longest one.
BAR, TITLE, SPACE = 20, 26, 14
LEFT, LONGEST, WIDTH = 84, 520, 720

STYLE = """
text { font: 13px sans-serif; fill: #1f2328 } .title { font-weight: bold } .name { text-anchor: end }
.page { fill: #ffffff } .bar { fill: #b3c7c5 } .own { fill: #009485 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .page { fill: #1e2129 } .bar { fill: #4d6260 } .own { fill: #00b3a0 }
}
"""


def read(text):
    """The benchmark's table: the names of the columns, and its rows as (title, unit, figures)."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "---" not in line]
    return lines[0][2:], [(title, unit, [float(each) for each in figures]) for title, unit, *figures in lines[1:]]


def draw(text):
    """The picture as SVG (str): for each row a bar of each way, the longest of them as wide as there is room."""
    ways, rows = read(text)
    parts, y = [], 8
    for title, unit, figures in rows:
        y += TITLE
        parts.append(f'<text class="title" x="12" y="{y - 8}">{escape(title)}, {escape(unit)}</text>')
        for way, figure in zip(ways, figures, strict=True):
            width = max(2, round(LONGEST * figure / max(figures)))
            kind = "own" if way == "greenio" else "bar"
            parts.append(f'<text class="name" x="{LEFT - 8}" y="{y + 14}">{escape(way)}</text>')
            parts.append(f'<rect class="{kind}" x="{LEFT}" y="{y + 1}" width="{width}" height="{BAR - 4}" rx="2"/>')
            parts.append(f'<text x="{LEFT + width + 8}" y="{y + 14}">{figure:g}</text>')
            y += BAR
        y += SPACE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" role="img">'
    told = "; ".join(
        f"{title} ({unit}): {', '.join(f'{way} {figure:g}' for way, figure in zip(ways, figures, strict=True))}"
        for title, unit, figures in rows
    )
    page = f'<rect class="page" width="{WIDTH}" height="{y}" rx="8"/>'
    return "\n".join([head, f"<title>{escape(told)}</title>", f"<style>{STYLE}</style>", page, *parts, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(FIGURES.read_text()))
    print(re.sub(r"^.*/", "", str(PICTURE)))
