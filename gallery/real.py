"""Records states of a real model, SmolLM2-135M, into a file of the repository.

    python gallery/real.py

The gallery and the pictures in ``looks/`` then show a real model where none is on disk. Needs the
model (``python scripts/fetch_smollm2.py``); to be run again when frames change.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from functools import cache
from pathlib import Path

from record import GALLERY, packed, record
from state import Page, State
from traces import CORPUS

from glasshead import (
    ActivationMap,
    AttentionLines,
    AttributionStrip,
    FusedAttentionMatrix,
    HeadAtlas,
    HeadFinder,
    Lens,
    PatchGrid,
    PerplexityStrip,
    QueryKeyView,
    Trace,
    head_atlas,
)

FOLDER = Path(
    os.environ.get("GLASSHEAD_SMOLLM2", GALLERY.parent / ".models" / "smollm2-135m-instruct")
)
TEXT = (
    "The keeper of the old lighthouse wrote down the wind, the tide and the weather every evening. "
    "When the old keeper died, the new keeper of the old lighthouse wrote down the wind, the tide "
    "and the weather every evening, as the old keeper had."
)
MOST = 1_500_000
"""Bytes that the repository takes."""


@cache
def lens() -> Lens:
    """Return the model."""
    return Lens.from_pretrained(str(FOLDER), dtype="float32")


@cache
def trace() -> Trace:
    """Return the trace of a text with much that is said twice."""
    return lens().trace(TEXT)


@cache
def capitals() -> tuple[Trace, Trace]:
    """Return the traces of two texts that differ in a country."""
    clean, corrupted = (
        lens().trace(f"The capital of {country} is the city of") for country in ("France", "Italy")
    )
    return clean, corrupted


@cache
def atlas() -> HeadAtlas:
    """Return an atlas of its heads over a few dozen texts."""
    return head_atlas(lens(), CORPUS, progress=False)


PAGES = [
    Page(
        HeadFinder,
        [
            State(
                name="smollm2-atlas",
                shown=atlas,
                traits={"metric": "induction"},
                width=1200,
                watched=("light", "dark"),
                note="270 heads over 36 texts: one induces half of the time.",
            ),
            State(
                name="smollm2-atlas-scatter",
                shown=atlas,
                traits={"mode": "scatter", "layer": 17, "heads": [5]},
                width=1200,
                watched=("light",),
            ),
            State(
                name="smollm2-atlas-420", shown=atlas, traits={"metric": "punctuation"}, width=420
            ),
        ],
    ),
    Page(
        AttentionLines,
        [
            State(
                name="smollm2",
                shown=trace,
                traits={"layer": 12, "unit": "word"},
                watched=("light", "dark"),
                note="SmolLM2-135M, 30 layers × 9 heads: the default picture of a layer.",
            ),
            State(
                name="smollm2-pinned",
                shown=trace,
                traits={"layer": 17, "unit": "word", "selected": [20]},
                watched=("light",),
            ),
        ],
    ),
    Page(
        FusedAttentionMatrix,
        [
            State(
                name="smollm2",
                shown=trace,
                traits={"layer": 12, "unit": "word"},
                watched=("light",),
            )
        ],
    ),
    Page(
        ActivationMap,
        [
            State(
                name="smollm2",
                shown=trace,
                traits={"layer": 12, "dimensions": [247]},
                watched=("light",),
                note="Massive activations of the first token, outlier dimensions in all others.",
            ),
            State(
                name="smollm2-420",
                shown=trace,
                traits={"layer": 20, "sort": "cluster"},
                width=420,
            ),
        ],
    ),
    Page(
        PatchGrid,
        [
            State(
                name="smollm2",
                shown=capitals,
                watched=("light", "dark"),
                note="Behind layer 22 what differs has moved to the last token.",
            ),
            State(
                name="smollm2-heads",
                shown=capitals,
                traits={"what": "head", "cell": [23, 4]},
                watched=("light",),
                note="One head of 270 moves most of it.",
            ),
            State(name="smollm2-420", shown=capitals, traits={"what": "attention"}, width=420),
        ],
    ),
    Page(
        PerplexityStrip,
        [State(name="smollm2", shown=trace, traits={"hovered": 14}, watched=("light",))],
    ),
    Page(
        QueryKeyView,
        [
            State(
                name="smollm2",
                shown=trace,
                traits={"layer": 5, "heads": [2]},
                watched=("light",),
                note="Two of 64 dimensions make this head look where it looks.",
            )
        ],
    ),
    Page(
        AttributionStrip,
        [
            State(
                name="smollm2",
                shown=trace,
                traits={"position": 31, "unit": "word"},
                watched=("light",),
                note="Why that word, the second time?",
            ),
            State(name="smollm2-matrix", shown=trace, traits={"show": "matrix", "unit": "word"}),
        ],
    ),
]


def main() -> None:
    """Record the states, and refuse to make the repository large."""
    if not (FOLDER / "model.safetensors").exists():
        sys.exit(
            f"SmolLM2 is not in {FOLDER}: run scripts/fetch_smollm2.py, or say GLASSHEAD_SMOLLM2."
        )
    recorded = [record(page, state) for page in PAGES for state in page.states]
    text = json.dumps(recorded, default=packed, ensure_ascii=False)
    data = gzip.compress(text.encode(), mtime=0)
    if len(data) > MOST:
        sys.exit(f"{len(data):,} bytes are too many, {MOST:,} is the most.")
    path = GALLERY / "real" / "smollm2.json.gz"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    print(f"{path}: {len(recorded)} states, {len(data) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
