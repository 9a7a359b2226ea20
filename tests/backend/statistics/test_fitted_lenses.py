"""Tuned and Jacobian lenses, against translations, gradients and Jacobians written by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from glasshead_backend import Cancelled, FittedLens, Lens, LogitLens, fit_lens, logit_lens
from glasshead_backend.questions.fitted_lens import fingerprint
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.tiny_models import CONFIGS, TEXT, build, tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from glasshead_backend import Step, Trace

TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "the old whale runs away from the sea",
    "a lazy dog and a brown fox at sea",
    "the fox runs over the old dog and away",
]
TARGETS = ["a lazy fox runs", "the whale jumps away", "the old sea", "a dog at sea"]
# Norms in front, behind (olmo2, gemma2), parallel blocks (gpt_neox, gptj), experts (gpt_oss,
# mixtral), no final norm (bart, marian), scaled logits (cohere, granite), tokens first (fsmt),
# layers without attention (jamba).
MODELS = (
    *("gpt2", "llama", "olmo2", "gemma2", "gpt_neox", "gptj", "gpt_oss", "t5", "bart", "marian"),
    *("mixtral/MixtralForCausalLM", "cohere/CohereForCausalLM", "granite/GraniteForCausalLM"),
    *("fsmt/FSMTForConditionalGeneration", "jamba/JambaForCausalLM"),
)


@cache
def lens_of(model_type: str) -> Lens:
    known = model_type in CONFIGS
    model = build(model_type) if known else build_case(case_or_skip(model_type))
    return Lens(model, tokenizer())


def trace_of(lens: Lens) -> Trace:
    return lens.trace(TEXT, TARGETS[0] if lens.family == "encoder-decoder" else None)


def fitted_to(lens: Lens, kind: Any = "jacobian", **given: Any) -> FittedLens:
    targets = TARGETS if lens.family == "encoder-decoder" else None
    given = {"n_samples": 1, "n_steps": 1, "targets": targets, **given}
    return fit_lens(lens, TEXTS, kind, **given)


def random_lens(lens: Lens, n_layers: int, hidden: int) -> FittedLens:
    """A lens that nobody has fitted: numbers as they come."""
    drawn = torch.Generator().manual_seed(3)
    change = torch.randn(n_layers, hidden, hidden, generator=drawn) / hidden**0.5
    bias = torch.randn(n_layers, hidden, generator=drawn)
    change[-1], bias[-1] = 0, 0
    nothing = torch.full((n_layers,), torch.nan)
    return FittedLens(
        kind="tuned",
        change=change,
        bias=bias,
        kl=nothing,
        kl_logit_lens=nothing,
        n_texts=3,
        n_tokens=20,
        n_held_out=0,
        model=lens.name,
        fingerprint=fingerprint(lens.model),
    )


@torch.no_grad()
def states_of(model: Any, layers: Any, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """What each layer puts out."""
    states: list[torch.Tensor] = []
    handles = [
        layer.register_forward_hook(
            lambda _, __, out: states.append(out[0] if isinstance(out, tuple) else out)
        )
        for layer in layers
    ]
    model(**inputs)
    for handle in handles:
        handle.remove()
    return states


def inputs_of(trace: Trace) -> dict[str, torch.Tensor]:
    return {"input_ids": torch.tensor([trace.sequences[0].ids]), "use_cache": False}  # type: ignore[dict-item]


# --- reading --------------------------------------------------------------------------------------
@pytest.mark.parametrize("model_type", MODELS)
def test_a_lens_that_is_the_identity_reads_exactly_as_the_logit_lens(model_type: str) -> None:
    lens = lens_of(model_type)
    trace = trace_of(lens)
    fitted = fitted_to(lens)
    same = replace(
        fitted, change=torch.zeros_like(fitted.change), bias=torch.zeros_like(fitted.bias)
    )
    plain, read = logit_lens(trace), logit_lens(trace, fitted=same)
    assert torch.equal(read.surprisal.nan_to_num(), plain.surprisal.nan_to_num())
    assert torch.equal(read.top_ids, plain.top_ids)
    here, there = trace.layer_readings(2), trace.layer_readings(2, fitted=same)
    assert torch.equal(here.top_probability, there.top_probability)
    # Another lens reads other things, but for the last layer: that is what the model predicts.
    other = logit_lens(trace, fitted=fitted)
    assert not torch.equal(other.surprisal[0].nan_to_num(), plain.surprisal[0].nan_to_num())
    assert torch.equal(other.surprisal[-1].nan_to_num(), plain.surprisal[-1].nan_to_num())
    assert other.surprisal[:, -1].isfinite().all()


@pytest.mark.parametrize(
    ("model_type", "path", "behind"),
    [
        ("llama", "model.layers", "model.norm"),
        ("olmo2", "model.layers", "model.norm"),
        ("gpt2", "transformer.h", "transformer.ln_f"),
    ],
)
@torch.no_grad()
def test_layers_are_read_by_norm_and_unembedding_of_the_translated_state(
    model_type: str, path: str, behind: str
) -> None:
    lens = lens_of(model_type)
    model: Any = lens.model
    trace = trace_of(lens)
    states = states_of(model, model.get_submodule(path), inputs_of(trace))
    fitted = random_lens(lens, 3, 32)
    logits: list[np.ndarray] = []
    for state, change, bias in zip(states, fitted.change, fitted.bias, strict=True):
        moved = (state + state @ change.T + bias)[0]
        logits.append(model.lm_head(model.get_submodule(behind)(moved)).double().numpy())
    log_p = log_softmax(np.stack(logits), axis=-1)
    true = [token.id for token in trace.tokens][1:]
    expected = -np.take_along_axis(log_p[:, :-1], np.array(true)[None, :, None], axis=-1)[..., 0]
    found = logit_lens(trace, fitted=fitted)
    np.testing.assert_allclose(found.surprisal[:, 1:], expected, rtol=1e-4, atol=1e-4)
    one = trace.layer_readings(4, fitted=fitted, k=3)
    assert one.top_ids.tolist() == np.argsort(-log_p[:, 3], axis=-1)[:, :3].tolist()
    np.testing.assert_allclose(one.surprisal, expected[:, 3], rtol=1e-4, atol=1e-4)
    assert one.read_by == "tuned lens, fitted on 3 texts"
    assert trace.layer_readings(4).read_by == "logit lens"
    assert "tuned lens, fitted on 3 texts" in repr(one)


def test_a_chart_says_by_which_lens_it_is_read() -> None:
    lens = lens_of("llama")
    metric = LogitLens(fitted=random_lens(lens, 3, 32))
    assert repr(metric) == "LogitLens(fitted=<tuned lens, fitted on 3 texts>)"
    chart = metric.measure(trace_of(lens)).chart()
    assert chart.title.endswith("(tuned lens, fitted on 3 texts)")


# --- the Jacobian lens ----------------------------------------------------------------------------
def jacobian_by_hand(model: Any, layers: Any, layer: int, inputs: Any) -> torch.Tensor:
    """``d last[t] / d state[t]`` of each position, ``[tokens, hidden, hidden]``, by autograd."""
    states = states_of(model, layers, inputs)

    def last(state: torch.Tensor) -> torch.Tensor:
        found: list[torch.Tensor] = []

        def put(_: Any, __: Any, out: Any) -> Any:
            return (state, *out[1:]) if isinstance(out, tuple) else state

        def take(_: Any, __: Any, out: Any) -> None:
            found.append(out[0] if isinstance(out, tuple) else out)

        handles = [layers[layer].register_forward_hook(put)]
        handles.append(layers[-1].register_forward_hook(take))
        model(**inputs)
        for handle in handles:
            handle.remove()
        return found[0]

    whole: Any = torch.autograd.functional.jacobian(last, states[layer])
    at = range(states[layer].shape[1])
    return torch.stack([whole[0, t, :, 0, t] for t in at])


def test_the_jacobian_of_single_tokens_is_the_mean_of_autograds() -> None:
    lens = lens_of("gemma2")
    model: Any = lens.model
    layers = model.model.layers
    texts = ["whale", "fox"]
    traces = [lens.trace(text) for text in texts]
    assert [len(trace.tokens) for trace in traces] == [1, 1]
    fitted = fit_lens(lens, texts, "jacobian", held_out=0, n_samples=2)
    inputs = [inputs_of(trace) for trace in traces]
    states = [torch.stack(states_of(model, layers, one))[:, 0, 0] for one in inputs]
    mean = torch.stack(states).mean(dim=0)
    for layer in (0, 1):
        by_hand = [jacobian_by_hand(model, layers, layer, one)[0] for one in inputs]
        expected = torch.stack(by_hand).mean(dim=0)
        found = fitted.change[layer] + torch.eye(32)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        bias = mean[-1] - expected @ mean[layer]
        np.testing.assert_allclose(fitted.bias[layer], bias, rtol=1e-3, atol=1e-4)
    assert not fitted.change[-1].any()
    assert not fitted.bias[-1].any()


def test_what_a_state_does_to_later_positions_averages_out_of_the_jacobian() -> None:
    lens = lens_of("llama")
    layers = lens.model.model.layers
    trace = lens.trace(TEXTS[0])
    expected = jacobian_by_hand(lens.model, layers, 0, inputs_of(trace)).mean(dim=0)
    size = float((expected - torch.eye(32)).norm())
    off: list[float] = []
    for n in (8, 128):
        fitted = fit_lens(lens, TEXTS[:1], "jacobian", held_out=0, n_samples=n)
        off.append(float((fitted.change[0] + torch.eye(32) - expected).norm()) / size)
    assert off[0] < 2
    assert off[1] < 0.4 * off[0]  # sixteen times as many samples: a quarter, but for chance


# --- the tuned lens -------------------------------------------------------------------------------
def test_the_first_step_of_a_tuned_lens_goes_down_the_gradient_of_its_kl() -> None:
    lens = lens_of("llama")
    model: Any = lens.model
    trace = lens.trace(TEXTS[0])
    states = states_of(model, model.model.layers, inputs_of(trace))
    rate = 1e-4
    fitted = fit_lens(lens, TEXTS[:1], held_out=0, n_steps=1, learning_rate=rate)
    predicted = model(**inputs_of(trace)).logits[0].detach().log_softmax(-1)
    for layer in (0, 1):
        change = torch.zeros(32, 32, requires_grad=True)
        bias = torch.zeros(32, requires_grad=True)
        moved = states[layer] + states[layer] @ change.T + bias
        said = model.lm_head(model.model.norm(moved))[0].log_softmax(-1)
        loss = torch.nn.functional.kl_div(said, predicted, log_target=True, reduction="batchmean")
        by_change, by_bias = torch.autograd.grad(loss, (change, bias))
        # Adam's first step is the gradient's sign, wherever it is far from its epsilon.
        clear = by_change.abs() > 1e-3 * by_change.abs().max()
        expected = -rate * by_change.sign()
        np.testing.assert_allclose(fitted.change[layer][clear], expected[clear], rtol=1e-2)
        np.testing.assert_allclose(fitted.bias[layer], -rate * by_bias.sign(), rtol=1e-1)


def test_a_tuned_lens_reads_a_trained_model_better_on_texts_that_it_has_not_seen() -> None:
    lens = Lens.demo("decoder")
    text = "The old whale saw the ship, and the captain saw the old whale. The ship was lost."
    fitted = fit_lens(lens, [text] * 3, n_steps=12, learning_rate=1e-2, batch_size=1)
    assert fitted.n_texts == 2
    assert fitted.n_held_out == 1
    # KL of the logit lens and of the fitted lens, by the model's own modules.
    model: Any = lens.model
    inputs = inputs_of(lens.trace(text))
    with torch.no_grad():
        predicted = model(**inputs).logits[0].double().log_softmax(-1)
        state = states_of(model, model.model.layers, inputs)[0]
        moved = state + state @ fitted.change[0].T + fitted.bias[0]
        said = [
            model.lm_head(model.model.norm(one))[0].double().log_softmax(-1)
            for one in (state, moved)
        ]
    before, after = (float((predicted.exp() * (predicted - q)).sum(-1).mean()) for q in said)
    frame = fitted.to_frame()
    assert frame["kl_logit_lens"][0] == pytest.approx(before, rel=1e-3)
    assert frame["kl"][0] == pytest.approx(after, rel=1e-3)
    assert frame["kl"][1] == frame["kl_logit_lens"][1] == pytest.approx(0, abs=1e-5)
    assert after < 0.6 * before


def test_the_same_seed_fits_the_same_lens() -> None:
    lens = lens_of("gpt2")
    one, same = (fitted_to(lens, "tuned", n_tokens=6, seed=4) for _ in range(2))
    assert torch.equal(one.change, same.change)
    other = fitted_to(lens, "tuned", n_tokens=6, seed=5)
    assert not torch.equal(one.change, other.change)


# --- files, models --------------------------------------------------------------------------------
def test_a_lens_is_what_it_was_when_it_is_read_from_its_file(tmp_path: Path) -> None:
    lens = lens_of("llama")
    fitted = fitted_to(lens)
    fitted.save(tmp_path / "lens.safetensors")
    (tmp_path / "plain").touch()
    assert len({one.stat().st_mode for one in tmp_path.iterdir()}) == 1
    read = FittedLens.load(tmp_path / "lens.safetensors")
    assert torch.equal(read.change, fitted.change)
    assert torch.equal(read.bias, fitted.bias)
    assert read.label == fitted.label == "Jacobian lens, fitted on 3 texts"
    assert read.to_frame().equals(fitted.to_frame())
    trace = trace_of(lens)
    assert torch.equal(
        trace.layer_readings(4, fitted=read).surprisal,
        trace.layer_readings(4, fitted=fitted).surprisal,
    )
    # The model is the same in another dtype, too.
    half = Lens(build("llama").to(torch.bfloat16), tokenizer())
    assert trace_of(half).layer_readings(4, fitted=read).surprisal.isfinite().all()


def test_a_file_of_something_else_is_no_lens(tmp_path: Path) -> None:
    from safetensors.torch import save_file  # noqa: PLC0415

    save_file({"change": torch.zeros(2)}, tmp_path / "weights.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    for name in ("weights.safetensors", "text.safetensors"):
        with pytest.raises(ValueError, match=f"{name} holds no fitted lens"):
            FittedLens.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        FittedLens.load(tmp_path / "nowhere.safetensors")


def test_a_lens_of_another_model_is_refused_by_name() -> None:
    fitted = fitted_to(lens_of("llama"))
    other = Lens(build("llama", seed=1), tokenizer())
    for ask in (
        lambda trace: trace.layer_readings(4, fitted=fitted),
        lambda trace: logit_lens(trace, fitted=fitted),
    ):
        with pytest.raises(ValueError, match=r"Jacobian lens was fitted to llama.*other weights"):
            ask(trace_of(other))


@pytest.mark.parametrize("kind", ["tuned", "jacobian"])
def test_the_model_is_left_as_it_was_found_also_when_fitting_is_stopped(kind: Any) -> None:
    lens = Lens(build("gpt2"), tokenizer())
    model: Any = lens.model.train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}

    def stop(step: Step) -> None:
        if "fitting" in step.what:
            raise Cancelled

    fitted_to(lens, kind)
    with pytest.raises(Cancelled):
        fitted_to(lens, kind, progress=stop)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    for module in model.modules():
        assert module.training
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in vars(module)
    assert all(one.requires_grad and one.grad is None for one in model.parameters())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "logit"}, "kind 'logit'"),
        ({"texts": []}, "no texts"),
        ({"texts": "the fox"}, "a list of texts"),
        ({"texts": [*TEXTS, "the " * 500]}, "Text 4"),
        ({"held_out": 1}, "held_out 1"),
        ({"n_steps": 0}, "n_steps 0"),
        ({"n_samples": 0}, "n_samples 0"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_a_lens_that_cannot_be_fitted_says_why(given: dict[str, Any], said: str) -> None:
    asked = {"texts": TEXTS, "n_steps": 1, "held_out": 0, **given}
    with pytest.raises((TypeError, ValueError), match=said):
        fit_lens(lens_of("gpt2"), asked.pop("texts"), asked.pop("kind", "jacobian"), **asked)


def test_an_encoder_has_nothing_that_a_lens_could_read() -> None:
    with pytest.raises(ValueError, match="encoder"):
        fit_lens(lens_of("bert"), TEXTS)


@pytest.mark.parametrize("kind", ["tuned", "jacobian"])
def test_inference_mode_is_no_hindrance_but_for_the_model_itself(kind: Any) -> None:
    expected = fitted_to(lens_of("llama"), kind)
    with torch.inference_mode():
        found = fitted_to(lens_of("llama"), kind)
        made = Lens(build("llama"), tokenizer())
    assert torch.equal(found.change, expected.change)
    with pytest.raises(ValueError, match="Load it outside"):
        fitted_to(made, kind)


def test_a_run_with_a_head_off_is_read_by_the_lens_of_the_whole_model() -> None:
    lens = lens_of("llama")
    fitted = fitted_to(lens)
    whole = trace_of(lens)
    off = whole.ablate(heads=[(0, 1)])
    read = off.layer_readings(4, fitted=fitted)
    torch.testing.assert_close(read.surprisal[-1], off.predictions().surprisal[4])
    assert not torch.equal(read.surprisal, whole.layer_readings(4, fitted=fitted).surprisal)


def test_translators_that_do_not_fit_in_memory_are_refused_beforehand() -> None:
    lens = Lens(build("gpt2"), tokenizer())
    lens.memory_budget = 40_000
    with pytest.raises(MemoryError, match="translators of 3 layers of 32"):
        fit_lens(lens, ["fox"], held_out=0)
