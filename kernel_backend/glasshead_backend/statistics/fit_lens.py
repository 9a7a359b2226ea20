"""Fitting a lens to a model on some texts: the tuned lens, the Jacobian lens."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import torch

from glasshead_backend.answering import require_here
from glasshead_backend.checks import at_least_one, require
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.progress import reporting, steps
from glasshead_backend.questions.fitted_lens import (
    LENS_KINDS,
    FittedLens,
    fingerprint,
    translated,
)
from glasshead_backend.questions.predictions import predictions
from glasshead_backend.questions.readout import opened, require_read_out
from glasshead_backend.statistics.jacobian_lens import fit_jacobian
from glasshead_backend.statistics.metric import require_seed
from glasshead_backend.statistics.tuned_lens import divergence, fit_tuned
from glasshead_backend.trace import run_of
from glasshead_backend.tracing.many_texts import paired

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.lens import Lens
    from glasshead_backend.progress import Progress
    from glasshead_backend.questions.fitted_lens import LensKind
    from glasshead_backend.questions.readout import Opened
    from glasshead_backend.statistics.tuned_lens import Translators
    from glasshead_backend.tracing.given import TextLike
    from glasshead_backend.tracing.run import Run

__all__ = ["FittedLens", "fit_lens"]

_COPIES = {"tuned": 4, "jacobian": 2}
"""Of a translator, while it is fitted: Adam keeps two moments, and there are gradients."""


def fit_lens(
    lens: Lens,
    texts: Iterable[TextLike],
    kind: LensKind = "tuned",
    *,
    targets: Iterable[TextLike] | None = None,
    held_out: float = 0.1,
    n_steps: int = 250,
    batch_size: int = 8,
    n_tokens: int = 256,
    learning_rate: float = 1e-3,
    n_samples: int = 32,
    seed: int = 0,
    progress: Progress | bool | None = None,
) -> FittedLens:
    """Fit a translator for every layer, by which hidden states are read better than as they are.

    Both kinds read a layer as ``h + W h + b`` with the model's own final norm and unembedding; the
    last layer is read as it is. The model is not changed, and no weight of it gets a gradient.

    Parameters
    ----------
    lens : Lens
        A model that predicts next tokens.
    texts : iterable
        What it is fitted on, each as for :meth:`Lens.trace`: some hundred sentences of the kind
        that it will read.
    kind : {"tuned", "jacobian"}
        "tuned": the translators that say best what the model will predict, least
        ``KL(model || lens)`` (Belrose et al. 2023). "jacobian": what the layers above do on average
        to a small change of the hidden state at the same position, ``J h + mean(h_last - J h)``;
        nothing is trained.
    targets : iterable, optional
        Encoder-decoder models: as many as there are texts; left out, the model generates them.
    held_out : float
        Share of the texts that the lens is not fitted on, but judged by (``kl`` of the result). At
        least one of several, none for 0.
    n_steps, batch_size, n_tokens, learning_rate
        Tuned: steps of Adam, texts of a step, most tokens of a step, and the rate of the first one,
        falling to 0. A step costs about ``3 * layers`` times the unembedding of its tokens.
    n_samples : int
        Jacobian: positions that each row of the matrix is the mean of, about. It costs
        ``n_samples * hidden size`` rows, as many in a backward pass as a text has tokens.
    seed : int
        Draws texts, tokens and coordinates.
    progress : callable or bool, optional
        As for :meth:`Lens.trace`.

    Returns
    -------
    FittedLens
        On the CPU; ``.save(path)`` and ``FittedLens.load(path)`` keep it.

    Raises
    ------
    ValueError
        For an encoder, for a model that predicts from more than its last layer, and for one that
        cannot be differentiated.
    MemoryBudgetError
        When the translators of all layers would take more memory than they may.

    Examples
    --------
    >>> from glasshead_backend import Lens, fit_lens
    >>> lens = Lens.demo("decoder")
    >>> fitted = fit_lens(lens, ["The whale swam.", "The sea was dark."], n_steps=1)
    >>> fitted.label
    'tuned lens, fitted on 1 text'
    >>> lens.trace("The whale").layer_readings(1, fitted=fitted).read_by
    'tuned lens, fitted on 1 text'
    """
    require(kind, LENS_KINDS, "kind")
    require_seed(seed)
    for number, name, of in (
        (n_steps, "n_steps", "step"),
        (batch_size, "batch_size", "text at a time"),
        (n_tokens, "n_tokens", "token"),
        (n_samples, "n_samples", "position"),
    ):
        at_least_one(number, name, of)
    if not 0 <= held_out < 1:
        raise ValueError(f"held_out {held_out} is no share of the texts: 0 or more, below 1.")
    require_here(lens, "Fitting a lens")
    corpus = _Corpus(lens, texts, targets)
    generator = torch.Generator().manual_seed(seed)
    kept, aside = corpus.split(held_out, generator)
    with reporting(progress), torch.inference_mode(mode=False), torch.no_grad():
        start = _identity(lens, kind, corpus)
        before = _divergences(corpus, aside, start)
        if kind == "tuned":
            change, bias = fit_tuned(
                corpus.runs,
                _batches(kept, batch_size, generator),
                start,
                n_steps=n_steps,
                n_tokens=n_tokens,
                learning_rate=learning_rate,
                generator=generator,
            )
        else:
            change, bias = fit_jacobian(
                corpus.runs, kept, start, n_samples=n_samples, generator=generator
            )
        after = _divergences(corpus, aside, (change, bias))
        return FittedLens(
            kind=kind,
            change=change.cpu(),
            bias=bias.cpu(),
            kl=after,
            kl_logit_lens=before,
            n_texts=len(kept),
            n_tokens=sum(corpus.lengths[number] for number in kept if number in corpus.lengths),
            n_held_out=len(aside),
            model=lens.name,
            fingerprint=fingerprint(lens.model),
        )


class _Corpus:
    """Texts by number, and running the model on them.

    Parameters
    ----------
    lens : Lens
    texts, targets
        As for :func:`fit_lens`.

    Attributes
    ----------
    lengths : dict
        Tokens of each text that was run.
    """

    def __init__(
        self, lens: Lens, texts: Iterable[TextLike], targets: Iterable[TextLike] | None
    ) -> None:
        if isinstance(texts, str):
            raise TypeError("fit_lens takes a list of texts; a single one is fitted on [text].")
        self._lens = lens
        pairs = ((text, None) for text in texts) if targets is None else paired(texts, targets)
        self._texts = list(pairs)
        if not self._texts:
            raise ValueError("There are no texts to fit a lens on.")
        self.lengths: dict[int, int] = {}

    def split(self, share: float, generator: torch.Generator) -> tuple[list[int], list[int]]:
        """Numbers of the texts to fit on, and of those held out."""
        n = len(self._texts)
        n_aside = min(n - 1, max(1, round(share * n))) if share else 0
        order = torch.randperm(n, generator=generator).tolist()
        return sorted(order[n_aside:]), sorted(order[:n_aside])

    def runs(self, numbers: Sequence[int]) -> Generator[Run, None, None]:
        """Run the model on some texts, one after the other; a run is let go of behind its turn."""
        for number in numbers:
            text, target = self._texts[number]
            try:
                trace = self._lens.trace(text, target)
            except (TypeError, ValueError) as error:
                raise type(error)(f"Text {number}: {error}") from error
            with trace:
                run = run_of(trace)
                self.lengths[number] = len(run.sides.all[-1].tokens)
                yield run


def _batches(numbers: list[int], size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Draw texts without end, each as often as every other; a batch holds none twice."""
    size = min(size, len(numbers))
    while True:
        order = torch.randperm(len(numbers), generator=generator).tolist()
        for start in range(0, len(order) - size + 1, size):
            yield [numbers[i] for i in order[start : start + size]]


def _identity(lens: Lens, kind: LensKind, corpus: _Corpus) -> Translators:
    """Return translators that change nothing, after a look at a first text.

    Raises
    ------
    ValueError, MemoryBudgetError
        As :func:`fit_lens`.
    """
    if any(weight.is_inference() for weight in lens.model.parameters()):
        raise ValueError(
            f"{lens.name} was made in torch.inference_mode(): nothing can be differentiated "
            "through it. Load it outside."
        )
    with closing(corpus.runs([0])) as runs:
        run = next(runs)
        if run.logits is None:
            raise ValueError(predictions(run).reason)
        with opened(run) as text:
            widths = {state.shape[-1] for state in text.states}
            if len(widths) > 1:
                raise ValueError(
                    f"{run.model_class} has layers of different widths ({sorted(widths)}): a lens "
                    "translates between layers of one width."
                )
            _require_last_layer(run, text)
            n_layers, hidden, device = len(text.states), widths.pop(), text.states[-1].device
    require_room(
        _COPIES[kind] * 4 * n_layers * hidden * (hidden + 1),
        budget_on(device, lens.memory_budget),
        f"Fitting translators of {n_layers} layers of {hidden:,}",
        ["Fit to a smaller model."],
    )
    shape = (n_layers, hidden)
    return torch.zeros(*shape, hidden, device=device), torch.zeros(shape, device=device)


def _require_last_layer(run: Run, text: Opened) -> None:
    """Refuse a model that predicts from more than what its last layer puts out."""
    assert run.logits is not None
    row = run.logits.n_rows - 1
    known = run.logits.rows(row, row + 1)[0].log_softmax(dim=-1)
    read = text.log_probabilities(text.states[-1], [row])[0]
    first = known.argmax()
    require_read_out(run, -read[first], -known[first])


def _divergences(
    corpus: _Corpus, numbers: Sequence[int], translators: Translators
) -> Float[Tensor, " layer"]:
    """How far what is read is from what the model predicts, by layer, nats; mean over tokens."""
    total, n_rows = torch.zeros(len(translators[0]), dtype=torch.float64), 0
    runs = corpus.runs(numbers)
    for _ in steps(range(len(numbers)), "reading texts that were held out", len(numbers)):
        run = next(runs)
        n_rows += len(run.sides.all[-1].tokens)
        with opened(run) as text:
            for rows in text.blocks():
                predicted = text.log_probabilities(text.states[-1], rows)
                for layer, state in enumerate(text.states):
                    said = translated(state, *(one[layer] for one in translators))
                    found = divergence(predicted, text.log_probabilities(said, rows))
                    total[layer] += found.sum().cpu()
    runs.close()
    return (total / n_rows if n_rows else torch.full_like(total, torch.nan)).float()
