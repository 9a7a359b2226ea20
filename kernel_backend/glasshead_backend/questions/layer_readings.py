"""What each layer would predict at one place: the logit lens, or a fitted one, read closely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.checks import at_least_one, several
from glasshead_backend.data_frames import ShownAsTable, table
from glasshead_backend.progress import steps
from glasshead_backend.questions.fitted_lens import label_of
from glasshead_backend.questions.predictions import predicting_row, predictions
from glasshead_backend.questions.readout import (
    predicting_layers,
    read_out_layers,
    require_read_out,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from jaxtyping import Float, Int
    from torch import Tensor

    from glasshead_backend.questions.fitted_lens import FittedLens
    from glasshead_backend.text.tokens import Token
    from glasshead_backend.tracing.run import Run


@travels
@dataclass(frozen=True, eq=False, repr=False)
class LayerReadings(ShownAsTable):
    """What the model would predict at one place if it stopped after each layer.

    Attributes
    ----------
    position : int
        Of the predicted token.
    token : Token
        The token that came there.
    layers : tuple of int
    surprisal : Tensor
        ``[layers]`` float32, nats: of the token that came.
    rank : Tensor
        ``[layers]`` int64, 1 = best: of the token that came.
    top_ids : Tensor
        ``[layers, k]`` int64: the most probable tokens, best first.
    top : tuple of tuple of str
        The same, spelled.
    top_probability : Tensor
        ``[layers, k]`` float32.
    followed_ids : tuple of int
        Tokens whose way through the layers is given.
    followed : tuple of str
        The same, spelled.
    followed_probability : Tensor
        ``[layers, followed]`` float32.
    followed_rank : Tensor
        ``[layers, followed]`` int64.
    read_by : str
        The lens, in words: "logit lens", "tuned lens, fitted on 200 texts".
    """

    position: int
    token: Token
    layers: tuple[int, ...]
    surprisal: Float[Tensor, " layer"]
    rank: Int[Tensor, " layer"]
    top_ids: Int[Tensor, "layer k"]
    top: tuple[tuple[str, ...], ...]
    top_probability: Float[Tensor, "layer k"]
    followed_ids: tuple[int, ...]
    followed: tuple[str, ...]
    followed_probability: Float[Tensor, "layer followed"]
    followed_rank: Int[Tensor, "layer followed"]
    read_by: str

    def _what(self) -> str:
        return f"LayerReadings: {self.token.text!r} at position {self.position}, {self.read_by}"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer: the first choice, and how the token that came stands."""
        return table(
            {
                "layer": self.layers,
                "top": [words[0] for words in self.top],
                "top_probability": self.top_probability[:, 0].numpy(),
                "surprisal": self.surprisal.numpy(),
                "probability": self.surprisal.neg().exp().numpy(),
                "rank": self.rank.numpy(),
            }
        )

    def followed_frame(self) -> pd.DataFrame:
        """Return one row per layer and followed token: its probability and rank."""
        n = len(self.followed_ids)
        return table(
            {
                "layer": [layer for layer in self.layers for _ in range(n)],
                "token": list(self.followed) * len(self.layers),
                "id": list(self.followed_ids) * len(self.layers),
                "probability": self.followed_probability.flatten().numpy(),
                "rank": self.followed_rank.flatten().numpy(),
            }
        )


@answered
def layer_readings(
    run: Run,
    position: int,
    *,
    k: int = 5,
    followed: Sequence[int] | None = None,
    fitted: FittedLens | None = None,
) -> LayerReadings:
    """Return what each layer would predict at one place; see :meth:`Trace.layer_readings`."""
    k = at_least_one(k, "k", "token")
    found = predictions(run)
    row = predicting_row(run, position)
    position = position + len(found.tokens) if position < 0 else int(position)
    logs = run.store.remember(
        ("layer_readings", row, fitted), lambda: _log_probabilities(run, row, fitted)
    )
    token = found.tokens[position]
    require_read_out(run, -logs[-1, token.id], found.surprisal[position])
    top = logs.topk(min(k, logs.shape[-1]), dim=-1)
    chosen = _followed(followed, token.id, top.indices[-1], logs.shape[-1])
    # Ranks are counted: by how many are more probable, so that equals share one.
    ranks = torch.stack([1 + (logs > logs[:, [id_]]).sum(dim=-1) for id_ in chosen], dim=-1)
    spelled = run.subject.spelled(top.indices.flatten().tolist())
    n_top = top.indices.shape[-1]
    return LayerReadings(
        position=position,
        token=token,
        layers=tuple(range(len(logs))),
        surprisal=-logs[:, token.id],
        rank=1 + (logs > logs[:, [token.id]]).sum(dim=-1),
        top_ids=top.indices,
        top=tuple(tuple(spelled[i : i + n_top]) for i in range(0, len(spelled), n_top)),
        top_probability=top.values.exp(),
        followed_ids=tuple(chosen),
        followed=tuple(run.subject.spelled(chosen)),
        followed_probability=logs[:, chosen].exp(),
        followed_rank=ranks,
        read_by=label_of(fitted),
    )


def _followed(
    asked: Sequence[int] | None, true: int, final: Int[Tensor, " k"], n_vocabulary: int
) -> list[int]:
    """The tokens asked for, each once; else the true one and the model's first choices."""
    if asked is None:
        return list(dict.fromkeys([true, *final[:3].tolist()]))
    chosen = list(dict.fromkeys(several(asked, "followed")))
    for id_ in chosen:
        if not 0 <= id_ < n_vocabulary:
            raise ValueError(
                f"followed {id_} is no token: the vocabulary has ids 0-{n_vocabulary - 1}."
            )
    return chosen or [true]


def _log_probabilities(
    run: Run, row: int, fitted: FittedLens | None
) -> Float[Tensor, "layer vocabulary"]:
    """Log probabilities of all tokens behind each layer, of one row; on the CPU."""
    n_layers = len(predicting_layers(run))
    readouts = read_out_layers(run, fitted)
    made = [
        next(readouts).rows(row, row + 1)[0].log_softmax(dim=-1).cpu()
        for _ in steps(range(n_layers), "reading out layers", n_layers)
    ]
    readouts.close()
    return torch.stack(made)
