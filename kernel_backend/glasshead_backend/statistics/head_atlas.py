"""What every head of a model does in a whole corpus."""

from __future__ import annotations

from functools import reduce
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from glasshead_backend.checks import at_least_one, whole
from glasshead_backend.progress import reporting
from glasshead_backend.statistics.atlas import HeadAtlas
from glasshead_backend.statistics.atlas_metrics import NAMES, metrics_of
from glasshead_backend.statistics.atlas_task import HeadAtlasTask
from glasshead_backend.tracing.run import KIND_ORDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from glasshead_backend.asking import Kind
    from glasshead_backend.lens import Lens
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.atlas_tally import HeadAtlasTally
    from glasshead_backend.tracing.given import TextLike

__all__ = ["HeadAtlas", "head_atlas"]


class Part(NamedTuple):
    number: int
    first: int
    texts: tuple[TextLike, ...]
    targets: tuple[TextLike, ...] | None = None


def head_atlas(
    lens: Lens,
    texts: Iterable[TextLike],
    *,
    targets: Iterable[TextLike] | None = None,
    kind: Kind | None = None,
    metrics: Sequence[str] = NAMES,
    confidence: float = 0.95,
    seed: int = 0,
    batch_size: int = 16,
    progress: Progress | bool | None = None,
) -> HeadAtlas:
    """Describe every head of a model by what its rows do in many texts."""
    kind = _kind(lens, kind)
    asked = metrics_of(metrics, kind)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} must lie between 0 and 1, e.g. 0.95.")
    task = HeadAtlasTask(
        kind=kind,
        metrics=tuple(one.name for one in asked),
        seed=whole(seed, "seed"),
        batch_size=at_least_one(batch_size, "batch_size", "text at a time"),
    )
    with reporting(progress):
        pairs = iter(texts)
        others = None if targets is None else iter(targets)
        tallies = []
        first = 0
        while some := tuple(islice(pairs, 64)):
            t = None if others is None else tuple(islice(others, len(some)))
            tallies.append(task.of_part(lens, Part(len(tallies), first, some, t)))
            first += len(some)
    tally: HeadAtlasTally = reduce(lambda a, b: a.merged(b), tallies)
    mean, low, high = tally.interval(confidence)
    return HeadAtlas(
        model=lens.name,
        model_class=type(lens.model).__name__,
        kind=kind,
        layers=tally.layers,
        n_heads=tally.n_heads,
        metrics=asked,
        n_texts=tally.n_texts,
        n_tokens=tally.n_tokens,
        confidence=float(confidence),
        seed=task.seed,
        skipped=tally.skipped,
        n_skipped=tally.n_skipped,
        mean=mean,
        low=low,
        high=high,
        n=tally.n,
        rows=tally.rows,
        kept=tally.kept.tidied(),
    )


def _kind(lens: Lens, kind: Kind | None) -> Kind:
    """Return a kind of attention that the model has; the one that is meant where none is named."""
    structure = lens.anatomy.structure
    there = [one for one in KIND_ORDER if one in structure.layers]
    if kind is None and there:
        return "cross" if "cross" in there else there[0]
    if kind in there:
        return kind
    names = ", ".join(map(repr, there)) or "none"
    why = structure.unreadable.get(kind, "") if kind else " ".join(structure.unreadable.values())
    if why:
        raise ValueError(f"{why} What can be read: {names}.")
    raise ValueError(f"kind {kind!r} is not there: {lens.name} has {names}.")
