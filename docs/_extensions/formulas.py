"""Formulas are typeset by KaTeX while the site is built: no script runs, and nothing is fetched."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
KATEX = ROOT / "node_modules" / "katex" / "dist"
STYLES = "katex/katex.min.css"


@cache
def _typesetter() -> subprocess.Popen[str]:
    """Return the process that typesets, one line of JSON at a time."""
    command = ["node", str(Path(__file__).with_suffix(".mjs"))]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@cache
def typeset(formula: str, *, display: bool) -> str:
    """Return a formula as HTML with MathML beside it, for screen readers.

    Raises
    ------
    ValueError
        When KaTeX does not understand the formula.
    """
    process = _typesetter()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"formula": formula, "display": display}) + "\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    if "error" in answer:
        raise ValueError(f"{formula!r}: {answer['error']}")
    return answer["html"]


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(typeset(node.astext(), display=False))
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(typeset(node.astext(), display=True))
    raise nodes.SkipNode


def _add_styles(
    app: Sphinx, page: str, template: str, context: object, doctree: nodes.document | None
) -> None:
    del page, template, context
    if doctree and any(
        next(doctree.findall(kind), None) for kind in (nodes.math, nodes.math_block)
    ):
        app.add_css_file(STYLES)


def _copy_styles(app: Sphinx, error: Exception | None) -> None:
    """Copy the style sheet, and of its fonts the format that every browser takes."""
    process = _typesetter.cache_info().currsize and _typesetter()
    if process:
        process.stdin.close()
        process.wait()
        _typesetter.cache_clear()
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "_static" / "katex"
        shutil.copytree(
            KATEX / "fonts",
            folder / "fonts",
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("*.ttf", "*.woff"),
        )
        shutil.copy(KATEX / "katex.min.css", folder)


def setup(app: Sphinx) -> dict[str, bool]:
    """Take KaTeX for all formulas."""
    app.add_html_math_renderer("katex", (_inline, None), (_block, None))
    app.connect("html-page-context", _add_styles)
    app.connect("build-finished", _copy_styles)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
