"""Layers that are built like one that was watched: the same is found, in less time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from glasshead_backend import Lens
from glasshead_backend.anatomy import writers as residual
from glasshead_backend.anatomy.examine import examine
from glasshead_backend.anatomy.watch import Watch
from glasshead_backend.running.as_found import for_a_trace
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from glasshead_backend.anatomy.contributions import Contributions, Writer

LAYERS = 6


def found(model: PreTrainedModel) -> Contributions:
    with for_a_trace(model):
        return examine(model).structure.contributions


def by_path(model: PreTrainedModel, writers: list[Writer]) -> list[Any]:
    paths = {id(module): path for path, module in model.named_modules()}
    return [
        (
            (writer.stack, writer.layer, writer.block, writer.rows),
            [(paths[id(part.module)], part.run, part.factor) for part in writer.parts],
        )
        for writer in writers
    ]


def watched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the layers that are watched operation by operation, as they are."""
    numbers: list[int] = []
    begin = Watch._like

    def count(watch: Watch, run: Any) -> Any:
        like = begin(watch, run)
        if like is None:
            numbers.append(len(watch.runs) - 1)
        return like

    monkeypatch.setattr(Watch, "_like", count)
    return numbers


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "gpt_neox", "olmo2", "gemma2", "bart"])
def test_layers_built_alike_have_the_contributions_that_watching_them_finds(
    model_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(model_type)
    one = found(model)
    monkeypatch.setattr(Watch, "_like", lambda *_: None)
    every = found(model)
    assert by_path(model, one.writers) == by_path(model, every.writers)
    assert by_path(model, one.streams) == by_path(model, every.streams)
    assert one.unclear == every.unclear


@pytest.mark.parametrize(
    ("model_type", "numbers"),
    [
        ("llama", [0]),
        # Of two kinds of layers, one of each.
        ("gemma2", [0, 1]),
        # With a norm behind the sum, nothing closes by numbers alone.
        ("bert", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_of_layers_built_alike_one_is_watched(
    model_type: str, numbers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(model_type, num_hidden_layers=LAYERS)
    seen = watched(monkeypatch)
    found(model)
    assert seen == numbers


def test_a_layer_that_adds_something_else_than_those_built_alike_is_watched_too() -> None:
    model = build("llama")
    layer: Any = model.get_submodule("model.layers.2")

    def halves(hidden_states: Tensor, **options: Any) -> Tensor:
        attended = layer.self_attn(layer.input_layernorm(hidden_states), **options)[0]
        hidden_states = hidden_states + 0.5 * attended
        return hidden_states + layer.mlp(layer.post_attention_layernorm(hidden_states))

    layer.forward = halves
    put_out: list[Tensor] = []
    layer.self_attn.register_forward_hook(lambda *given: put_out.append(given[2][0]))
    trace = Lens(model, tokenizer()).trace(TEXT)
    # What the user's own hook saw last: the traced forward.
    expected = 0.5 * put_out[-1][0].norm(dim=-1)
    torch.testing.assert_close(trace.norms()["attention"][2], expected)


def test_a_layer_that_numbers_contradict_makes_the_model_run_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = build("llama")
    layer: Any = model.get_submodule("model.layers.1")
    layer.forward = lambda hidden_states, **_: hidden_states * 1.5
    runs: list[bool] = []
    monkeypatch.setattr(
        residual, "Watch", lambda *given, **named: runs.append(True) or Watch(*given, **named)
    )
    unclear = found(model).unclear
    assert runs == [True]
    assert all(place[1] == 1 for place in unclear)


def test_a_layer_that_runs_again_is_not_taken_for_one_built_like_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model: Any = build("llama")
    first, second, _ = model.model.layers
    model.model.layers = torch.nn.ModuleList([first, first, second])
    runs: list[bool] = []
    monkeypatch.setattr(
        residual, "Watch", lambda *given, **named: runs.append(True) or Watch(*given, **named)
    )
    seen = watched(monkeypatch)
    assert found(model).unclear == {}
    assert seen == [0, 1]
    assert runs == []  # the model need not run once more
