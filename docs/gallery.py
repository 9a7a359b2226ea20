"""Make the live views of the documentation: pages that `save_html` writes, into docs/_live.

    python docs/gallery.py [NAME ...]       # all of them, or some

The pages that embed them name them: ``{live} NAME``. A view is made anew at every call.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / root) for root in ("widgets", "kernel_backend")]

from glasshead import (  # noqa: E402
    AttentionLines,
    FusedAttentionMatrix,
    HeadFinder,
    LayerStatsChart,
    Lens,
    PerplexityStrip,
    StoryStep,
    TokenTable,
    explore,
    story,
)
from glasshead_backend.demo import DECODER_TEXT, SOURCE_TEXT, TARGET_TEXT  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead.view import View

FOLDER = ROOT / "docs" / "_live" / "live"
MOST_BYTES = 1_500_000
"""A page of the site stays readable on a phone's connection."""


def _lesson() -> View:
    """Tell the story of the head that copies, in three steps."""
    view = explore(Lens.demo("decoder").trace(DECODER_TEXT), panes=("lines", "strip"), layer=0)
    return story(
        view,
        [
            ("The text says everything twice. All heads of layer 0 together.", {"heads": []}),
            StoryStep(
                "One head of layer 1 has learned a trick. The second “white” is pinned.",
                {"layer": 1, "heads": [3], "selected": [33]},
                ask="Which word does it look at most?",
                answer="whale",
                choices=("white", "whale", "the"),
                because="It looks at what came behind the same word the first time, to copy it.",
            ),
            (
                "So the second half is no surprise: in the strip it is lighter than the first.",
                {"layer": 1, "heads": [3]},
            ),
        ],
    )


def views() -> dict[str, Callable[[], View]]:
    """Return how each view of the documentation is made."""
    decoder, translator = Lens.demo("decoder"), Lens.demo("encoder-decoder")
    twice = decoder.trace(DECODER_TEXT)
    translation = translator.trace(SOURCE_TEXT, TARGET_TEXT)
    return {
        "explore": lambda: explore(twice, layer=1, heads=[3]),
        "translation": lambda: explore(translation, kind="cross", layer=1, heads=[1]),
        "lines": lambda: AttentionLines(twice, layer=1, heads=[3]),
        "matrix": lambda: FusedAttentionMatrix(twice, layer=1, heads=[3]),
        "strip": lambda: PerplexityStrip(twice),
        "chart": lambda: LayerStatsChart(twice, "logit_lens"),
        "finder": lambda: HeadFinder(twice, metric="induction"),
        "tokens": lambda: TokenTable(translator, SOURCE_TEXT, other=decoder),
        "lesson": _lesson,
    }


def main() -> None:
    """Save the views that are named on the command line; all where none is."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    known = views()
    for name in sys.argv[1:] or known:
        page = known[name]().save_html(FOLDER / f"{name}.html", max_bytes=MOST_BYTES)
        print(page)


if __name__ == "__main__":
    main()
