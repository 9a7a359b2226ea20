"""What the views cost a browser, beside BertViz's.

Run with ``python benchmarks/views [case ...]`` (default: all; ``--json FILE`` writes the figures to
a file). The views are shown by a real JupyterLab whose kernel answers; the browser draws without a
GPU. An action is done forty times: twenty times untraced for the CPU of all browser processes,
twenty times under DevTools' tracing for the page's main thread. Figures are medians, the longest
task is the longest of all. Times are CPU times from an action's start until the browser is at rest;
what JupyterLab itself uses in them stands in the first lines.

BertViz's ``head_view`` and ``model_view`` of the same attention are measured in the same run where
``--bertviz PYTHON`` names an interpreter that has it and ``--npm FOLDER`` a ``node_modules`` with
what its pages load from a CDN::

    python -m venv --system-site-packages /tmp/bertviz
    /tmp/bertviz/bin/pip install bertviz
    npm install --prefix /tmp/bertviz d3@5.7.0 jquery@2.2.4 requirejs@2.3.6
    python benchmarks/views --bertviz /tmp/bertviz/bin/python --npm /tmp/bertviz/node_modules
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("widgets", "kernel_backend", "tests")]

from cases import CASES, FINDER, Figure  # noqa: E402
from in_lab import shown  # noqa: E402
from peer import measure_bertviz  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

import glasshead  # noqa: E402 - this clone's sources
from e2e.chromium import launch_chromium  # noqa: E402
from e2e.lab import lab_server  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from playwright.sync_api import Browser

    from e2e.lab import LabServer


def ours(browser: Browser, server: LabServer, names: Sequence[str]) -> list[Figure]:
    """Measure our views."""
    figures: list[Figure] = []
    for name in names:
        case = CASES[name]
        if case.view == FINDER and not hasattr(glasshead, "HeadFinder"):
            figures.append(show(Figure(case.title, "open", note="this version has no such view")))
            continue
        with shown(browser, server, case.view, case.trace, case.code) as lab:
            figures += map(show, case.look(lab, case.title))
    return figures


def show(figure: Figure) -> Figure:
    """Print a line of the table."""
    numbers = (figure.main, figure.longest, figure.processes)
    cells = "".join(f"{'' if n is None else f'{n:,.1f}':>11}" for n in numbers)
    print(f"{figure.case:<38} {figure.action:<9}{cells}  {figure.note}", flush=True)
    return figure


def show_ratios(figures: Sequence[Figure]) -> None:
    """Print how often BertViz's figures hold ours."""
    found = {(figure.case, figure.action): figure for figure in figures}
    pairs = [
        ("BertViz head_view", CASES["lines"].title, ("open", "hover", "layer")),
        ("BertViz model_view", CASES["finder"].title, ("open",)),
    ]
    for theirs, own, actions in pairs:
        for action in actions:
            left, right = found.get((theirs, action)), found.get((own, action))
            if left is None or right is None:
                continue
            for column in ("main", "processes"):
                a, b = getattr(left, column), getattr(right, column)
                if a is not None and b:
                    print(f"{theirs} / {own}, {action}, {column}: {a / b:,.1f}")


def in_browser(work: Callable[[Browser, Path], list[Figure]]) -> list[Figure]:
    """Do something with a browser and an empty folder."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        try:
            return work(browser, Path(folder))
        finally:
            browser.close()


def main() -> None:
    """Measure the cases given on the command line, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--bertviz", metavar="PYTHON", help="an interpreter that has BertViz")
    parser.add_argument("--npm", type=Path, help="a node_modules with d3, jquery and requirejs")
    arguments = parser.parse_args()
    if unknown := set(arguments.cases) - set(CASES):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    head = ("main ms", "longest ms", "all ms")
    print(f"{'view':<38} {'action':<9}{''.join(f'{name:>11}' for name in head)}")

    def our_views(browser: Browser, folder: Path) -> list[Figure]:
        with lab_server(folder) as server:
            return ours(browser, server, arguments.cases or list(CASES))

    figures = in_browser(our_views)
    if arguments.bertviz is None or arguments.npm is None:
        print("BertViz is not measured: name --bertviz and --npm")
    else:
        theirs = in_browser(
            lambda browser, folder: measure_bertviz(
                browser, arguments.bertviz, arguments.npm, folder
            )
        )
        figures += map(show, theirs)
        show_ratios(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))


if __name__ == "__main__":
    main()
