"""Tiny random models of real architectures, with peaked attention; a tokenizer that fits all."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PreTrainedTokenizerFast,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

N_VOCABULARY = 96
WORDS = [
    "the",
    "a",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "lazy",
    "dog",
    "and",
    "runs",
    "away",
    "from",
    "old",
    "whale",
    "at",
    "sea",
]
TEXT = "the quick brown fox jumps over the lazy dog and the old whale runs away from the fox at sea"

_BASE: dict[str, Any] = {
    "vocab_size": N_VOCABULARY,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_BART: dict[str, Any] = {
    "vocab_size": N_VOCABULARY,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {
        "vocab_size": N_VOCABULARY,
        "n_embd": 32,
        "n_head": 4,
        "n_layer": 3,
        "n_positions": 128,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    },
    "llama": {**_BASE, "num_key_value_heads": 2},
    "mistral": {**_BASE, "num_key_value_heads": 2, "sliding_window": 5},
    "phi3": {**_BASE, "num_key_value_heads": 2},
    "olmo": _BASE,
    "olmo2": _BASE,
    "qwen3": {**_BASE, "num_key_value_heads": 2, "head_dim": 8},
    "gpt_neox": _BASE,
    "gemma2": {**_BASE, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 6},
    "gpt_oss": {
        **_BASE,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "sliding_window": 6,
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
    },
    "bert": _BASE,
    "albert": {**_BASE, "embedding_size": 16},
    "t5": {
        "vocab_size": N_VOCABULARY,
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 2,
        "num_decoder_layers": 3,
        "num_heads": 4,
        "pad_token_id": 0,
        "eos_token_id": 2,
        "decoder_start_token_id": 0,
    },
    "bart": _BART,
    "marian": _BART,
    "gptj": {
        "vocab_size": N_VOCABULARY,
        "n_embd": 32,
        "n_head": 4,
        "n_layer": 3,
        "n_positions": 128,
        "rotary_dim": 4,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    },
}
DECODERS = (
    "gpt2", "llama", "mistral", "phi3", "olmo", "olmo2", "qwen3", "gpt_neox", "gemma2", "gpt_oss",
)  # fmt: skip
ENCODERS = ("bert", "albert")
ENCODER_DECODERS = ("t5", "bart", "marian")


def build(model_type: str, *, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """Build a tiny model whose attention is far from uniform, and no parameter of which is idle."""
    config = AutoConfig.for_model(model_type, **{**CONFIGS[model_type], **changes})
    torch.manual_seed(seed)
    auto: Any = AutoModelForCausalLM
    if model_type in ENCODERS:
        auto = AutoModelForMaskedLM
    elif model_type in ENCODER_DECODERS:
        auto = AutoModelForSeq2SeqLM
    model = auto.from_config(config)
    # T5 does not divide its scores by the root of the head size: its rows would be too sharp.
    gain = 1.2 if model_type == "t5" else 2.0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and ("emb" not in name or "mapping" in name):
                parameter.normal_(0, gain * parameter.shape[-1] ** -0.5)
            elif "sinks" in name:
                parameter.normal_()
        # Models start with biases of 0 and norms of 1: whoever forgot them would not be found out.
        for parameter in model.parameters():
            if parameter.dim() <= 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def tokenizer() -> PreTrainedTokenizerFast:
    """Build a word-level tokenizer whose ids all tiny models know."""
    vocabulary = ["<pad>", "<s>", "</s>", "<unk>", *WORDS, *"abcdefghijklmnopqrstuvwxyz.,!?"]
    ids = {word: i for i, word in enumerate(dict.fromkeys(vocabulary))}
    backend = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|[^\w\s]"), "removed", invert=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )


def as_it_runs(model: PreTrainedModel, reference: PreTrainedModel) -> PreTrainedModel:
    """Let a copy in eager mode compute what the model does.

    SDPA leaves out the soft-cap of Gemma 2 and its like: transformers up to 5.20 runs them so,
    newer ones refuse to.
    """
    if model.config._attn_implementation == "sdpa":
        for module in reference.modules():
            if getattr(module, "attn_logit_softcapping", None) is not None:
                module.attn_logit_softcapping = None
    return reference


def eager_copy(model: PreTrainedModel) -> PreTrainedModel:
    """Copy a model for transformers' eager mode: the independent reference."""
    if model.config.model_type != "t5":
        reference = copy.deepcopy(model)
        reference.set_attn_implementation("eager")
        return as_it_runs(model, reference)
    # Built anew: on transformers 5.15 to 5.19 a T5 that goes over to eager reports no attention.
    config = copy.deepcopy(model.config)
    with torch.random.fork_rng():  # weights are drawn, and thrown away
        reference = type(model)._from_config(config, attn_implementation="eager")
    reference.load_state_dict(model.state_dict())
    return reference.to(model.dtype).eval()


def without_cache(model: Any) -> dict[str, bool]:
    """Return what a forward takes to keep no cache: encoders are not asked in every version."""
    takes = "use_cache" in inspect.signature(model.forward).parameters
    return {"use_cache": False} if takes else {}


def eager_attentions(model: PreTrainedModel, **inputs: torch.Tensor) -> Any:
    """Run a copy of the model in transformers' eager mode."""
    with torch.no_grad():
        return eager_copy(model)(**inputs, output_attentions=True, **without_cache(model))
