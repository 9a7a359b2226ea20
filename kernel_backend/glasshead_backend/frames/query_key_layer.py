"""A layer's queries and keys as a saved page carries them, with what else makes its scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.capture.score_terms import added, key_heads, score_terms, scored_by
from glasshead_backend.frames.pack import pack
from glasshead_backend.frames.query_key import note_of
from glasshead_backend.questions.attention import attention_map
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Bool, Float, Int, UInt8
    from torch import Tensor

    from glasshead_backend.asking import Selection
    from glasshead_backend.capture.score_terms import Scored
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.trace import Trace

_ROWS = 128
"""Rows whose scores are looked at together."""

_MOST_CELLS = 4_000_000
"""Of a bias that is another in every cell."""

_ROUNDING = 1e-6
"""Of the largest score: what two numbers for one bias may be apart."""


@travels
@dataclass(frozen=True, eq=False)
class Layer:
    """What a page has of a layer.

    Attributes
    ----------
    about : dict
        How the vectors are to be read, and what else makes the scores.
    query : Tensor
        ``[heads, rows, dims]``
    key : Tensor
        ``[key heads, keys, dims]``
    """

    about: dict[str, Any]
    query: Float[Tensor, "head query dim"]
    key: Float[Tensor, "group key dim"]

    def data(self, dtype: torch.dtype) -> bytes:
        """Return the vectors: those of the queries, then those of the keys."""
        return b"".join(pack(part, dtype)["data"] for part in (self.query, self.key))

    def is_exact(self, dtype: torch.dtype) -> bool:
        """Whether a type holds every number as it is: float16 those of a model in float16."""
        return all(bool((part.to(dtype) == part).all()) for part in (self.query, self.key))

    def fits(self, dtype: torch.dtype) -> bool:
        """Whether no number is too large for a type."""
        largest = max(float(part.abs().amax()) for part in (self.query, self.key))
        return largest <= torch.finfo(dtype).max


@answered
def query_key_layer(trace: Trace, asked: Selection) -> Layer:
    """Read from a layer what makes the scores of all its rows.

    Parameters
    ----------
    trace : Trace
    asked : Selection
        Kind, layer and heads; no heads = all of the layer.

    Raises
    ------
    ValueError
        Where the scores are not made of a query and a key that are known, and where what is added
        to them is another number in every one of very many cells.
    """
    run = run_of(trace)
    of = attention_map(run, asked)
    scored, heads = scored_by(of.call), list(of.heads)
    call = scored.call
    groups = key_heads(call, heads)
    present = sorted(set(groups))
    rows = slice(scored.first_query, scored.first_query + of.n_rows)
    with undisturbed(of.call.device):
        last = score_terms(scored, heads, of.n_rows - 1)
        seen = _Seen(scored, of)
        about = {
            "kind": asked.kind,
            "layer": int(asked.layer),
            "heads": heads,
            "of_head": [present.index(group) for group in groups],
            "key_heads": len(present),
            "rows": of.n_rows,
            "keys": of.n_columns,
            "dimensions": call.query.shape[-1],
            "scaling": last.scaling,
            "softcap": last.softcap,
            "bias_words": last.bias_words,
            "note": note_of(of.call),
            "sinks": None if last.sink is None else pack(last.sink, torch.float32),
            **seen.packed(),
        }
        return Layer(
            about,
            call.query[0][heads, rows].to(call.dtype),
            call.key[0][present, scored.keys.start : scored.keys.stop].to(call.dtype),
        )


class _Seen:
    """What the rows of a layer may look at, and what is added to their scores."""

    def __init__(self, scored: Scored, of: AttentionMap) -> None:
        self._scored, self._heads = scored, list(of.heads)
        self._n_rows, self._n_keys = of.n_rows, of.n_columns
        self._device = scored.call.device
        self._bits: list[UInt8[Tensor, "head query byte"]] = []
        self._rest: list[Float[Tensor, "head query"]] = []
        self._triangular = of.n_rows == of.n_columns
        self._only_later = self._alike = True
        keys = self._n_keys
        self._biases = {
            "distance": _Candidate(len(self._heads), of.n_rows + keys - 1, self._device),
            "key": _Candidate(len(self._heads), keys, self._device),
        }
        of_blocks = (added(scored, self._heads, rows)[0] for rows in self._blocks())
        self._is_biased = any(bias is not None for bias in of_blocks)
        for block in self._blocks():
            self._look(block)

    def packed(self) -> dict[str, Any]:
        """Return it as the page has it."""
        rest = torch.cat(self._rest, dim=1)
        bits = torch.cat(self._bits, dim=1)
        bits = bits[:1] if self._alike else bits
        no_bits = (self._triangular and self._only_later) or not bits.any()
        return {
            "rest": None if rest.isneginf().all() else pack(rest, torch.float32),
            "bias": self._bias() if self._is_biased else None,
            "triangular": self._triangular,
            "hidden": None if no_bits else pack(bits, torch.uint8),
        }

    def _blocks(self) -> Iterator[range]:
        for start in range(0, self._n_rows, _ROWS):
            yield range(start, min(start + _ROWS, self._n_rows))

    def _look(self, rows: range) -> None:
        first, keys = self._scored.first_query, self._scored.keys
        call_rows = range(first + rows.start, first + rows.stop)
        scores = self._scored.call.weights(self._heads, call_rows, scores=True)
        hidden = scores[..., keys.start : keys.stop].isneginf()
        self._note_hidden(hidden, rows)
        self._rest.append(self._of_the_rest(scores, keys))
        if not self._is_biased:
            return
        bias = self._bias_of(rows)
        row = torch.arange(rows.start, rows.stop, device=self._device)[:, None]
        key = torch.arange(self._n_keys, device=self._device)
        places = {"distance": key - row + self._n_rows - 1, "key": key.expand(len(rows), -1)}
        own = scores[..., keys.start : keys.stop].masked_fill(hidden, 0.0)
        rounding = _ROUNDING * (1 + float(own.abs().amax()))
        for by, candidate in self._biases.items():
            candidate.look(bias, places[by], hidden, rounding)

    def _note_hidden(self, hidden: Bool[Tensor, "head query key"], rows: range) -> None:
        row = torch.arange(rows.start, rows.stop, device=self._device)[:, None]
        later = torch.arange(self._n_keys, device=self._device) > row
        self._triangular &= bool(hidden[:, later].all())
        self._only_later &= not bool((hidden & ~later).any())
        self._alike &= bool((hidden == hidden[:1]).all())
        self._bits.append(_as_bits(hidden))

    def _of_the_rest(
        self, scores: Float[Tensor, "head query key"], keys: range
    ) -> Float[Tensor, "head query"]:
        """Return the log-sum-exp of what takes part in the softmax beside the keys."""
        others = [scores[..., : keys.start], scores[..., keys.stop :]]
        sink = self._scored.call.sinks
        if sink is not None:
            sink = sink.to(scores.dtype).reshape(-1)[self._heads]
            others.append(sink[:, None, None].expand(-1, scores.shape[1], 1))
        return torch.cat(others, dim=-1).logsumexp(dim=-1)

    def _bias_of(self, rows: range) -> Float[Tensor, "head query key"]:
        bias, _ = added(self._scored, self._heads, rows)
        shape = len(self._heads), len(rows), self._n_keys
        return torch.zeros(shape, device=self._device) if bias is None else bias

    def _bias(self) -> dict[str, str | Packed]:
        for by, candidate in self._biases.items():
            if candidate.holds:
                return {"by": by, "values": pack(candidate.values.nan_to_num(0.0), torch.float32)}
        cells = len(self._heads) * self._n_rows * self._n_keys
        if cells > _MOST_CELLS:
            raise ValueError(f"A bias of {cells:,} numbers is too much for a page.")
        whole = torch.cat([self._bias_of(rows).cpu() for rows in self._blocks()], dim=1)
        return {"by": "cell", "values": pack(whole, torch.float32)}


class _Candidate:
    """A bias that may depend on one number only, a distance or a key: true as long as it holds."""

    def __init__(self, n_heads: int, size: int, device: torch.device) -> None:
        self.values = torch.full((n_heads, size), torch.nan, device=device)
        self.holds = True

    def look(
        self,
        bias: Float[Tensor, "head query key"],
        places: Int[Tensor, "query key"],
        hidden: Bool[Tensor, "head query key"],
        rounding: float,
    ) -> None:
        """Compare with some rows; of keys that are hidden nothing is known."""
        if not self.holds:
            return
        seen = ~hidden
        head, row, key = seen.nonzero(as_tuple=True)
        place, found = places[row, key], bias[seen].float()
        known = self.values[head, place]
        self.values[head, place] = torch.where(known.isnan(), found, known)
        off = (self.values[head, place] - found).abs()
        self.holds = not bool((off > rounding).any())


def _as_bits(flags: Bool[Tensor, "head query key"]) -> UInt8[Tensor, "head query byte"]:
    """Pack truths, eight to a byte, the first one highest."""
    missing = -flags.shape[-1] % 8
    whole = torch.nn.functional.pad(flags, (0, missing)).unflatten(-1, (-1, 8)).to(torch.uint8)
    worth = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=flags.device)
    return (whole * worth).sum(dim=-1, dtype=torch.uint8).cpu()
