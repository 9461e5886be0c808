"""Draws docs/layers.svg, the picture of the layers, from tests/helpers/layers.py.

    python docs/draw_layers.py

tests/test_layers.py fails when the picture is not what this draws.
"""

import sys
import textwrap
from html import escape
from pathlib import Path

DOCS = Path(__file__).resolve().parent
PICTURE = DOCS / "layers.svg"

#: How many characters fit into a line of each column.
TITLE, NAMES = 46, 108
#: Sizes in pixels: a line of text, the space around a layer's text, and the picture's width.
LINE, SPACE, WIDTH = 15, 9, 1020

STYLE = """
text { font: 12px sans-serif; fill: #1f2328 } .name { font-size: 11px; fill: #59636e } .package { font-weight: bold }
.page { fill: #ffffff } .hub { fill: #ddf4e4 } .greenio { fill: #ddebfb }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .name { fill: #aeb6bf }
  .page { fill: #0d1117 } .hub { fill: #173824 } .greenio { fill: #162f4d }
}
"""


def draw(hub, greenio):
    """The picture as SVG (str): each layer stands on those that it may import.

    hub, greenio: the layers of each package from the bottom, as (title, names of modules).
    """
    parts, y = [], 0
    for package, layers in (("greenio", greenio), ("hub", hub)):
        y += 28
        parts.append(f'<text class="package" x="12" y="{y - 9}">{package}</text>')
        for title, names in reversed(layers):
            left = textwrap.wrap(title, TITLE)
            right = textwrap.wrap(", ".join(name or "__init__" for name in names), NAMES)
            height = LINE * max(len(left), len(right)) + SPACE
            parts.append(f'<rect class="{package}" x="8" y="{y}" width="{WIDTH - 16}" height="{height}" rx="4"/>')
            parts += [column("title", 18, y, left), column("name", 330, y, right)]
            y += height + 3
    size = f'width="{WIDTH}" height="{y + 8}" viewBox="0 0 {WIDTH} {y + 8}"'
    page = f'<rect class="page" width="{WIDTH}" height="{y + 8}"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<title>The layers of hub and greenio</title>'
    return "\n".join([head, f"<style>{STYLE}</style>", page, *parts, "</svg>\n"])


def column(kind, x, y, lines):
    """Lines of text below each other (str of SVG)."""
    spans = "".join(f'<tspan x="{x}" dy="{LINE}">{escape(line)}</tspan>' for line in lines)
    return f'<text class="{kind}" y="{y + 2}">{spans}</text>'


if __name__ == "__main__":
    sys.path.insert(0, str(DOCS.parent / "tests" / "helpers"))
    import layers

    PICTURE.write_text(draw(layers.HUB, layers.GREENIO))
