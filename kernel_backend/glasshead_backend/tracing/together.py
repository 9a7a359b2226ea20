"""Several sequences in one recorded forward pass: padded together, then each a run of its own."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.anatomy.contributions import norms_of
from glasshead_backend.anatomy.locate import lengths_of, locate_calls
from glasshead_backend.anatomy.structure import Structure, UnsupportedModelError
from glasshead_backend.capture.recording import record
from glasshead_backend.running.as_found import autocast_now, for_a_trace, lock_of
from glasshead_backend.running.body import outcome_of
from glasshead_backend.running.edits import edited
from glasshead_backend.running.forward import device_of, inputs_of
from glasshead_backend.running.logits import run_for_logits
from glasshead_backend.running.reporting import layers_reported
from glasshead_backend.running.same_model import ModelState, storages_of
from glasshead_backend.tracing.room import require_room_to_record
from glasshead_backend.tracing.run import Run
from glasshead_backend.tracing.scores import prediction_shift, scores_together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from glasshead_backend.anatomy.contributions import Norms
    from glasshead_backend.anatomy.padding import PadSide
    from glasshead_backend.asking import Kind
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.running.body import Outcome
    from glasshead_backend.running.edits import Edit
    from glasshead_backend.running.logits import NextTokenLogits
    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.tracing.subject import Subject


@dataclass(frozen=True, eq=False)
class Batch:
    """The keyword arguments of one forward pass over several sequences.

    Attributes
    ----------
    inputs : dict
        ``[batch, tokens]`` each; without a mask where nothing is padded.
    first, decoder : list of range
        Where the text or source, and the decoder's inputs, of each sequence lie in the batch.
    """

    inputs: dict[str, Tensor]
    first: list[range]
    decoder: list[range]

    @property
    def size(self) -> int:
        """Number of sequences."""
        return len(self.first)


def run_together(
    subject: Subject,
    many: Sequence[Sides],
    side: PadSide = "right",
    outcome: Outcome | None = None,
    *,
    edits: Sequence[Edit] = (),
) -> list[Run]:
    """Run the model once over several sequences and record a run of each.

    Parameters
    ----------
    subject : Subject
    many : sequence of Sides
    side : {"right", "left"}
        Where texts of different length are padded.
    outcome : Outcome, optional
        Gets what the model made of the tokens.
    edits : sequence of Edit
        What is replaced while it runs.

    Returns
    -------
    list of Run
        Each has its own rows and columns only: what was padded is not in it.
    """
    model, anatomy = subject.model, subject.anatomy
    structure = anatomy.structure
    expected = require_room_to_record(subject, many, "queries and keys")
    batch = batch_of(model, subject.tokenizer, many, side)
    with lock_of(model):
        before = ModelState.of(model, values=False)
        with for_a_trace(model):
            with (
                edited(model, edits),
                layers_reported(structure.stacks.values()),
                nullcontext() if outcome is None else outcome_of(model, outcome),
                norms_of(structure.contributions.writers, batch.size) as norms,
                record(structure.readers, model, batch.size, expected_bytes=expected) as recording,
            ):
                logits = run_for_logits(
                    model,
                    batch.inputs,
                    batch.decoder,
                    wanted=anatomy.family != "encoder",
                    plain_unembedding=anatomy.plain_unembedding,
                )
            scores = _scores_of(logits, many)
        state = before.after_a_run()
    storages = storages_of(model)
    for call in recording.calls:
        call.belongs_to(state, storages)
    located = locate_calls(
        model, recording.calls, structure.cross_modules, lengths_of(batch.inputs)
    )
    require_layers(model, structure, located, batch)
    return [
        Run(
            subject=subject,
            model_class=type(model).__name__,
            state=state,
            anatomy=anatomy,
            sides=sides,
            calls=_calls_of(located, batch, i),
            logits=logits[i],
            scores=scores[i],
            norms=_norms_of(norms, batch, i),
            inputs=_inputs_of(model, sides),
            autocast=autocast_now(device_of(model)),
            edits=tuple(edits),
        )
        for i, sides in enumerate(many)
    ]


def _inputs_of(model: Any, sides: Sides) -> dict[str, Tensor]:
    """Keyword arguments of the model's forward over one text alone."""
    ids = (sequence.ids for sequence in sides.all)
    return inputs_of(model, *ids, token_types=sides.first.token_types)


def require_layers(
    model: Any,
    structure: Structure,
    located: dict[Kind, dict[int, AttentionCall]],
    batch: Batch,
) -> None:
    """Refuse calls that are not those of the probe: rows would go to the wrong layers."""
    found = {kind: tuple(by_layer) for kind, by_layer in located.items()}
    if found != structure.layers:
        n_tokens = batch.inputs["input_ids"].shape[1]
        raise UnsupportedModelError(
            f"{type(model).__name__} attends to a text of {n_tokens:,} tokens in another "
            "way than to a short one (in chunks, say), which Glasshead cannot read. Try a shorter "
            "text."
        )


def _calls_of(
    located: dict[Kind, dict[int, AttentionCall]], batch: Batch, index: int
) -> dict[Kind, dict[int, AttentionCall]]:
    """Each call's part of one sequence."""
    if batch.size == 1:
        return located
    return {
        kind: {
            layer: call.of_sequence(index, *(of_all[index] for of_all in places_of(batch, kind)))
            for layer, call in by_layer.items()
        }
        for kind, by_layer in located.items()
    }


def places_of(batch: Batch, kind: Kind) -> tuple[list[range], list[range]]:
    """Return where each sequence lies in the rows and in the columns of a kind of attention."""
    if kind in ("self", "encoder"):
        return batch.first, batch.first
    return batch.decoder, batch.decoder if kind == "decoder" else batch.first


def _scores_of(logits: list[NextTokenLogits | None], many: Sequence[Sides]) -> list[Tensor | None]:
    """How well every token was predicted, by the model as it is now."""
    found = [of_text for of_text in logits if of_text is not None]
    if len(found) < len(many):
        return [None] * len(many)
    tokens = [sides.scored.tokens[prediction_shift(sides) :] for sides in many]
    ids = [[token.id for token in scored] for scored in tokens]
    return list(scores_together(found, ids))


def _norms_of(norms: Norms, batch: Batch, index: int) -> Norms:
    """Norms of one sequence, at its own tokens."""
    own: Norms = {}
    for (stack, layer, block), norm in norms.items():
        where = (batch.decoder if stack == "decoder" else batch.first)[index]
        own[stack, layer, block] = norm[index, where.start : where.stop]
    return own


@torch.inference_mode(mode=False)
def batch_of(model: Any, tokenizer: Any, many: Sequence[Sides], side: PadSide) -> Batch:
    """Pad sequences to one length.

    Parameters
    ----------
    model : PreTrainedModel
    tokenizer : PreTrainedTokenizerBase
    many : sequence of Sides
    side : {"right", "left"}
        On the left, positions are counted from the first real token as ``generate()`` does.
    """
    # What stands at a masked place is never looked at; any id that the model knows will do.
    pad = tokenizer.pad_token_id or 0
    left = side == "left"
    ids = [sides.first.ids for sides in many]
    first, mask, where = _padded(ids, pad, left=left, device=device_of(model))
    inputs = {"input_ids": first}
    if mask is not None:
        inputs["attention_mask"] = mask
        # By itself a plain forward counts positions from the padding on.
        if left:
            inputs["position_ids"] = (mask.cumsum(dim=-1) - 1).clamp_min(0)
    types = [sides.first.token_types for sides in many]
    if any(own is not None for own in types):
        # Where none are given the model takes zeros.
        rows = [list(own or [0] * len(row)) for own, row in zip(types, ids, strict=True)]
        inputs["token_type_ids"] = _padded(rows, 0, left=left, device=device_of(model))[0]
    decoder_ids = [sides.decoder.ids for sides in many if sides.decoder is not None]
    if not decoder_ids:
        return Batch(inputs, where, where)
    target, mask, there = _padded(decoder_ids, pad, left=False, device=device_of(model))
    inputs["decoder_input_ids"] = target
    if mask is not None:
        inputs["decoder_attention_mask"] = mask
    return Batch(inputs, where, there)


def _padded(
    ids: list[list[int]], pad: int, *, left: bool, device: torch.device
) -> tuple[Tensor, Tensor | None, list[range]]:
    most = max(map(len, ids))
    where = [range(most - len(own), most) if left else range(len(own)) for own in ids]
    if all(len(own) == most for own in ids):
        return torch.tensor(ids, device=device), None, where
    padded = torch.full((len(ids), most), pad)
    mask = torch.zeros(len(ids), most, dtype=torch.int64)
    for row, (own, place) in enumerate(zip(ids, where, strict=True)):
        padded[row, place.start : place.stop] = torch.tensor(own)
        mask[row, place.start : place.stop] = 1
    return padded.to(device), mask.to(device), where
