"""What the general rules do not get right: fields of single model types, and why."""

from __future__ import annotations

from typing import Any

# Defaults that a model cannot be built from: the class leaves out what its own code needs.
_MISSING: dict[str, dict[str, Any]] = {
    "dbrx": {"attn_config": {"rope_theta": 10_000.0, "clip_qkv": 8.0}},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_shared_experts": 1, "n_routed_experts": 4, "num_experts_per_tok": 2},
    # The text part of what BertGeneration or GPT-2 with cross attention would be.
    "encoder-decoder": {
        "encoder": {"model_type": "bert"},
        "decoder": {"model_type": "bert", "is_decoder": True, "add_cross_attention": True},
        "pad_token_id": 0,
        "decoder_start_token_id": 1,
    },
    "esm": {"vocab_size": 96, "pad_token_id": 0, "mask_token_id": 4},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv", "full_attention"]},
    "ministral": {"head_dim": 8},
    "nemotron": {"num_key_value_heads": 2},
    "cohere_compass_text": {
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": 10_000.0}
            for kind in ("sliding_attention", "full_attention")
        }
    },
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    # The indexer, its point, is off by default.
    "qwen4_exp_text": {
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
        "indexer_budget": 8,
        "indexer_compress_ratio": 2,
    },
}

_GEMMA4: dict[str, Any] = {
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "per_layer_config": {1: {"head_dim": 16}, 3: {"head_dim": 16}},
}
_GEMMA4_ASSISTANT: dict[str, Any] = {
    **_GEMMA4,
    "model_type": "gemma4_text",
    "hidden_size_per_layer_input": 0,
    "vocab_size_per_layer_input": 0,
    "num_kv_shared_layers": 4,
}

_DEBERTA = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}

# Numbers that have to agree with each other, or lists with an entry per layer.
_AGREEING: dict[str, dict[str, Any]] = {
    "esmc": {"num_key_value_heads": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    # Without norms random weights let the states grow a thousandfold, and rounding with them.
    "mobilebert": {"normalization_type": "layer_norm"},
    # Block-sparse rows are refused, and short texts are read with full attention anyway.
    "big_bird": {"attention_type": "original_full"},
    "bigbird_pegasus": {"attention_type": "original_full"},
    # What every published checkpoint has, and the default has not.
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA,
    # Kernels of old want a GPU.
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
    "bamba": {"attn_layer_indices": [1, 3]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * 2},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "gemma3n_text": {
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "num_kv_shared_layers": 2,
        "intermediate_size": 64,
    },
    "nemo_speechlm": {
        "audio_config": {"diarization_config": {"head_config": {"audio_hidden_size": 32}}}
    },
    "vibevoice_asr": {
        f"{name}_tokenizer_encoder_config": {"num_filters": 1, "depths": [1] * 7}
        for name in ("acoustic", "semantic")
    },
    "pegasus_x": {"block_size": 8, "num_global_tokens": 4},
    "reformer": {"axial_pos_embds_dim": (16, 16), "axial_pos_shape": (8, 16)},
    # Two stacks take turns: every turn of each layer counts as a layer.
    "hrm_text": {
        "num_layers_per_stack": None,
        "num_hidden_layers": 2,
        "H_cycles": 1,
        "L_cycles": 1,
    },
    # The attention block is shared: the second place where it stands is the interesting one.
    "zamba": {
        "use_mamba_kernels": False,
        "num_hidden_layers": 5,
        "layers_block_type": ["linear_attention", *["linear_attention", "hybrid"] * 2],
    },
    # Full attention has wider heads than sliding attention.
    "gemma4_text": _GEMMA4,
    "gemma4_unified_text": _GEMMA4,
    "gemma4_assistant": {"text_config": _GEMMA4_ASSISTANT},
    "gemma4_unified_assistant": {"text_config": _GEMMA4_ASSISTANT},
    "neomme": {
        "head_dim": 16,
        "per_layer_config": {1: {"sliding_window": 9}, 3: {"sliding_window": None}},
    },
    "dots3_note_text": {
        "num_key_value_heads": 4,
        **{f"swa_{name}": 4 for name in ("num_attention_heads", "num_key_value_heads")},
        **{f"swa_{name}": 16 for name in ("q_lora_rank", "kv_lora_rank", "head_dim")},
        **{f"swa_{name}": 8 for name in ("qk_nope_head_dim", "v_head_dim")},
    },
}

CHANGES = _MISSING | _AGREEING

_DRAFTS = "drafts for another model: reads that model's keys and hidden states"

# Types without a text of their own, by what they read instead.
NO_TEXT: dict[str, str] = {
    "gemma4_assistant": _DRAFTS,
    "gemma4_unified_assistant": _DRAFTS,
    "musicgen": "reads audio codes",
    "musicgen_melody": "reads audio codes",
}
