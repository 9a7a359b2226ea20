"""Make pages of the course: every notebook of examples/ is run, and what it shows is written down.

    python docs/lessons.py [WORD ...]       # all, or those whose names have one of the words

Writes docs/lessons/NAME.md, and each view that a cell shows as a page without a kernel, as it is
when the cell has run, into docs/_live. Cells share their names; what a cell says and what its last
line shows stand below it, as in a notebook.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import sys
from typing import TYPE_CHECKING, Any

from gallery import FOLDER, MOST_BYTES, ROOT

from glasshead.view import View

if TYPE_CHECKING:
    from pathlib import Path

PAGES = ROOT / "docs" / "lessons"
HEIGHTS = {"Explorer": 860, "PerplexityStrip": 480, "TokenTable": 520}


def run(code: str, name: str, names: dict[str, Any]) -> tuple[str, Any]:
    """Run a cell; return what it said, and the value of its last line."""
    tree = ast.parse(code, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(tree, name, "exec"), names)  # noqa: S102  our own lessons
        if not isinstance(last, ast.Expr) or code.rstrip().endswith(";"):
            return said.getvalue(), None
        value = eval(compile(ast.Expression(last.value), name, "eval"), names)  # noqa: S307
    return said.getvalue(), value


def shown(value: Any, name: str) -> str:
    """Write down what a notebook would show of a value."""
    if value is None:
        return ""
    if isinstance(value, View):
        value.save_html(FOLDER / f"{name}.html", max_bytes=MOST_BYTES)
        height = HEIGHTS.get(type(value).__name__, 640)
        return f"```{{live}} {name}\n:height: {height}\n{type(value).__name__}, live.\n```\n"
    html = getattr(value, "_repr_html_", lambda: None)()
    if html:
        lines = "\n".join(line.strip() for line in html.splitlines() if line.strip())
        lines = re.sub(r"<style.*?</style>\n?", "", lines, flags=re.DOTALL)
        return f'<div class="table-wrapper output">\n{lines}\n</div>\n'
    return text(repr(value))


def text(words: str) -> str:
    """Fence words."""
    return f"```text\n{words.rstrip()}\n```\n" if words.strip() else ""


def code(source: str, metadata: dict[str, Any]) -> str:
    """Fence a cell's code; what the notebook folds away is folded here."""
    fenced = f"```python\n{source}\n```\n"
    if metadata.get("jupyter", {}).get("source_hidden"):
        return f"<details><summary>Code</summary>\n\n{fenced}\n</details>\n"
    return fenced


def with_links(words: str) -> str:
    """Return words of a notebook whose links lead to pages."""
    words = re.sub(r"\]\((\d[\w-]*)\.ipynb", r"](\1.md", words)
    words = words.replace("](quickstart.ipynb", "](../tutorial.md")
    return words.replace("](../docs/", "](../")


def page(notebook: Path) -> str:
    """Run a notebook and return its page."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {"__name__": "__main__"}
    parts: list[str] = []
    for number, cell in enumerate(cells):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(with_links(source) + "\n")
        elif source.strip():
            said, value = run(source, f"{notebook.name}, cell {number}", names)
            parts += [code(source, cell["metadata"]), text(said)]
            parts.append(shown(value, f"{notebook.stem}-{number}"))
    link = f"*The notebook is `examples/{notebook.name}`; here it has been run.*\n"
    head, *rest = parts
    return "\n".join(part for part in (head, link, *rest) if part)


def main() -> None:
    """Make the pages that are asked for."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    words = sys.argv[1:] or [""]
    for notebook in sorted((ROOT / "examples").glob("[0-9]*.ipynb")):
        if any(word in notebook.name for word in words):
            (PAGES / f"{notebook.stem}.md").write_text(page(notebook), encoding="utf-8")
            print(notebook.name)


if __name__ == "__main__":
    main()
