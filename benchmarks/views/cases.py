"""What is measured: a view, a model and a text, and what is done to them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from browser import REPETITIONS, main_thread_ms, measure, paints_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from in_lab import Lab

DEMO = "trace_of(Lens.demo('decoder'), 128)"
LINES, MATRIX, FINDER = "attention-lines", "fused-attention-matrix", "head-finder"
STRIP = "perplexity-strip"
SCORED = "(lens := Lens.demo('decoder')).score(text_of(lens, 16384))"

ECHO = """
import anywidget

class Echo(anywidget.AnyWidget):
    "Asks the kernel as our views do, and draws nothing: JupyterLab's part of an answer."

    _esm = '''export default { render({ model, el }) {
      el.innerHTML = '<div class="gh" data-view="echo" data-ready="true"></div>';
      for (const action of ["layer-next", "layer-previous"]) {
        const button = document.createElement("button");
        button.dataset.action = action;
        button.onclick = () => model.send({});
        el.firstChild.append(button);
      }
    } }'''

    def __init__(self):
        super().__init__()
        self.on_msg(lambda *_: self.send({}, [bytes(50_000)]))

Echo()
"""


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    case: str
    action: str
    main: float | None = None
    longest: float | None = None
    processes: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Case:
    """A view of a trace in the notebook's kernel; both are Python there."""

    title: str
    view: str
    trace: str
    code: str
    look: Callable[[Lab, str], list[Figure]]


def action(lab: Lab, case: str, name: str) -> Figure:
    """Measure one of the actions that repeat."""
    actions = {
        "nothing": lab.nothing,
        "hover": lab.hovers,
        "layer": lab.layers,
        "wheel": lambda: lab.wheel(".al-scroll, .gh-strip-scroller"),
    }
    cost = measure(lab.page, actions[name]())
    return Figure(case, name, cost.main, cost.longest, cost.processes)


def opened(lab: Lab, case: str) -> Figure:
    """Open the view."""
    seconds = lab.open()
    return Figure(case, "open", processes=1000 * seconds, note=f"{lab.n_nodes():,} DOM nodes")


def paints(lab: Lab, case: str) -> Figure:
    """Count paints of each canvas when the layer changes."""
    changes = itertools.islice(lab.layers(), REPETITIONS // 2)
    counts = [paints_of(lab.page, change) for change in changes]
    worst = max(counts, key=lambda count: sum(count.values()))
    words = ", ".join(f"{name} {times}" for name, times in worst.items())
    return Figure(case, "paints", note=f"of each canvas for a layer change: {words}")


def maps(lab: Lab, case: str) -> list[Figure]:
    """Pointing and changing the layer."""
    figures = [opened(lab, case), action(lab, case, "hover"), action(lab, case, "layer")]
    return [*figures, paints(lab, case)]


def scrolling(lab: Lab, case: str) -> list[Figure]:
    """The same, and scrolling."""
    names = ("wheel", "hover", "layer")
    return [opened(lab, case), *(action(lab, case, name) for name in names)]


def reading(lab: Lab, case: str) -> list[Figure]:
    """Scrolling a text."""
    return [opened(lab, case), action(lab, case, "wheel")]


def panning(lab: Lab, case: str) -> list[Figure]:
    """Dragging a matrix that is zoomed in: frames for a second of the main thread."""
    figures = [opened(lab, case)]
    canvas = lab.root.locator(".gh-map-figure canvas").first
    for _ in range(4):
        lab.root.locator('[data-action="zoom-in"]').evaluate("(button) => button.click()")
        lab.page.wait_for_timeout(500)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(step: float) -> None:
        lab.page.mouse.move(x, y)
        lab.page.mouse.down()
        for i in range(60):
            lab.page.mouse.move(x + step * i, y + step * i)
            lab.page.wait_for_timeout(16)
        lab.page.mouse.up()

    for name, step in (("pan away", -2), ("pan back", 2)):
        frames: list[int] = []

        def counted(step: float = step, frames: list[int] = frames) -> None:
            frames.extend(paints_of(lab.page, lambda: drag(step)).values())

        main = main_thread_ms(lab.page, counted)
        n = max(frames, default=0)
        note = f"{n} frames, {1000 * n / main:.0f} a second of the main thread"
        figures.append(Figure(case, name, main / max(n, 1), note=note))
    return figures


def opening(lab: Lab, case: str) -> list[Figure]:
    """Open the view, that is all."""
    return [opened(lab, case)]


def itself(lab: Lab, case: str) -> list[Figure]:
    """JupyterLab's own part: at rest, and for a question and its answer."""
    _ = opened(lab, case)
    return [action(lab, case, "nothing"), action(lab, case, "layer")]


def random(layers: int, heads: int, n_tokens: int) -> str:
    """Expression of a trace of a model with random weights."""
    return f"trace_of(random_lens({layers}, {heads}), {n_tokens})"


VIEW = "view = glasshead.{}(trace, unit='token')\nview"
_LINES = VIEW.format("AttentionLines")
_MATRIX = VIEW.format("FusedAttentionMatrix")
_FINDER = VIEW.format("HeadFinder")
_STRIP = VIEW.format("PerplexityStrip")

CASES = {
    "lab": Case("JupyterLab itself", "echo", "None", ECHO, itself),
    "lines": Case("AttentionLines, 128 tokens x 12", LINES, DEMO, _LINES, maps),
    "matrix": Case("FusedAttentionMatrix, 128 x 12", MATRIX, DEMO, _MATRIX, maps),
    "lines-1500": Case("AttentionLines, 1,500 x 9", LINES, random(2, 9, 1500), _LINES, scrolling),
    "lines-4096": Case("AttentionLines, 4,096 x 9", LINES, random(2, 9, 4096), _LINES, scrolling),
    "matrix-8192": Case(
        "FusedAttentionMatrix, 8,192 x 9", MATRIX, random(1, 9, 8192), _MATRIX, panning
    ),
    "strip-16384": Case("PerplexityStrip, 16,384 tokens", STRIP, SCORED, _STRIP, reading),
    "finder": Case("HeadFinder, 2 layers x 12, 128 tokens", FINDER, DEMO, _FINDER, opening),
    "finder-30x9": Case("HeadFinder, 30 x 9, 512", FINDER, random(30, 9, 512), _FINDER, opening),
    "finder-48x25": Case("HeadFinder, 48 x 25, 512", FINDER, random(48, 25, 512), _FINDER, opening),
}
