"""Weights are those of the function that ran, whatever transformers does with what it is given."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers.masking_utils import AttentionMaskInterface, eager_mask
from transformers.modeling_utils import AttentionInterface
from transformers.models.llama import modeling_llama

from glasshead_backend import Lens
from glasshead_backend.capture.oracle import _of_weights, rounding
from glasshead_backend.capture.recording import record
from glasshead_backend.trace import run_of
from support.tiny_models import TEXT, as_it_runs, build, eager_copy, tokenizer, without_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor
    from transformers import PreTrainedModel

    from glasshead_backend import Trace

dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])


def attention(trace: Trace) -> list[Tensor]:
    return [trace.attention(layer) for layer in trace.layers()]


def reported_by(reference: PreTrainedModel, trace: Trace) -> list[Tensor]:
    """What a model in eager mode says itself."""
    ids = torch.tensor([[token.id for token in trace.queries()]])
    with torch.no_grad():
        out = reference(input_ids=ids, output_attentions=True, **without_cache(reference))
    return [weights[0].float() for weights in out.attentions]


def test_a_row_that_looks_nowhere_hides_no_difference_of_another() -> None:
    own = torch.tensor([[[[torch.nan, torch.nan], [0.5, 0.5]]]])
    theirs = torch.tensor([[[[0.0, 0.0], [0.9, 0.1]]]])
    assert _of_weights(own, theirs) == pytest.approx(0.4)
    assert _of_weights(own[:, :, :1], theirs[:, :, :1]) == 0


def test_weights_may_differ_by_a_few_roundings_of_the_largest_score() -> None:
    call: Any = run_of(Lens(build("llama"), tokenizer()).trace(TEXT)).call(0)
    query, key = (one.double().square().sum(-1).sqrt().max() for one in (call.query, call.key))
    largest = float(query * key) / 8**0.5  # heads of 8 numbers
    assert float(rounding(call, range(call.n_queries))) == pytest.approx(
        16 * 2**-23 * (1 + largest), rel=1e-5
    )


@pytest.fixture
def registered() -> Iterator[Callable[[str, Any], None]]:
    """Register attention functions as users do, for one test."""
    functions = AttentionInterface._global_mapping
    before = dict(functions)
    yield AttentionInterface.register
    functions.clear()
    functions.update(before)


def careless_sdpa(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Leave out everything but the mask, as transformers' SDPA does with Gemma 2 up to 5.20."""
    output = torch.nn.functional.scaled_dot_product_attention(
        query,
        key.repeat_interleave(module.num_key_value_groups, dim=1),
        value.repeat_interleave(module.num_key_value_groups, dim=1),
        attn_mask=mask,
        scale=options["scaling"],
        is_causal=mask is None,
    )
    return output.transpose(1, 2), None


def assert_equal(trace: Trace, expected: list[Tensor], dtype: torch.dtype) -> None:
    if dtype == torch.bfloat16:
        # Later layers differ by what SDPA and eager round differently before.
        torch.testing.assert_close(trace.attention(0), expected[0], rtol=0, atol=1e-2)
        return
    for own, theirs in zip(attention(trace), expected, strict=True):
        torch.testing.assert_close(own, theirs, rtol=0, atol=1e-5)


@dtypes
def test_a_soft_cap_that_the_attention_function_leaves_out_is_left_out_of_the_weights(
    dtype: torch.dtype, registered: Callable[[str, Any], None]
) -> None:
    registered("sdpa", careless_sdpa)
    model = build("gemma2", attn_logit_softcapping=2.0).to(dtype)
    model.config._attn_implementation_internal = "sdpa"
    trace = Lens(model, tokenizer()).trace(TEXT)
    # The reference: transformers' own eager code, told that there is no cap.
    uncapped = as_it_runs(model, eager_copy(model))
    assert_equal(trace, reported_by(uncapped, trace), dtype)
    # And with the cap it would be another picture.
    capped = copy.deepcopy(model)
    capped.set_attn_implementation("eager")
    assert (trace.attention(0) - reported_by(capped, trace)[0]).abs().max() > 0.2


@dtypes
def test_sinks_that_the_attention_function_leaves_out_take_no_weight(
    dtype: torch.dtype, registered: Callable[[str, Any], None]
) -> None:
    registered("sdpa", careless_sdpa)
    model = build("gpt_oss").to(dtype)
    without_sinks = eager_copy(model)
    model.config._attn_implementation_internal = "sdpa"
    trace = Lens(model, tokenizer()).trace(TEXT)
    # The reference: transformers' own eager code with sinks that draw nothing.
    for name, parameter in without_sinks.named_parameters():
        if name.endswith("sinks"):
            parameter.data.fill_(-1e4)
    assert_equal(trace, reported_by(without_sinks, trace), dtype)
    torch.testing.assert_close(trace.attention(0).sum(-1), torch.ones(4, 20), rtol=0, atol=1e-2)


def test_a_function_of_the_users_own_shows_the_weights_that_it_returns(
    registered: Callable[[str, Any], None],
) -> None:
    model = build("llama")
    whole = Lens(model, tokenizer()).trace(TEXT).attention(0)
    stock = vars(modeling_llama)["eager_attention_forward"]

    def knocked_out(
        module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, **options: Any
    ) -> tuple[Tensor, Tensor]:
        """Hide the first token from all others, as experiments do."""
        weights = stock(module, query, key, value, mask, **options)[1]
        weights = weights * (torch.arange(weights.shape[-1]) > 0)
        values = value.repeat_interleave(module.num_key_value_groups, dim=1)
        return (weights @ values).transpose(1, 2), weights

    registered("knocked_out", knocked_out)
    AttentionMaskInterface.register("knocked_out", eager_mask)
    model.set_attn_implementation("knocked_out")
    trace = Lens(model, tokenizer()).trace(TEXT)
    assert trace.path(0) == "eager"
    assert not trace.attention(0)[:, :, 0].any()
    # In the first layer nothing else has changed yet.
    torch.testing.assert_close(trace.attention(0)[:, :, 1:], whole[:, :, 1:])
    assert model.config._attn_implementation == "knocked_out"


def test_weights_that_do_not_explain_what_was_put_out_are_refused(
    registered: Callable[[str, Any], None],
) -> None:
    def inverted(*args: Any, **options: Any) -> tuple[Tensor, None]:
        return -careless_sdpa(*args, **options)[0], None

    registered("sdpa", inverted)
    trace = Lens(build("llama"), tokenizer()).trace(TEXT)
    with pytest.raises(ValueError, match="'inverted' put out in LlamaAttention is not its values"):
        trace.attention(0)
    assert trace.predictions().surprisal[1:].isfinite().all()


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_the_functions_of_the_models_file_come_back_after_an_error(implementation: str) -> None:
    model = build("llama")
    model.set_attn_implementation(implementation)
    before = dict(vars(modeling_llama)), dict(vars(AttentionInterface))
    during = before

    def fail() -> None:
        nonlocal during
        with record((), model):
            during = dict(vars(modeling_llama)), dict(vars(AttentionInterface))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert during != before
    assert (dict(vars(modeling_llama)), dict(vars(AttentionInterface))) == before
