"""The tuned lens: a translator for each layer, trained to say what the model will predict.

Belrose et al. (2023), "Eliciting Latent Predictions from Transformers with the Tuned Lens".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.progress import steps
from glasshead_backend.questions.fitted_lens import translated
from glasshead_backend.questions.readout import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.tracing.run import Run

    Runs = Callable[[Sequence[int]], Iterator[Run]]
    Translators = tuple[Float[Tensor, "layer hidden hidden"], Float[Tensor, "layer hidden"]]

_MOST_NORM = 1.0
"""Of the gradient of a layer's translator: early steps may not throw it far off."""


def fit_tuned(
    runs: Runs,
    batches: Iterator[list[int]],
    start: Translators,
    *,
    n_steps: int,
    n_tokens: int,
    learning_rate: float,
    generator: torch.Generator,
) -> Translators:
    """Train a translator ``h + W h + b`` of each layer: least ``KL(model || lens)``.

    Adam, from the identity on, with a learning rate that falls to 0; all layers at once, each for
    itself. The last layer's translator stays the identity.

    Parameters
    ----------
    runs : callable
        Runs the model on some texts, by their numbers.
    batches : iterator of list of int
        The texts of each step.
    start : tuple of Tensor
        ``W`` and ``b`` of every layer, all 0.
    n_steps : int
    n_tokens : int
        Most tokens of a step, drawn from its texts.
    learning_rate : float
        Of the first step.
    generator : torch.Generator
        Draws the tokens.
    """
    weights = [[of_layer.clone().requires_grad_() for of_layer in one[:-1]] for one in start]
    changes, biases = weights
    optimiser = torch.optim.Adam([*changes, *biases], lr=learning_rate)
    falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / n_steps)
    for _ in steps(range(n_steps), "fitting the tuned lens", n_steps):
        batch = next(batches)
        optimiser.zero_grad()
        for run in runs(batch):
            of_text = max(1, n_tokens // len(batch))
            _add_gradients(run, changes, biases, of_text, 1 / len(batch), generator)
        for pair in zip(changes, biases, strict=True):
            torch.nn.utils.clip_grad_norm_(pair, _MOST_NORM)
        optimiser.step()
        falling.step()
    for whole, fitted in zip(start, weights, strict=True):
        for layer, of_layer in enumerate(fitted):
            whole[layer] = of_layer.detach()
    return start


def _add_gradients(
    run: Run,
    changes: Sequence[Tensor],
    biases: Sequence[Tensor],
    n_tokens: int,
    weight: float,
    generator: torch.Generator,
) -> None:
    """Add the gradients of one text's KL, mean over some of its tokens, times a weight."""
    with opened(run) as text, torch.enable_grad():
        drawn = torch.randperm(text.n_rows, generator=generator)[:n_tokens]
        rows = drawn.sort().values.tolist()
        predicted = text.log_probabilities(text.states[-1], rows)
        pairs = zip(text.states[:-1], changes, biases, strict=True)
        for state, change, bias in pairs:
            said = text.logits(translated(state, change, bias), rows)
            loss = divergence(predicted, said.float().log_softmax(dim=-1)).mean() * weight
            found = torch.autograd.grad(loss, (change, bias))
            for parameter, gradient in zip((change, bias), found, strict=True):
                known = parameter.grad
                parameter.grad = gradient if known is None else known + gradient


def divergence(
    predicted: Float[Tensor, "row vocabulary"], said: Float[Tensor, "row vocabulary"]
) -> Float[Tensor, " row"]:
    """Return ``KL(predicted || said)`` in nats, of log-probabilities."""
    return (predicted.exp() * (predicted - said)).sum(dim=-1)
