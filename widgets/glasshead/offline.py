"""Make an executed notebook show its views everywhere: ``python -m glasshead.offline``.

The live view of each output is taken away, so that what stands beside it is shown: the interactive
page, where the notebook was run with ``glasshead.options.fallback = "page"``, else the poster.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WIDGET = "application/vnd.jupyter.widget-view+json"
_STATE = "application/vnd.jupyter.widget-state+json"
_MARK = 'data-glasshead="'
_FALLBACK = "GLASSHEAD_FALLBACK"


class OfflineError(Exception):
    """What is wrong with a notebook or a command, and the way out."""


@dataclass(frozen=True)
class Made:
    """What came of a notebook.

    Attributes
    ----------
    notebook : dict
        As nbformat describes it.
    pages, posters : int
        Outputs that show an interactive page, and those that show a still picture.
    bare : int
        Outputs with a widget and nothing that could stand for it: they are left as they are.
    """

    notebook: dict[str, Any]
    pages: int
    posters: int
    bare: int


def offline(notebook: dict[str, Any]) -> Made:
    """Take the live views out of a notebook's outputs, where something stands beside them.

    Parameters
    ----------
    notebook : dict
        An executed notebook as nbformat (4) describes it; it is not changed.

    Returns
    -------
    Made
    """
    made: dict[str, Any] = json.loads(json.dumps(notebook))
    pages = posters = bare = 0
    for output in _outputs(made):
        data = output["data"]
        html = "".join(data.get("text/html", ""))
        if _WIDGET in data and _MARK in html:
            _forget(made, data.pop(_WIDGET).get("model_id"))
        elif _WIDGET in data:
            bare += 1
        pages += f'{_MARK}page"' in html
        posters += f'{_MARK}poster"' in html
    return Made(made, pages, posters, bare)


def _outputs(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if "data" in output:
                yield output


def _forget(notebook: dict[str, Any], model: str | None) -> None:
    """Take a view's saved state away, and that of its layout."""
    states = notebook["metadata"].get("widgets", {}).get(_STATE, {}).get("state", {})
    state = states.pop(model, {}).get("state", {})
    layout = str(state.get("layout", "")).removeprefix("IPY_MODEL_")
    states.pop(layout, None)
    if not states:
        notebook["metadata"].get("widgets", {}).pop(_STATE, None)
        if not notebook["metadata"].get("widgets", True):
            del notebook["metadata"]["widgets"]


def read(path: Path) -> dict[str, Any]:
    """Read a notebook.

    Raises
    ------
    OfflineError
        Where there is none.
    """
    if not path.is_file():
        raise OfflineError(f"There is no notebook {str(path)!r}.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise OfflineError(f"{path} is no notebook: {error}.") from None
    if not isinstance(found, dict) or found.get("nbformat") != 4:  # noqa: PLR2004
        version = found.get("nbformat") if isinstance(found, dict) else None
        said = f"its format is {version}" if version else "it has no format"
        raise OfflineError(
            f"{path} is no notebook of format 4: {said}. Save it anew in JupyterLab, or: "
            f"jupyter nbconvert --to notebook {path}"
        )
    return {"metadata": {}, "cells": [], **found}


def execute(notebook: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run a notebook in its folder, its views as interactive pages, and return it.

    Raises
    ------
    OfflineError
        Where nbclient is not installed, or a cell fails.
    """
    try:
        import nbformat  # noqa: PLC0415  loaded when it is needed
        from nbclient import NotebookClient  # noqa: PLC0415
        from nbclient.exceptions import CellExecutionError  # noqa: PLC0415
    except ImportError:
        raise OfflineError("--execute needs nbclient: pip install nbclient") from None
    parsed: Any = nbformat.reads(json.dumps(notebook), as_version=4)
    client: Any = NotebookClient(parsed, resources={"metadata": {"path": str(folder)}})
    try:
        client.execute(env={**os.environ, _FALLBACK: "page"})
    except CellExecutionError as error:
        raise OfflineError(f"A cell of the notebook fails:\n{error}") from None
    return json.loads(json.dumps(parsed))


def as_html(notebook: dict[str, Any], title: str) -> str:
    """Return a notebook as a page, by nbconvert.

    Raises
    ------
    OfflineError
        Where nbconvert is not installed.
    """
    try:
        import nbformat  # noqa: PLC0415  loaded when it is needed
        from nbconvert import HTMLExporter  # noqa: PLC0415
    except ImportError:
        raise OfflineError("--html needs nbconvert: pip install nbconvert") from None
    parsed: Any = nbformat.reads(json.dumps(notebook), as_version=4)
    html, _ = HTMLExporter().from_notebook_node(parsed, {"metadata": {"name": title}})
    return html


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    asked = _parser().parse_args(arguments)
    try:
        _make(asked)
    except OfflineError as error:
        print(f"glasshead.offline: {error}", file=sys.stderr)  # noqa: T201  it is a command
        return 1
    return 0


def _make(asked: argparse.Namespace) -> None:
    source: Path = asked.notebook
    output, html = _targets(asked)
    notebook = read(source)
    if asked.execute:
        notebook = execute(notebook, source.parent)
    made = offline(notebook)
    _require_any(made, source, executed=asked.execute)
    if output is not None:
        text = json.dumps(made.notebook, ensure_ascii=False, indent=1)
        output.write_text(text + "\n", encoding="utf-8")
    if html is not None:
        html.write_text(as_html(made.notebook, source.stem), encoding="utf-8")
    for written in filter(None, (output, html)):
        said = f"{written}: {made.pages} interactive, {made.posters} still"
        if made.bare:
            said += f", {made.bare} without anything to show (other widgets, or run before)"
        print(said)  # noqa: T201


def _targets(asked: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Return where the notebook and the page go; refuse to overwrite what nobody named."""
    output: Path | None = asked.notebook if asked.in_place else asked.output
    if output is None and asked.html is None:
        raise OfflineError("Say where it goes: -o OTHER.ipynb, --html PAGE.html, or --in-place.")
    if output is not None and not asked.in_place and _is_same(output, asked.notebook):
        raise OfflineError(f"{output} is the notebook itself: use --in-place to overwrite it.")
    for target in filter(None, (output, asked.html)):
        if not target.parent.is_dir():
            raise OfflineError(f"There is no folder {str(target.parent)!r}.")
    if asked.html is not None and _is_same(asked.html, asked.notebook):
        raise OfflineError(f"{asked.html} is the notebook itself: name another file for --html.")
    return output, asked.html


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _require_any(made: Made, source: Path, *, executed: bool) -> None:
    """Refuse a notebook of which nothing would be shown."""
    if made.pages + made.posters:
        return
    way = "" if executed else f" Run it anew: python -m glasshead.offline {source} --execute ..."
    if made.bare:
        raise OfflineError(
            f"No output of {source} has anything that could stand for its {made.bare} widgets: it "
            f"was run with options.fallback = None, or by an older Glasshead.{way}"
        )
    raise OfflineError(f"No output of {source} shows a view of Glasshead.{way}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m glasshead.offline",
        description="Make an executed notebook show its Glasshead views everywhere: interactive "
        'pages where it was run with glasshead.options.fallback = "page" (or --execute), posters '
        "else.",
    )
    parser.add_argument("notebook", type=Path)
    parser.add_argument("-o", "--output", type=Path, metavar="OTHER.ipynb")
    parser.add_argument("--html", type=Path, metavar="PAGE.html", help="as a page, by nbconvert")
    parser.add_argument("--in-place", action="store_true", help="overwrite the notebook")
    parser.add_argument(
        "--execute", action="store_true", help="run it first, its views as interactive pages"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
