"""What every head of a model does in a whole corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glasshead_backend.answering import require_here
from glasshead_backend.checks import at_least_one, whole
from glasshead_backend.corpora.map_reduce import map_reduce
from glasshead_backend.statistics.atlas import HeadAtlas
from glasshead_backend.statistics.atlas_metrics import METRICS, NAMES, metrics_of
from glasshead_backend.statistics.atlas_task import HeadAtlasTask
from glasshead_backend.tracing.run import KIND_ORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor
    from os import PathLike

    from glasshead_backend.asking import Kind
    from glasshead_backend.corpora.given import Texts
    from glasshead_backend.lens import Lens
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.atlas_tally import HeadAtlasTally

__all__ = ["HeadAtlas", "head_atlas"]

_PART = 64
"""Texts in a part, or four batches where those are more: sorted by length within it."""


def head_atlas(
    lens: Lens,
    texts: Texts,
    *,
    targets: Texts | None = None,
    kind: Kind | None = None,
    metrics: Sequence[str] = NAMES,
    confidence: float = 0.95,
    seed: int = 0,
    batch_size: int = 16,
    executor: Executor | None = None,
    make_lens: Callable[[], Lens] | None = None,
    checkpoint: str | PathLike[str] | None = None,
    progress: Progress | bool | None = None,
) -> HeadAtlas:
    """Describe every head of a model by what its rows do in the texts of a corpus.

    A text's number is the mean over its rows, as in :func:`head_statistics`; an atlas has the mean
    of that over the texts, and a bootstrap interval with the text as unit. Beside it stand how many
    rows there are by their own value, and examples of them.

    Parameters
    ----------
    lens : Lens
    texts : iterable of str, path or dataset
        A list, a stream, a file of lines or a ``datasets`` object: no more than some hundreds of
        texts are held at once.
    targets : iterable of str, path or dataset, optional
        As for :meth:`Lens.trace_many`.
    kind : str, optional
        Kind of attention; left out, that of :func:`head_statistics`.
    metrics : sequence of str
        Some of "entropy", "distance", "sink", "previous_token", "same_token", "induction" and
        "punctuation"; of cross attention, which leads from one text to another, it has "entropy",
        "sink" and "punctuation".
    confidence : float
        How often such an interval holds the mean over all texts that there might be.
    seed : int
        What intervals and examples are drawn with. They do not hang on who does the work.
    batch_size : int
        Most texts in one forward pass.
    executor, make_lens, checkpoint
        As for :func:`over_texts`.
    progress : callable or bool, optional
        As for :meth:`Lens.trace`; ``True`` shows a bar. ``step.partial()`` is the atlas so far.

    Returns
    -------
    HeadAtlas

    Raises
    ------
    ValueError
        For a metric or a kind of attention that there is not, when no text can be measured, and
        for a checkpoint of other work. Single texts that cannot be measured are in ``.skipped``.

    Notes
    -----
    The interval is read from the percentiles of 1,000 replicates ``sum(w x) / sum(w)``, with
    ``w`` Poisson of mean 1 for every text and replicate (Hanley and MacGibbon 2006; Chamandy et al.
    2012): each is a hash of the seed and the text's number, so that sums of parts can be merged.
    """
    require_here(lens, "An atlas of heads")
    kind = _kind(lens, kind)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} must lie between 0 and 1, e.g. 0.95.")
    task = HeadAtlasTask(
        kind=kind,
        metrics=tuple(metric.name for metric in metrics_of(metrics, kind)),
        seed=whole(seed, "seed"),
        batch_size=at_least_one(batch_size, "batch_size", "text at a time"),
    )
    tally = map_reduce(
        task,
        lens,
        texts,
        targets,
        executor=executor,
        make_lens=make_lens,
        part_size=max(_PART, 4 * task.batch_size),
        checkpoint=checkpoint,
        progress=progress,
        result=lambda so_far: atlas_of(lens, task, so_far, confidence) if so_far.n_texts else None,
    )
    tally.skipped.require_some(tally.n_texts)
    return atlas_of(lens, task, tally, confidence)


def atlas_of(
    lens: Lens, task: HeadAtlasTask, tally: HeadAtlasTally, confidence: float
) -> HeadAtlas:
    """Make an atlas of the sums over some texts, of which one at least was measured."""
    mean, low, high = tally.interval(confidence)
    return HeadAtlas(
        model=lens.name,
        model_class=type(lens.model).__name__,
        kind=task.kind,
        layers=tally.layers,
        n_heads=tally.n_heads,
        metrics=tuple(METRICS[name] for name in task.metrics),
        n_texts=tally.n_texts,
        n_tokens=tally.n_tokens,
        confidence=float(confidence),
        seed=task.seed,
        skipped=tally.skipped.first,
        n_skipped=tally.skipped.n,
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
    there: list[Kind] = [one for one in KIND_ORDER if one in structure.layers]
    if kind is None and there:
        return "cross" if "cross" in there else there[0]
    if kind in there:
        return kind
    names = ", ".join(map(repr, there)) or "none"
    why = structure.unreadable.get(kind, "") if kind else " ".join(structure.unreadable.values())
    if why:
        raise ValueError(f"{why} What can be read: {names}.")
    raise ValueError(f"kind {kind!r} is not there: {lens.name} has {names}.")
