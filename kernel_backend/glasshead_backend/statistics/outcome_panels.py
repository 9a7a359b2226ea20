"""What a chart shows of right and wrong predictions: along the text, and by length of the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.statistics.chart import Choice, number
from glasshead_backend.statistics.panels import Bars, Histogram

if TYPE_CHECKING:
    from glasshead_backend.statistics.outcomes import PredictionOutcomes
    from glasshead_backend.statistics.panels import Panel


def outcome_panels(found: PredictionOutcomes) -> list[Panel]:
    """Accuracy along the text, and lengths of tokens; a click selects the tokens of a bar."""
    n_right = int(found.is_correct.sum())
    n_wrong = len(found.tokens) - n_right
    along, lengths = found.positions_frame(), found.lengths_frame()
    ends = list(zip(along["first"], along["last"], strict=True))
    means = [
        found.lengths[group].double().mean() for group in (found.is_correct, ~found.is_correct)
    ]
    right, wrong = (number(float(mean)) for mean in means)
    return [
        Bars(
            title="Right predictions along the text",
            x="position of the first token",
            y="share right",
            labels=[str(first) for first, _ in ends],
            values=torch.tensor(along["accuracy"].to_numpy()),
            clickable="positions",
            positions=[
                found.positions[(found.positions >= first) & (found.positions <= last)].tolist()
                for first, last in ends
            ],
            words=f"{n_right} of {len(found.tokens)} right, {number(100 * found.accuracy)} %",
        ),
        Histogram(
            title="Length of the predicted tokens",
            x="characters",
            y="share of the group",
            edges=torch.arange(len(lengths) + 1) + (lengths["length"].iloc[0] - 0.5),
            series=[
                Choice("correct", f"right ({n_right})"),
                Choice("incorrect", f"wrong ({n_wrong})"),
            ],
            values=torch.tensor(lengths[["share_correct", "share_incorrect"]].to_numpy().T),
            positions=[
                found.positions[found.lengths == length].tolist() for length in lengths["length"]
            ],
            words=f"mean length: right {right}, wrong {wrong}",
        ),
    ]
