"""Whether what a trace calls a block's contribution is what makes the sum close, by own hooks.

Of every layer the input and output are kept, and what goes into and comes out of each norm in it.
Input plus contributions must be the output; where a norm stands on the way, what goes into it.
"""

from __future__ import annotations

import itertools
import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from support.architectures.reference import call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from glasshead_backend import Trace

_BLOCKS = ("attention", "cross", "mlp", "mixer", "other")
_TOLERANCE = 2e-5


@dataclass
class _Run:
    """One run of one layer."""

    taken_in: Tensor
    put_out: Tensor | None = None
    norms: list[tuple[Tensor, Tensor]] = field(default_factory=list["tuple[Tensor, Tensor]"])


def check_contributions(trace: Trace, inputs: dict[str, Tensor]) -> str:
    """Say how the blocks of every layer add up.

    Parameters
    ----------
    trace : Trace
    inputs : dict
        Arguments of a forward over the same text.

    Returns
    -------
    str
        "closes", "closes behind the norm", "closes, stream scaled", "refused: ..." with the reason,
        or "wrong: ..."; several joined by "; ".
    """
    found: list[str] = []
    stacks = trace.lens.anatomy.structure.stacks
    runs = _watched(trace.lens.model, stacks, inputs)
    for stack in stacks:
        kind: Any = stack
        sequence = trace.sequences[-1] if stack == "decoder" else trace.sequences[0]
        unclear = trace.unclear_blocks(kind)
        norms = trace.norms(kind)
        layers = set(range(len(runs[stack]))).union(*norms.values(), *unclear.values())
        for layer in sorted(layers):
            added: list[Tensor] = []
            for block in _BLOCKS:
                if layer in norms.get(block, {}):
                    added.append(trace.activations(layer, block, kind=kind))  # type: ignore[arg-type]
                    if not _same(norms[block][layer], added[-1].float().norm(dim=-1)):
                        found.append(f"wrong: norms of {block} in layer {layer}")
            why = sorted({of[layer] for of in unclear.values() if layer in of})
            found += [f"refused: {one}" for one in why]
            there = layer < len(runs[stack]) and added
            closes = _closes(runs[stack][layer], added, len(sequence.tokens)) if there else ""
            if closes or not why:
                found.append(closes or f"wrong: layer {layer} ({stack}) does not add up")
    return "; ".join(dict.fromkeys(found))


def summary(said: str) -> str:
    """Say in short what :func:`check_contributions` found, the same reason once."""
    found: list[str] = []
    refused: dict[str, list[str]] = {}
    for one in said.split("; "):
        words = re.fullmatch(r"refused: Layer \d+ of \w+: (.*) is not known: (.*)\.", one)
        if words is None:
            found.append(one)
            continue
        block = re.search(r"its (\w+) adds", words[1])
        named = block[1] if block else "residual"
        blocks = refused.setdefault(re.sub(r"\d+ and \d+", "", words[2]).strip(), [])
        if named not in blocks:
            blocks.append(named)
    found += [f"refused: {', '.join(blocks)} ({why})" for why, blocks in refused.items()]
    return "; ".join(dict.fromkeys(found))


@torch.no_grad()
def _watched(
    model: Any, stacks: dict[Any, tuple[nn.Module, ...]], inputs: dict[str, Tensor]
) -> dict[str, list[_Run]]:
    """Run the model; keep copies of what goes into and comes out of layers and norms."""
    runs: dict[str, list[_Run]] = {stack: [] for stack in stacks}
    with ExitStack() as stack:
        for name, layers in stacks.items():
            for layer in {id(layer): layer for layer in layers}.values():
                _watch(layer, runs[name], stack)
        call(model, inputs)
    return runs


def _watch(layer: nn.Module, runs: list[_Run], stack: ExitStack) -> None:
    def begin(_: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = args[0] if args else kwargs["hidden_states"]
        runs.append(_Run(given.clone()))

    def end(_: object, __: object, output: Any) -> None:
        runs[-1].put_out = _first(output).clone()

    def keep(_: object, args: tuple[Any, ...], output: Any) -> None:
        if args and runs:
            runs[-1].norms.append((args[0].clone(), _first(output).clone()))

    stack.callback(layer.register_forward_pre_hook(begin, with_kwargs=True).remove)
    stack.callback(layer.register_forward_hook(end).remove)
    for module in layer.modules():
        if "norm" in type(module).__name__.lower():
            stack.callback(module.register_forward_hook(keep).remove)


def _first(output: Any) -> Tensor:
    if isinstance(output, dict):
        output = tuple(output.values())
    return output if isinstance(output, torch.Tensor) else output[0]


def _closes(run: _Run, added: Sequence[Tensor], n_tokens: int) -> str:
    """Say how a layer's input and contributions make its output; nothing if they do not."""
    assert run.put_out is not None
    x, y = _rows(run.taken_in), _rows(run.put_out)
    if len(x) != len(y) or any(one.shape != (n_tokens, x.shape[-1]) for one in added):
        return ""
    # Some models put prompts before the text, or padding behind it.
    for first in range(len(x) - n_tokens + 1):
        here = slice(first, first + n_tokens)
        if _same(x[here] + sum(added), y[here]):
            return "closes"
    for first in range(len(x) - n_tokens + 1):
        here = slice(first, first + n_tokens)
        norms = [(_rows(a), _rows(b)) for a, b in run.norms if a.shape == run.taken_in.shape]
        norms = [(a[here], b[here]) for a, b in norms]
        if _through_norms(x[here], y[here], list(added), norms):
            return "closes behind the norm"
        if _scaled(x[here], y[here], added):
            return "closes, stream scaled"
    return ""


def _rows(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1, tensor.shape[-1]).float()


def _through_norms(
    state: Tensor, y: Tensor, added: list[Tensor], norms: list[tuple[Tensor, Tensor]]
) -> bool:
    """Whether contributions lead from state to output with norms of the stream between them."""
    if _same(state + sum(added, start=torch.zeros(())), y):
        return True
    for at, (into, out) in enumerate(norms):
        for n in range(len(added) + 1):
            for some in itertools.combinations(range(len(added)), n):
                if _same(state + sum((added[i] for i in some), start=torch.zeros(())), into):
                    rest = [one for i, one in enumerate(added) if i not in some]
                    if _through_norms(out, y, rest, norms[at + 1 :]):
                        return True
    return False


def _scaled(x: Tensor, y: Tensor, added: Sequence[Tensor]) -> bool:
    """Whether only the stream is scaled and shifted, by channel: what comes last has factor 1."""
    parts = (
        torch.stack([torch.ones_like(x), x, *added], dim=-1).double().movedim(1, 0)
    )  # [hidden, token, part]
    solved = torch.linalg.lstsq(parts, y.double().t()[..., None], driver="gelsd").solution
    if not _same((parts @ solved)[..., 0].t(), y):
        return False
    last = solved[:, -1, 0]
    return bool((last - 1).abs().max() < 1e-3)


def _same(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape:
        return False
    return bool((a - b).abs().amax() <= _TOLERANCE * b.abs().amax().clamp_min(1e-6))
