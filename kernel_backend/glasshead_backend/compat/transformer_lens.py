"""TransformerLens 4: the bridge around a transformers model, and what it has recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch

from glasshead_backend.anatomy.structure import UnsupportedModelError
from glasshead_backend.capture.masks import hides
from glasshead_backend.compat.objects import Inside
from glasshead_backend.text.sequences import Sides
from glasshead_backend.tracing.given_arrays import array, arrays_by_layer, weights_by_layer
from glasshead_backend.tracing.given_run import calls_of, given_run, text_of

if TYPE_CHECKING:
    from torch import Tensor

    from glasshead_backend.asking import ActivationBlock, Kind, Stack
    from glasshead_backend.tracing.run import Run

_NAME = re.compile(
    r"(?P<stack>|encoder_|decoder_)blocks\.(?P<layer>\d+)\."
    r"(?:(?P<attention>attn|self_attn|cross_attn)\.hook_(?P<what>pattern|attn_scores)"
    r"|hook_(?P<block>resid_pre|resid_post|attn_out|cross_attn_out|mlp_out))"
)
_BLOCKS: dict[str, ActivationBlock] = {
    "resid_pre": "embedding",  # of the first layer
    "resid_post": "residual",
    "attn_out": "attention",
    "cross_attn_out": "cross",
    "mlp_out": "mlp",
}
_STACKS: dict[str, Stack] = {"": "self", "encoder_": "encoder", "decoder_": "decoder"}
_LOGITS = "unembed.hook_out"
_ROWS_DIMS = 2
"""Of what there is for every token: residual streams, logits."""
_SCALED = 64
"""What a mask may be divided by with its scores: the root of a head's size."""
_WEIGHTY = 1e-3
"""Weights from here on are compared with their scores: smaller ones are rounded too much."""


def inside(model: Any) -> Inside:
    """Return the model that a ``TransformerBridge`` wraps, hooks and all.

    Raises
    ------
    UnsupportedModelError
        For the models of older versions, which are no transformers models.
    """
    found = vars(model).get("original_model") or getattr(model, "original_model", None)
    if found is None:
        raise UnsupportedModelError(
            f"{type(model).__name__} is no transformers model but TransformerLens' own. Show what "
            "it records, Trace.from_cache(cache, tokens); or load the model as a TransformerBridge "
            "(TransformerLens 4), or with transformers."
        )
    return Inside(found, getattr(model, "tokenizer", None))


class _Recorded(NamedTuple):
    """What a cache holds, by kind of attention, and by stack and block."""

    patterns: dict[Kind, dict[int, Tensor]]
    scores: dict[Kind, dict[int, Tensor]]
    activations: dict[tuple[Stack, ActivationBlock], dict[int, Tensor]]


def run_of_cache(
    cache: Any,
    tokens: Any,
    *,
    source_tokens: Any,
    logits: Any,
    tokenizer: Any,
    name: str | None,
) -> Run:
    """Make a run of what was recorded; see :meth:`Trace.from_cache`."""
    held = _held(cache)
    found = _sorted(held)
    if not found.patterns:
        raise ValueError(
            "This cache has no attention patterns (hook_pattern): run the model without a "
            "names_filter, or with one that lets them in."
        )
    model = getattr(cache, "model", None)
    tokenizer = getattr(model, "tokenizer", None) if tokenizer is None else tokenizer
    two = "self" not in found.patterns
    if two and source_tokens is None:
        raise ValueError("This cache is of an encoder-decoder model: give source_tokens as well.")
    own = text_of(tokens, "target" if two else "text", tokenizer)
    sides = Sides(text_of(source_tokens, "source", tokenizer), own) if two else Sides(own)
    return given_run(
        name or _name_of(model),
        sides,
        {
            kind: calls_of(patterns, sides, kind, found.scores.get(kind))
            for kind, patterns in found.patterns.items()
        },
        tokenizer=tokenizer,
        logits=_logits(logits, held, sides, model),
        activations=found.activations,
    )


def _held(cache: Any) -> Mapping[str, Any]:
    """Return what a cache holds by the names of its hooks."""
    held = getattr(cache, "cache_dict", cache)
    if not isinstance(held, Mapping):
        raise TypeError(
            f"A cache is what model.run_with_cache(tokens) returns second, got "
            f"{type(cache).__name__}: logits, cache = model.run_with_cache(tokens)."
        )
    return cast("Mapping[str, Any]", held)


def _sorted(held: Mapping[str, Any]) -> _Recorded:
    """Sort what is known here by what it is of."""
    found = _Recorded({}, {}, {})
    for name, value in held.items():
        part = _NAME.fullmatch(name)
        if part is None:
            continue
        stack, layer = _STACKS[part["stack"] or ""], int(part["layer"])
        if part["attention"] is None:
            block = _BLOCKS[part["block"]]
            of_block = _added(held, name) if block == "attention" else value
            if of_block is not None and (block != "embedding" or layer == 0):
                rows = _of_one_text(array(of_block, name), name)
                found.activations.setdefault((stack, block), {})[layer] = rows
            continue
        kind: Kind = "cross" if part["attention"] == "cross_attn" else stack
        if part["what"] == "pattern":
            found.patterns.setdefault(kind, {}).update(weights_by_layer({layer: value}, name))
        else:
            scores = arrays_by_layer({layer: value}, name)[layer]
            # Masks are added as the dtype's minimum.
            seen = scores.masked_fill(hides(scores), -torch.inf)
            found.scores.setdefault(kind, {})[layer] = seen
    for kind, by_layer in found.scores.items():
        patterns = found.patterns.get(kind, {})
        for layer in by_layer.keys() & patterns.keys():
            entered = _entering(by_layer.pop(layer), patterns[layer])
            if entered is not None:
                by_layer[layer] = entered
    return found


def _added(held: Mapping[str, Any], name: str) -> Any:
    """Return what attention adds to the stream; None where only what a norm made of both is known.

    Where the norm comes behind (BERT), ``hook_attn_out`` is the norm's output, stream and all.
    """
    place = name.removesuffix("hook_attn_out")
    behind = held.get(f"{place}ln1.hook_out")
    if behind is None or not torch.equal(array(held[name], name), array(behind, name)):
        return held[name]
    return held.get(f"{place}attn.o.hook_out")


def _entering(scores: Tensor, weights: Tensor) -> Tensor | None:
    """Return what entered the softmax, ``-inf`` where hidden; None where it is something else.

    For some architectures the weights are recorded as scores (GPT-J, BERT), for others scores
    before the mask (T5's decoder), or scaled after it (CodeGen). In a row, the logarithm of a
    weight is its score less a constant; a key without any weight was hidden if its score would
    give it some, or is what scaling leaves of a mask.
    """
    eps = max(torch.finfo(one.dtype).eps for one in (scores, weights))
    smallest = torch.finfo(weights.dtype).tiny
    wide, logs = scores.float(), weights.float().log()
    weighty = weights > _WEIGHTY
    gaps = (logs - wide).masked_fill(~weighty, torch.nan)
    constant = gaps.nanmean(dim=-1, keepdim=True)
    largest = wide.abs().masked_fill(~weighty, 0).amax()
    allowed = 1e-3 + 2 * eps * (1 + largest)
    if bool(((gaps - constant).abs().masked_fill(~weighty, 0) > allowed).any()):
        return None
    if not bool(constant.nan_to_num(0.0).isfinite().all()):
        return None  # weight where the score says hidden
    certain = wide + constant > torch.tensor(smallest).log() + 1
    scaled = scores <= torch.finfo(scores.dtype).min / _SCALED
    return scores.masked_fill((weights == 0) & (certain | scaled), -torch.inf)


def _of_one_text(tensor: Tensor, what: str) -> Tensor:
    """Return the rows of the tokens, without the batch around them."""
    if tensor.dim() == _ROWS_DIMS:
        return tensor
    if tensor.dim() != _ROWS_DIMS + 1 or len(tensor) != 1:
        raise ValueError(
            f"{what} has the shape {list(tensor.shape)}: a trace shows one text. Run the model "
            "over one, or take it out of the cache."
        )
    return tensor[0]


def _logits(given: Any, held: Mapping[str, Any], sides: Sides, model: Any) -> Tensor | None:
    """Return the logits that were given or recorded; None where there are none."""
    tokens = sides.all[-1].tokens
    known = all(token.id >= 0 for token in tokens)
    if given is None:
        # What the unembedding puts out is not the logits where these are capped behind it.
        capped = getattr(getattr(model, "cfg", None), "output_logits_soft_cap", None) or 0.0
        if not known or model is None or capped > 0 or _LOGITS not in held:
            return None
        given = held[_LOGITS]
    elif not known:
        raise ValueError(
            "Logits are about ids of tokens: give tokens as ids, or tokenizer=tokenizer."
        )
    found = _of_one_text(array(given, "logits"), "logits")
    if len(found) != len(tokens):
        raise ValueError(
            f"logits have {len(found)} rows, but there are {len(tokens)} tokens: a row for each."
        )
    return found


def _name_of(model: Any) -> str:
    path = str(getattr(getattr(model, "cfg", None), "model_name", "") or "A cache")
    return path.rstrip("/").rsplit("/", maxsplit=1)[-1]
