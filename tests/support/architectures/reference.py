"""What attention really is: transformers' own eager mode, run on a copy of the model.

Nothing here uses Glasshead. Where a model's ``output_attentions`` is missing, or is not what its
name says, the softmaxes of the same run are taken instead.
"""

from __future__ import annotations

import copy
import inspect
import itertools
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from support.architectures.unfolding import unfolded
from support.parity import Float64Throughout
from support.tiny_models import as_it_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

_SOFTMAXES = (torch.nn.functional.softmax, torch.softmax, Tensor.softmax)
_NAMES = {
    "self": "attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}
_NO_MAPS = ("linear", "mamba", "conv", "recurrent", "moe", "mlp", "lightning", "xlstm")
"""What the names of layer types without an attention map hold."""


@dataclass(frozen=True, eq=False)
class Reference:
    """One eager run.

    Attributes
    ----------
    reported : dict
        Per kind what ``output_attentions`` says, an entry per layer (None = no attention).
    tapped : list of Tensor
        Every softmax taken, in order, its axis moved to the end.
    batch : int
        Sequences in the run.
    lengths : dict
        Queries and keys of every kind, padding included.
    layout : str
        "band" where the model's windows make it report bands, "summaries" where the keys of the
        tokens are followed by others, else "map".
    """

    reported: dict[str, list[Tensor | None]]
    tapped: list[Tensor]
    batch: int
    lengths: dict[str, tuple[int, int]]
    layout: str

    def maps(self, kind: str, n_queries: int, n_keys: int) -> list[Tensor | None]:
        """Attention of a kind by layer, ``[batch, heads, queries, keys]``; empty if unreported."""
        maps = [
            unfolded(one, n_queries, layer, "map" if kind == "cross" else self.layout)
            for layer, one in enumerate(self.reported.get(kind, []))
        ]
        given = [one for one in maps if one is not None]
        return maps if given and all(_is_map(one, n_queries, n_keys) for one in given) else []

    def softmaxes(self, n_queries: int, n_keys: int) -> list[Tensor]:
        """All softmaxes that have the size of a map, ``[batch, heads, queries, keys]``."""
        arranged = (_arranged(one, self.batch, n_queries, n_keys) for one in self.tapped)
        return [one for one in arranged if one is not None]


def run_eager(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Reference:
    """Run a copy of the model in eager mode, and keep all it says about attention.

    Of a model in float64 nothing is cast to float32 on the way.
    """
    # Built anew: some models cannot change their implementation once they are there.
    config = copy.deepcopy(model.config)
    reference = type(model)._from_config(config, attn_implementation="eager")
    reference.load_state_dict(model.state_dict())
    as_it_runs(model, reference).to(model.dtype).eval()
    tap = _Tap()
    exactly = Float64Throughout() if model.dtype == torch.float64 else nullcontext()
    with torch.no_grad(), exactly, tap:
        output = call(reference, inputs, output_attentions=True)
    reported = {
        kind: list(output[name])
        for kind, name in _NAMES.items()
        if any(one is not None for one in output.get(name) or ())
    }
    batch, n_first = inputs["input_ids"].shape
    lengths = {"self": (n_first, n_first)}
    if "decoder_input_ids" in inputs:
        n_target = inputs["decoder_input_ids"].shape[1]
        lengths = {
            "encoder": (n_first, n_first),
            "decoder": (n_target, n_target),
            "cross": (n_target, n_first),
        }
    layout = "band" if hasattr(config, "attention_window") else "map"
    layout = "summaries" if hasattr(config, "compress_rates") else layout
    return Reference(reported, tap.seen, batch, lengths, layout)


def call(model: Any, inputs: dict[str, Tensor], **options: Any) -> Any:
    """Run a forward without a cache."""
    takes = inspect.signature(model.forward).parameters
    if "use_cache" in takes:
        options["use_cache"] = False
    any_taken = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes.values())
    given = {name: one for name, one in options.items() if any_taken or name in takes}
    return model(**inputs, **given)


def layers_with_attention(model: PreTrainedModel, kind: str) -> list[int] | None:
    """Numbers of the layers that have attention, by the configuration; None if it does not say."""
    if kind not in ("self", "decoder"):
        return None
    config = model.config.get_text_config(decoder=True)
    types = getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None)
    if not types or not all(isinstance(one, str) for one in types):
        return None
    return [i for i, one in enumerate(types) if not any(part in one for part in _NO_MAPS)]


class _Tap(TorchFunctionMode):
    """Keeps the result of every softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func in _SOFTMAXES:
            axis = kwargs.get("dim", args[1] if len(args) > 1 else -1)
            self.seen.append(result.detach().movedim(-1 if axis is None else axis, -1))
        return result


def _is_map(one: Tensor, n_queries: int, n_keys: int) -> bool:
    """Whether it is a distribution over keys for each query (some report scores instead)."""
    if not isinstance(one, Tensor) or one.shape[-2:] != (n_queries, n_keys) or one.dim() != 4:
        return False
    sums = one.sum(-1)
    return bool((one >= 0).all()) and bool((sums <= 1 + 1e-3).all())


def _arranged(one: Tensor, batch: int, n_queries: int, n_keys: int) -> Tensor | None:
    """Bring a softmax into the usual order of axes; None when it is no map of this size."""
    streams = one.shape[2] / n_queries if one.dim() == 4 else 1
    if streams > 1 and streams == int(streams):  # ProphetNet: the later streams look further ahead
        one = one[:, :, :n_queries]
    if one.shape[-1] == n_keys + 1:  # the last column is a sink's
        one = one[..., :-1]
    if one.dim() < 3 or one.shape[-1] != n_keys:
        return None
    if one.dim() == 3:
        fits = one.shape[1] == n_queries and one.shape[0] % batch == 0
        return one.unflatten(0, (batch, -1)) if fits else None
    for order in itertools.permutations(range(3)):
        turned = one.permute(*order, 3) if one.dim() == 4 else None
        if turned is not None and (turned.shape[0], turned.shape[2]) == (batch, n_queries):
            return turned
    return None
