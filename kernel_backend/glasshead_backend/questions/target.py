"""What a "why" is asked of: one number that the model puts out at one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from glasshead_backend.answering import travels
from glasshead_backend.checks import require
from glasshead_backend.questions.predictions import logits_row, predicting_row, predictions
from glasshead_backend.tracing.reading import token_id

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.tracing.run import Run

Quantity = Literal["log_probability", "logit"]
QUANTITIES: tuple[Quantity, ...] = ("log_probability", "logit")


@travels
@dataclass(frozen=True)
class Target:
    """One number of a model's output: of a token at a place, or how much more than another's.

    The difference of two tokens' logits is that of their log-probabilities, too.

    Attributes
    ----------
    position : int
        Place of the predicted token; the number of tokens = behind the last one.
    row : int
        Row of the logits that predicts it.
    token : int
        Id of the token.
    against : int or None
        Id of the token whose logit is taken off.
    quantity : {"log_probability", "logit"}
        "logit" wherever there is a token to compare with.
    """

    position: int
    row: int
    token: int
    against: int | None = None
    quantity: Quantity = "log_probability"

    @property
    def unit(self) -> str:
        """What it is counted in: log-probabilities are in nats, logits have no unit."""
        return "nats" if self.quantity == "log_probability" else "logits"

    def of(self, logits: Float[Tensor, "*batch vocabulary"]) -> Float[Tensor, "*batch"]:
        """Return the number, float32 or better; gradients flow through it."""
        logits = logits if logits.dtype.itemsize > logits.float().dtype.itemsize else logits.float()
        own = logits[..., self.token]
        if self.against is not None:
            return own - logits[..., self.against]
        if self.quantity == "logit":
            return own
        return own - logits.logsumexp(dim=-1)


def target_of(
    run: Run,
    position: int | None = None,
    token: int | str | None = None,
    against: int | str | None = None,
    quantity: Quantity = "log_probability",
) -> Target:
    """Check what is asked for, and fill in what is left open.

    Parameters
    ----------
    run : Run
    position : int, optional
        Place of the predicted token, as for :meth:`Trace.top_k`. Default: behind the last token;
        of a target of an encoder-decoder model its last token.
    token : int or str, optional
        Id, or text as :meth:`Trace.top_k` writes it. Default: the token that came; behind the last
        one the most probable.
    against : int or str, optional
        A token whose logit is taken off.
    quantity : {"log_probability", "logit"}

    Raises
    ------
    ValueError
        Where the model makes no prediction, and for no such token.
    ModelNeededError
        For a run without a model.
    """
    run.require_model()
    require(quantity, QUANTITIES, "quantity")
    known = predictions(run)
    scored = known.tokens
    if run.scores is None:
        raise ValueError(known.reason)
    behind = len(scored)
    if position is None:
        position = behind if run.shift else behind - 1
    row = predicting_row(run, position, after_last=True)
    place = position + behind if position < 0 else position
    if token is None:
        # Of a model that knows more ids than its tokenizer any may be the most probable.
        came = place < behind
        chosen = scored[place].id if came else int(logits_row(run, row).argmax())
    else:
        chosen = token_id(run.subject, token)
    other = None if against is None else token_id(run.subject, against)
    if chosen == other:
        raise ValueError(f"token and against are both {against!r}: their difference is always 0.")
    return Target(place, row, chosen, other, "logit" if other is not None else quantity)
