"""Draw the layers of the backend and list them, from the code: docs/architecture.md.

    python scripts/house.py            # writes docs/images/layers.svg and the page's table
    python scripts/house.py --check    # only says whether they are what the code is

The order of the layers stands in tests/test_house.py; names, sentences and imports are read from
the sources, none of which is run.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from textwrap import wrap

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.imports import imports  # noqa: E402
from test_house import BACKEND, LAYERS, layer_of  # noqa: E402

VIEWS = ROOT / "js"
WIDGETS = ROOT / "widgets" / "glasshead"
PICTURE = ROOT / "docs" / "images" / "layers.svg"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = (
    "<!-- made by scripts/house.py: begin -->\n",
    "<!-- made by scripts/house.py: end -->\n",
)

# Lengths are pixels. Where a line of text ends is known without a font: letters per line.
MARGIN, GAP, BOX_WIDTH, RAIL_GAP = 16, 8, 664, 18
TITLE, LINE, SMALL_LINE, LEGEND = 22, 17, 15, 38
SENTENCE_LETTERS, NAMES_LETTERS = 96, 96

LEGEND_TEXT = (
    "A line goes from a layer (ring) down to the layers that it imports (dots), for types too. "
    "Dashed: over the wire."
)

STYLE = """\
  .ground { fill: #ffffff; } .box { fill: #f5f6f7; stroke: #dfe2e6; }
  text { fill: #1b1e23; font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
  .name { font: 600 13px ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
  .modules { font: 11px ui-monospace, "SF Mono", Menlo, Consolas, monospace; fill: #596069; }
  .floor { stroke: #dfe2e6; } .rail { stroke: #8a919b; stroke-width: 1.5; fill: none; }
  .start { fill: #ffffff; stroke: #596069; stroke-width: 1.5; } .import { fill: #1f66c2; }
  .wire { stroke-dasharray: 4 3; } .wrong { stroke: #b3261e; fill: #b3261e; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #131416; } .box { fill: #1e2023; stroke: #30343a; } text { fill: #eceef1; }
    .modules { fill: #a7adb6; } .floor { stroke: #30343a; } .rail { stroke: #767d87; }
    .start { fill: #131416; stroke: #a7adb6; } .import { fill: #7fb2ff; }
    .wrong { stroke: #ff8f86; fill: #ff8f86; }
  }
"""


@dataclass(frozen=True)
class Layer:
    """A floor of the house.

    Attributes
    ----------
    name : str
        As in ``LAYERS``.
    title : str
        Its file or folder.
    link : str
        Where that is, from the root.
    sentence : str
        What is in it.
    modules : tuple of str
        Empty where it is one file.
    imports : tuple of str
        Names of the layers that it imports.
    """

    name: str
    title: str
    link: str
    sentence: str
    modules: tuple[str, ...]
    imports: tuple[str, ...]


def floors() -> list[Layer]:
    """Read the whole house, top floor first: the browser's part, the widgets, the backend."""
    views = tuple(sorted(f"{path.name}/" for path in VIEWS.iterdir() if path.is_dir()))
    browser = "The views, a folder each: they draw the frames that are sent to them."
    return [
        Layer("js", "js/", "js", browser, views, ("widgets",)),
        Layer(
            "widgets",
            "widgets/glasshead/",
            str(WIDGETS.relative_to(ROOT)),
            sentence(WIDGETS / "__init__.py"),
            modules(WIDGETS),
            imported(WIDGETS),
        ),
        *(layer(name) for name in LAYERS if path_of(name).exists()),
    ]


def layer(name: str) -> Layer:
    """Read a layer of the backend."""
    path = path_of(name)
    own = path / "__init__.py" if path.is_dir() else path
    title = f"{name}/" if path.is_dir() else path.name
    if name == "__init__":
        title = f"{BACKEND.parent.name}/{BACKEND.name}/{title}"
    inside = modules(path) if path.is_dir() else ()
    link = str(path.relative_to(ROOT))
    return Layer(name, title, link, sentence(own), inside, imported(BACKEND, name))


def path_of(name: str) -> Path:
    """Folder or file of a layer of the backend."""
    file = BACKEND / f"{name}.py"
    return file if file.exists() else BACKEND / name


def sentence(file: Path) -> str:
    """First line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    assert docstring is not None, f"{file} says nothing of itself"
    return docstring.partition("\n")[0]


def modules(folder: Path) -> tuple[str, ...]:
    """Names of a folder's modules and sub-packages."""
    files = (path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    packages = (f"{path.parent.name}/" for path in folder.glob("*/__init__.py"))
    return tuple(sorted([*files, *packages]))


def imported(package: Path, name: str = "") -> tuple[str, ...]:
    """Layers of the backend that a layer of a package imports, or all of it; top floor first."""
    found = {below for importer, below in arrows(package) if name in (importer, "")}
    return tuple(one for one in LAYERS if one in found - {name})


@cache
def arrows(package: Path) -> frozenset[tuple[str, str]]:
    """Which layers of a package import which of the backend."""
    return frozenset(
        (layer_of(one.importer), layer_of(one.imported))
        for one in imports(package)
        if one.imported.split(".")[0] == BACKEND.name
    )


def drawn(house: list[Layer]) -> str:
    """Draw the picture, as SVG."""
    tops, bottom = [], LEGEND
    for one in house:
        tops.append(bottom)
        bottom += height(one) + GAP
    importing = [one for one in house if one.imports]
    width = MARGIN + BOX_WIDTH + RAIL_GAP * len(importing) + MARGIN
    bottom += MARGIN - GAP
    size = f'viewBox="0 0 {width} {bottom}" width="{width}" height="{bottom}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>The layers of Glasshead and what each imports</title>",
        f"<style>\n{STYLE}</style>",
        '<rect class="ground" width="100%" height="100%"/>',
        f'<text x="{MARGIN}" y="24">{LEGEND_TEXT}</text>',
    ]
    for one, at in zip(house, tops, strict=True):
        lines += box(one, at, width)
    middles = {one.name: at + height(one) / 2 for one, at in zip(house, tops, strict=True)}
    for number, one in enumerate(importing):
        lines += rail(one, MARGIN + BOX_WIDTH + RAIL_GAP * (number + 1), middles)
    return "\n".join([*lines, "</svg>", ""])


def height(one: Layer) -> int:
    """Pixels that the box of a layer takes."""
    return TITLE + LINE * len(sentence_lines(one)) + SMALL_LINE * len(module_lines(one)) + 6


def sentence_lines(one: Layer) -> list[str]:
    """Break the sentence of a layer into lines."""
    return wrap(one.sentence.replace("`", ""), SENTENCE_LETTERS)


def module_lines(one: Layer) -> list[str]:
    """Break the names of a layer's modules into lines."""
    return wrap(", ".join(one.modules), NAMES_LETTERS)


def box(one: Layer, top: int, width: int) -> list[str]:
    """Draw the box of a layer, and its floor on which the lines of others may end."""
    left, middle = MARGIN + 12, top + height(one) / 2
    area = f'x="{MARGIN}" y="{top}" width="{BOX_WIDTH}" height="{height(one)}"'
    lines = [
        f'<path class="floor" d="M{MARGIN + BOX_WIDTH} {middle:g}H{width - MARGIN}"/>',
        f'<rect class="box" {area} rx="4"/>',
        f'<text class="name" x="{left}" y="{top + 19}">{escape(one.title)}</text>',
    ]
    y = top + TITLE
    for text in sentence_lines(one):
        y += LINE
        lines.append(f'<text x="{left}" y="{y - 3}">{escape(text)}</text>')
    for text in module_lines(one):
        y += SMALL_LINE
        lines.append(f'<text class="modules" x="{left}" y="{y - 1}">{escape(text)}</text>')
    return lines


def rail(one: Layer, x: int, middles: dict[str, float]) -> list[str]:
    """Draw the line of a layer: from its ring to the farthest layer that it imports."""
    start = middles[one.name]
    ends = [middles[name] for name in one.imports]
    lines: list[str] = []
    if any(end < start for end in ends):
        lines.append(f'<path class="rail wrong" d="M{x} {start:g}V{min(ends):g}"/>')
    if any(end > start for end in ends):
        style = "rail wire" if one.name == "js" else "rail"
        lines.append(f'<path class="{style}" d="M{x} {start:g}V{max(ends):g}"/>')
    for end in ends:
        style = "import wrong" if end < start else "import"
        lines.append(f'<circle class="{style}" cx="{x}" cy="{end:g}" r="3.5"/>')
    return [*lines, f'<circle class="start" cx="{x}" cy="{start:g}" r="4.5"/>']


def table(house: list[Layer]) -> str:
    """List the layers, as a table of Markdown."""
    lines = ["| layer | what is in it | it imports |", "| --- | --- | --- |"]
    for one in house:
        below = ", ".join(f"`{name}`" for name in one.imports)
        below = "over the wire: `glasshead`" if one.name == "js" else below or "–"
        lines.append(f"| [`{one.title}`](../{one.link}) | {one.sentence} | {below} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Write picture and table, or say that they are stale."""
    house = floors()
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = {PICTURE: drawn(house), PAGE: f"{before}{BEGIN}\n{table(house)}\n{END}{after}"}
    stale = [
        path
        for path, text in made.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
    if "--check" in sys.argv and stale:
        sys.exit(f"{names}: no longer what the code is. Run: python scripts/house.py")
    for path in stale:
        path.write_text(made[path], encoding="utf-8")
    print(f"written: {names}" if stale else "picture and page are what the code is")


if __name__ == "__main__":
    main()
