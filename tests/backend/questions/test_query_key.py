"""What a score is made of: checked against softmaxes and queries and keys that are tapped here."""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.models.llama import modeling_llama

from glasshead_backend import Lens, MemoryBudgetError, ModelChangedError, Trace
from glasshead_backend.capture import score_terms
from glasshead_backend.questions.attention import select
from glasshead_backend.questions.query_key import row_of
from glasshead_backend.trace import run_of
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.parity import Float64Throughout, in_float64
from support.tiny_models import CONFIGS, TEXT, build, eager_copy, tokenizer, without_cache

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TARGET = "a lazy fox runs over the sea"
CLOSE = 1e-4
"""Of the largest score of a row: issue 14."""

TINY = (
    *("gpt2", "llama", "mistral", "phi3", "olmo", "olmo2", "qwen3", "gpt_neox", "gemma2"),
    *("gpt_oss", "bert", "albert", "t5", "bart", "marian", "gptj"),
)
CASES = (
    "bloom/BloomForCausalLM",
    "mpt/MptForCausalLM",
    "falcon/FalconForCausalLM",
    "deepseek_v2/DeepseekV2ForCausalLM",
    "gpt_neo/GPTNeoForCausalLM",
    "deberta-v2/DebertaV2ForMaskedLM",
    "xlnet/XLNetLMHeadModel",
    "prophetnet/ProphetNetForConditionalGeneration",
)


@cache
def model_of(name: str) -> PreTrainedModel:
    if name == "falcon, ALiBi":
        return falcon_with_alibi()
    model = build_case(case_or_skip(name)) if "/" in name else build(name)
    if name == "gemma2":
        model.set_attn_implementation("eager")  # SDPA leaves its soft-cap out
    return model


def falcon_with_alibi() -> PreTrainedModel:
    from transformers import FalconConfig, FalconForCausalLM  # noqa: PLC0415  slow to load

    torch.manual_seed(0)
    config = FalconConfig(
        vocab_size=96,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        alibi=True,
        multi_query=False,
        new_decoder_architecture=False,
        parallel_attn=False,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = FalconForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 2 * parameter.shape[-1] ** -0.5)
    return model.eval()


@cache
def trace_of(name: str) -> Trace:
    model = model_of(name)
    texts = (TEXT, TARGET) if model.config.is_encoder_decoder else (TEXT,)
    return Lens(model, tokenizer()).trace(*texts)


class EnteringSoftmax(TorchFunctionMode):
    """Keeps what enters every softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, key, mask = args[0], args[1], (kwargs or {})["attn_mask"]
            self.seen.append(query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + mask)
        if func in (torch.nn.functional.softmax, torch.softmax, Tensor.softmax):
            axis = (kwargs or {}).get("dim", args[1] if len(args) > 1 else -1)
            self.seen.append(args[0].detach().clone().movedim(axis, -1))
        return func(*args, **(kwargs or {}))


def scores_by_eager(name: str) -> dict[str, list[Tensor]]:
    """``{kind: [scores of each layer]}`` of the model's eager code in float64, ``[h, q, k]``."""
    model = in_float64(model_of(name))
    eager = eager_copy(model) if name in CONFIGS else copied_to_eager(model)
    if name == "falcon, ALiBi":
        # Falcon's eager code adds ALiBi to its mask and to its scores (transformers 5.23), and so
        # twice; with SDPA, which runs where nobody says otherwise, it is in the mask.
        eager = model
    n_source = len(tokenizer()(TEXT).input_ids)
    inputs = {"input_ids": torch.tensor([tokenizer()(TEXT).input_ids])}
    sizes = {"self": (n_source, n_source)}
    if model.config.is_encoder_decoder:
        target = tokenizer()(TARGET).input_ids
        start = model.config.decoder_start_token_id
        inputs["decoder_input_ids"] = torch.tensor([[start, *target[:-1]]])
        n = len(target)
        sizes = {"encoder": (n_source, n_source), "decoder": (n, n), "cross": (n, n_source)}
    if "attention_mask" in without_mask(name):
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    tap = EnteringSoftmax()
    with torch.no_grad(), Float64Throughout(), tap:
        eager(**inputs, **without_cache(eager))
    found: dict[str, list[Tensor]] = {}
    for kind, (n_queries, n_keys) in sizes.items():
        for scores in (one for one in tap.seen if one.dim() > 2):
            is_flat = scores.dim() == 3  # XLNet and the like may lead with heads
            one = scores if is_flat else scores[0] if scores.shape[0] == 1 else scores[..., 0, :, :]
            # Behind the keys may stand a sink; ProphetNet's later streams stand behind the rows.
            fits = one.dim() == 3 and one.shape[-1] in (n_keys, n_keys + 1)
            if fits and one.shape[1] in (n_queries, 3 * n_queries):
                if model.config.model_type == "gpt_oss":
                    # Each row's largest was taken away: its last column is a sink's, and known.
                    layer: Any = eager.model.layers[len(found.get(kind, ()))]
                    one = one - one[..., -1:] + layer.self_attn.sinks.detach()[:, None, None]
                found.setdefault(kind, []).append(one[:, :n_queries, :n_keys])
    return found


def without_mask(name: str) -> tuple[str, ...]:
    """Models that make no mask of their own where none is given."""
    return ("attention_mask",) if name.startswith(("bloom", "mpt", "falcon")) else ()


def copied_to_eager(model: PreTrainedModel) -> PreTrainedModel:
    config = copy.deepcopy(model.config)
    with torch.random.fork_rng():
        made = type(model)._from_config(config, attn_implementation="eager")
    made.load_state_dict(model.state_dict())
    return made.to(model.dtype).eval()


@pytest.mark.parametrize("name", [*TINY, *CASES, "falcon, ALiBi"])
def test_products_cap_bias_and_mask_make_the_scores_that_enter_eagers_softmax(name: str) -> None:
    trace = trace_of(name)
    eager = scores_by_eager(name)
    for kind in trace.kinds:
        layers = trace.layers(kind)
        assert len(eager[kind]) >= len(layers)
        for place in {0, len(layers) - 1}:
            layer, n_rows = layers[place], len(trace.queries(kind))
            shown = trace.attention(layer, kind=kind, scores=True)
            weights = trace.attention(layer, kind=kind)
            for row in (0, n_rows // 2, n_rows - 1):
                found = trace.query_key(layer, row, kind=kind)
                scores = eager[kind][place][:, row].masked_fill(found.hidden, -torch.inf)
                largest = float(scores[~found.hidden].abs().max())
                assert apart(summed(found), shown[:, row]) <= CLOSE * largest
                assert apart(summed(found), scores) <= CLOSE * largest
                assert torch.equal(found.hidden, shown[:, row].isneginf())
                assert apart(found.score, shown[:, row]) <= 1e-6 * largest
                assert apart(found.weight, weights[:, row]) <= 1e-6
                assert apart(softmax(found), weights[:, row]) <= 1e-5


def summed(found: Any) -> Tensor:
    """The score by its parts, in float64, from the products on."""
    score = found.products.double().sum(-1)
    assert apart(found.dot, score) <= CLOSE * float(found.products.abs().sum(-1).max())
    if found.softcap is not None:
        score = found.softcap * torch.tanh(score / found.softcap)
        assert apart(found.capped, score) <= CLOSE * float(score.abs().max())
    if found.bias is not None:
        score = score + found.bias.double()
    return score.masked_fill(found.hidden, -torch.inf)


def softmax(found: Any) -> Tensor:
    """The weights of the score, a sink among the keys where there is one."""
    score = summed(found)
    if found.sink is not None:
        score = torch.cat([score, found.sink.double()[:, None]], dim=-1)
    return score.softmax(dim=-1)[:, : found.score.shape[1]]


def apart(one: Tensor, other: Tensor) -> float:
    """Largest difference of what is finite; the rest has to be the same."""
    assert torch.equal(one.isneginf(), other.isneginf())
    finite = ~one.isneginf()
    return float((one.double() - other.double())[finite].abs().max())


WORDS = {
    "bloom/BloomForCausalLM": "ALiBi",
    "mpt/MptForCausalLM": "ALiBi",
    "falcon, ALiBi": "ALiBi",
    "t5": "position bias",
    "deberta-v2/DebertaV2ForMaskedLM": "position bias",
    "llama": "",
    "gptj": "",
    "gpt_oss": "",
}


@pytest.mark.parametrize("name", WORDS)
def test_what_is_added_is_called_by_its_name(name: str) -> None:
    trace = trace_of(name)
    found = trace.query_key(trace.layers(trace.kinds[0])[0], -1, kind=trace.kinds[0])
    assert found.bias_words == WORDS[name]
    assert (found.bias is None) == (found.bias_words == "")


def test_alibi_is_the_papers_slope_times_the_distance() -> None:
    # Press and others 2022: slopes of 4 heads are 2^-2, 2^-4, 2^-6, 2^-8.
    found = trace_of("mpt/MptForCausalLM").query_key(0, -1)
    assert found.bias is not None
    slopes = found.bias.diff(dim=1)
    expected = torch.tensor([2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8])
    assert torch.allclose(slopes, expected[:, None].expand_as(slopes), atol=1e-4)


@pytest.mark.parametrize("name", ["bloom/BloomForCausalLM", "mpt/MptForCausalLM"])
@pytest.mark.parametrize("head", range(4))
def test_alibi_is_called_so_in_every_head_alone(name: str, head: int) -> None:
    """A slope of 2^-8 was lost in the rounding of the scores."""
    found = trace_of(name).query_key(0, 7, head)
    assert found.bias_words == "ALiBi"


def test_t5_adds_nothing_in_its_cross_attention() -> None:
    assert trace_of("t5").query_key(0, 0, kind="cross").bias is None
    assert trace_of("t5").query_key(0, 3, kind="decoder").bias is not None


def test_a_window_hides_what_lies_too_far_back() -> None:
    found = trace_of("mistral").query_key(0, 12)
    seen = [position for position in range(20) if not found.hidden[0, position]]
    assert seen == [8, 9, 10, 11, 12]  # sliding_window=5


# ---- the products themselves ------------------------------------------------------------------


def test_gpt2s_products_are_those_of_its_own_projections() -> None:
    trace = trace_of("gpt2")
    model = in_float64(model_of("gpt2"))
    kept: list[Tensor] = []
    block = model.transformer.h[1].attn
    block.c_attn.register_forward_hook(lambda _, __, output: kept.append(output))
    with torch.no_grad():
        model(torch.tensor([tokenizer()(TEXT).input_ids]))
    query, key, _ = (
        part[0].unflatten(-1, (4, 8)).transpose(0, 1) for part in kept[0].split(32, dim=-1)
    )
    expected = query[:, 13, None] * key / 8**0.5
    found = trace.query_key(1, 13)
    assert float((found.products - expected).abs().max()) <= 1e-4 * float(expected.abs().max())
    assert float((found.query - query[:, 13]).abs().max()) <= 1e-4 * float(query.abs().max())
    assert float((found.key - key).abs().max()) <= 1e-4 * float(key.abs().max())


def test_llamas_products_are_of_rotated_queries_and_of_keys_that_heads_share() -> None:
    trace = trace_of("llama")
    model = in_float64(model_of("llama"))
    attention, kept = model.model.layers[2].self_attn, {}
    for name in ("q_proj", "k_proj"):
        getattr(attention, name).register_forward_hook(
            lambda _, __, output, name=name: kept.update({name: output})
        )
    with torch.no_grad():
        model(torch.tensor([tokenizer()(TEXT).input_ids]))
    query = kept["q_proj"].unflatten(-1, (4, 8)).transpose(1, 2)
    key = kept["k_proj"].unflatten(-1, (2, 8)).transpose(1, 2)
    cos, sin = model.model.rotary_emb(query, torch.arange(20)[None])
    query, key = modeling_llama.apply_rotary_pos_emb(query, key, cos, sin)
    expected = query[0, :, 7, None] * key[0].repeat_interleave(2, dim=0) / 8**0.5
    found = trace.query_key(2, 7)
    assert float((found.products - expected).abs().max()) <= 1e-4 * float(expected.abs().max())
    some = trace.query_key(2, 7, heads=[3, 1])
    assert torch.equal(some.products, found.products[[3, 1]])
    assert some.heads == (3, 1)


def test_a_model_in_half_precision_has_exact_scores_and_its_own_weights() -> None:
    model = build("llama").to(torch.bfloat16)
    trace = Lens(model, tokenizer()).trace(TEXT)
    found = trace.query_key(1, 15)
    assert found.products.dtype == torch.float32
    assert apart(summed(found), trace.attention(1, scores=True)[:, 15]) <= 1e-4 * 20
    exact = trace.attention(1, precision="float32")[:, 15]
    assert float((softmax(found) - exact).abs().max()) <= 1e-5
    assert apart(found.weight, trace.attention(1)[:, 15]) <= 8e-3
    assert float((softmax(found) - found.weight).abs().max()) <= 8e-3


def test_a_model_in_float64_is_followed_in_float64() -> None:
    found = Lens(in_float64(build("llama")), tokenizer()).trace(TEXT).query_key(0, 5)
    assert found.products.dtype == torch.float64
    assert apart(summed(found), found.score) <= 1e-12


@pytest.mark.parametrize("name", ["llama", "bert", "gptj", "mpt/MptForCausalLM"])
def test_padding_changes_nothing(name: str) -> None:
    texts = ["the quick brown fox", TEXT, "a whale"]
    lens = Lens(model_of(name), tokenizer())
    for text, trace in zip(texts, lens.trace_many(texts), strict=True):
        alone = lens.trace(text)
        for row in (0, -1):
            one, other = trace.query_key(1, row), alone.query_key(1, row)
            assert one.keys == other.keys
            assert one.tokens == other.tokens
            assert torch.equal(one.hidden, other.hidden)
            assert float((one.products - other.products).abs().max()) <= 1e-3
            assert apart(summed(one), one.score) <= 1e-4 * float(one.dot.abs().max())
            # MPT counts distances from the end of the batch: by a number that is the same for all.
            assert apart(one.weight, other.weight) <= 1e-4


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_stretch_of_keys_is_that_part_of_all(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["llama", "t5", "gemma2", "mpt/MptForCausalLM"]))
    trace = trace_of(name)
    kind = data.draw(st.sampled_from(trace.kinds))
    layer = data.draw(st.sampled_from(trace.layers(kind)))
    n_rows, n_keys = len(trace.queries(kind)), len(trace.keys(kind))
    row = data.draw(st.integers(-n_rows, n_rows - 1))
    first = data.draw(st.integers(0, n_keys - 1))
    end = data.draw(st.integers(first + 1, n_keys))
    heads = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True))
    part = trace.query_key(layer, row, heads, kind=kind, keys=(first, end))
    whole = trace.query_key(layer, row, kind=kind)
    assert part.position == whole.position == row % n_rows
    assert part.keys == range(first, end)
    assert part.tokens == whole.tokens[first:end]
    some = slice(first, end)
    for field in ("products", "key", "dot", "capped", "bias", "hidden", "score", "weight"):
        one, other = getattr(part, field), getattr(whole, field)
        if other is None:
            assert one is None
        else:
            torch.testing.assert_close(one, other[heads][:, some], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(part.query, whole.query[heads], rtol=0, atol=0)


# ---- tables -----------------------------------------------------------------------------------


def test_the_table_has_a_row_for_every_head_and_key() -> None:
    found = trace_of("t5").query_key(1, 2, [0, 3], kind="decoder")
    table = found.to_frame()
    assert list(table.columns) == ["head", "position", "token", "dot", "bias", "score", "weight"]
    assert table["head"].tolist() == [0] * 7 + [3] * 7
    assert table["position"].tolist() == [*range(7), *range(7)]
    assert np.array_equal(table["weight"], found.weight.flatten())
    assert table["token"].tolist()[:7] == [t.text for t in trace_of("t5").keys("decoder")]
    assert "QueryKey of token 2 in decoder attention, layer 1, heads 0, 3" in repr(found)
    assert "scaled by 1" in repr(found)


def test_the_largest_dimensions_of_every_key_come_first() -> None:
    found = trace_of("llama").query_key(1, 10, [1, 2], keys=(4, 9))
    table = found.largest(3)
    assert len(table) == 2 * 5 * 3
    assert table["position"].tolist()[:6] == [4, 4, 4, 5, 5, 5]
    for (head, position), rows in table.groupby(["head", "position"], sort=False):
        products = found.products[[1, 2].index(head), position - 4].numpy()
        order = np.argsort(-np.abs(products))[:3]
        assert rows["dimension"].tolist() == order.tolist()
        assert np.allclose(rows["product"], products[order])
        assert np.allclose(rows["product"], found.scaling * rows["query"] * rows["key"], atol=1e-5)
        assert (rows["token"] == found.tokens[position - 4]).all()
    assert len(found.largest(99)) == 2 * 5 * 8
    with pytest.raises(ValueError, match="k 0 is too small"):
        found.largest(0)


def test_how_far_keys_reach_is_over_those_that_may_be_seen() -> None:
    for name, layer in (("mistral", 0), ("gemma2", 1)):
        trace = trace_of(name)
        found = trace.query_key(layer, 14)
        row = row_of(run_of(trace), select(run_of(trace), layer), 14)
        size = found.products.abs().masked_fill(found.hidden[..., None], torch.nan)
        torch.testing.assert_close(row.mean_product, size.nanmean(dim=1), rtol=1e-4, atol=1e-6)
        largest = size.nan_to_num(0).amax(dim=1)
        torch.testing.assert_close(row.largest_product, largest, rtol=1e-4, atol=1e-6)
        order = row.mean_product.argsort(dim=1, descending=True)
        assert torch.equal(row.order, order)


# ---- memory -----------------------------------------------------------------------------------


class LargestMade(TorchDispatchMode):
    """Notes the largest tensor that an operation makes; views are not made."""

    numel = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        made = func(*args, **(kwargs or {}))
        aliases = any(one.alias_info is not None for one in func._schema.returns)
        if isinstance(made, Tensor) and not aliases:
            self.numel = max(self.numel, made.numel())
        return made


def test_a_row_makes_nothing_of_tokens_by_tokens_nor_all_keys_for_all_heads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(score_terms, "_KEY_BLOCK", 64)
    model = build("llama", max_position_embeddings=1024, num_attention_heads=8)
    n_tokens, n_heads, n_dims = 900, 8, 4
    trace = Lens(model, tokenizer()).trace(torch.arange(n_tokens) % 80 + 4)
    with LargestMade() as part:
        trace.query_key(1, n_tokens - 1, keys=(100, 116))
    assert part.numel <= 2 * n_heads * n_tokens < n_heads * n_tokens * n_dims
    with LargestMade() as reach:
        row_of(run_of(trace), select(run_of(trace), 1), n_tokens - 1)
    assert reach.numel <= 2 * n_heads * n_tokens


def test_products_that_are_too_many_are_refused_with_what_would_fit() -> None:
    lens = Lens(build("llama"), tokenizer())
    trace = lens.trace(TEXT)
    lens.memory_budget = 1_000
    with pytest.raises(MemoryBudgetError, match=r"for 3 keys at a time: keys=\(0, 3\)") as error:
        trace.query_key(0, -1)
    assert "The products of 4 heads with 20 keys" in str(error.value)


# ---- words ------------------------------------------------------------------------------------


def test_attention_in_bands_has_no_products_and_says_so() -> None:
    model = build_case(case_or_skip("longt5/LongT5ForConditionalGeneration"))
    trace = Lens(model, tokenizer()).trace(TEXT, TARGET)
    with pytest.raises(ValueError, match=r"LongT5LocalAttention attends in bands or blocks"):
        trace.query_key(0, 0, kind="encoder")
    assert trace.query_key(0, 0, kind="cross").products.shape == (4, 20, 8)


def test_half_precision_inside_a_module_is_too_coarse_and_says_so() -> None:
    model = copy.deepcopy(model_of("mpt/MptForCausalLM")).to(torch.bfloat16)
    trace = Lens(model, tokenizer()).trace(TEXT)
    with pytest.raises(ValueError, match=r"MptAttention computes its scores by itself, in torch.b"):
        trace.query_key(0, 3)


def test_a_softmax_with_more_in_it_than_scores_is_refused_with_its_module() -> None:
    case = case_or_skip("granite_swa/GraniteSWAForCausalLM")
    trace = Lens(build_case(case), tokenizer()).trace(TEXT)
    assert trace.path(0) == "eager"
    with pytest.raises(ValueError, match=r"GraniteSWAAttention makes its weights of more than the"):
        trace.query_key(0, 3)


def test_products_inside_a_module_are_not_looked_for_in_a_model_that_has_changed() -> None:
    model = copy.deepcopy(model_of("mpt/MptForCausalLM"))
    trace = Lens(model, tokenizer()).trace(TEXT)
    trace.attention(0)  # its weights are known from now on, its query and key are not
    with torch.no_grad():
        model.transformer.blocks[0].attn.Wqkv.weight.mul_(1.5)
    with pytest.raises(ModelChangedError):
        trace.query_key(0, 3)


def test_attention_that_was_given_has_no_products_and_says_so() -> None:
    trace = Trace.from_attentions(np.full((1, 2, 3, 3), 1 / 3), ["a", "b", "c"])
    with pytest.raises(ValueError, match="no queries and keys are read"):
        trace.query_key(0, 0)


def test_what_is_not_there_is_named() -> None:
    trace = trace_of("llama")
    asked: list[tuple[str, Any]] = [
        (r"layer 9 is out of range: .* has layers 0-2", lambda: trace.query_key(9, 0)),
        (r"position 20 is out of range: there are 20", lambda: trace.query_key(0, 20)),
        (r"query 1.5 is no whole number", lambda: trace.query_key(0, 1.5)),  # type: ignore[arg-type]
        (r"head 4 is out of range: .* heads 0-3", lambda: trace.query_key(0, 0, 4)),
        (r"heads is empty", lambda: trace.query_key(0, 0, [])),
        (r"kind 'cross' is not there", lambda: trace.query_key(0, 0, kind="cross")),
        (r"keys \(3, 3\) is no part of 0-20", lambda: trace.query_key(0, 0, keys=(3, 3))),
        (r"keys \(0, 21\) is no part of 0-20", lambda: trace.query_key(0, 0, keys=(0, 21))),
    ]
    for says, ask in asked:
        with pytest.raises(ValueError, match=says):
            ask()


def test_a_trace_that_is_closed_or_has_no_attention_says_so() -> None:
    lens = Lens(model_of("llama"), tokenizer())
    trace = lens.trace(TEXT)
    trace.close()
    with pytest.raises(ValueError, match="This trace is closed"):
        trace.query_key(0, 0)
    with pytest.raises(ValueError, match="scored without its attention"):
        lens.score(TEXT).query_key(0, 0)
