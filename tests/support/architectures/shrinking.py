"""Any transformers configuration, made tiny by rules on the names of its fields.

A rule says which value a field of some name gets; fields that no rule names keep their default.
Nested configurations (text, vision, audio ...) are shrunk in the same way. What the rules do not
get right for one model type stands in :mod:`support.architectures.exceptions`.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import TYPE_CHECKING, Any

from transformers import CONFIG_MAPPING

from support.architectures.exceptions import CHANGES
from support.tiny_models import N_VOCABULARY

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

HIDDEN, HEADS, HEAD_SIZE, FEED_FORWARD = 32, 4, 8, 64
LAYERS, ENCODER_LAYERS, TOWER_LAYERS = 4, 2, 1

# Upper bounds by field name. The first pattern that fits the whole name holds.
_RULES: tuple[tuple[str, int], ...] = (
    # vocabularies
    (r"(src_|tgt_|decoder_|char_|t2u_)?vocab_size|vocab_size_per_layer_input", N_VOCABULARY),
    (r"(entity|pronunciation|shape|unit_hifi_gan|audio|unpadded)_vocab_size", N_VOCABULARY),
    (r"ngram_vocab_size_base|encoder_hash_byte_group_vocab|max_2d_position_embeddings", 128),
    # widths
    (r"hidden_size|d_model|n_embd|dim|emb_dim|embedding_dim|lru_width|d_latents", HIDDEN),
    (r"(input_|output_)?embedding_size|word_embed_proj_dim|prediction_head_size", HIDDEN),
    (r"pooler_hidden_size|cross_attention_hidden_size|hidden_size_global|entity_emb_size", HIDDEN),
    (r"encoder_hidden_size|(adapter_)?input_size|adapter_(in|out)_dim", HIDDEN),
    (r"backbone_hidden_size|hc_lowrank", HIDDEN),
    (r"projection_dim|out_hidden_size|vision_output_dim|projector_hidden_size", HIDDEN),
    (r"hidden_size_per_layer_input|laurel_rank|embedding_rank|router_hidden_size", 8),
    (r"true_hidden_size|intra_bottleneck_size|(shape|pronunciation)_embed_dim", 16),
    (r"ple_embed_dim|spkr_embed_dim|unit_embed_dim|lang_embed_dim|t2u_variance_.*dim", 16),
    (r"(\w+_)?intermediate_size(_mlp)?|(encoder_|decoder_|t2u_.*)?ffn_dim", FEED_FORWARD),
    (r"(expert_)?ffn_hidden_size|d_ff|dff|dim_ff|d_inner|n_inner", FEED_FORWARD),
    (r"feed_forward_size|mlp_dim|hidden_dim", FEED_FORWARD),
    # layers
    (r"num_hidden_layers|n_layers?|num_layers|num_layers_per_stack", LAYERS),
    (r"(num_)?encoder_layers", ENCODER_LAYERS),
    (r"(num_)?decoder_layers", 3),
    (r"(speech_|t2u_)?(encoder|decoder)_layers|depth|num_blocks", TOWER_LAYERS),
    (r"first_k_dense_replace|num_dense_layers|num_adapter_layers|num_self_attends_per_block", 1),
    (r"num_nextn_predict_layers|num_mtp_layers|num_sparse_(en|de)coder_layers", 1),
    (r"(en|de)coder_sparse_step|max_window_layers", 2),
    # heads
    (r"(num_|encoder_|decoder_|num_encoder_|num_decoder_|swa_num_)?attention_heads", HEADS),
    (r"num_(swa_)?attention_heads|n_heads?|num_heads|speech_encoder_attention_heads", HEADS),
    (r"t2u_(en|de)coder_attention_heads|linear_num_value_heads|linear_num_heads", HEADS),
    (r"num_query_groups|num_(self|cross)_attention_heads", HEADS),
    (r"(swa_)?num_key_value_heads|num_kv_heads|kv_n_heads|linear_num_key_heads", 2),
    (r"swa_num_attention_heads|conf_num_attention_heads", HEADS),
    (
        r"((swa|attention)_)?head_dim|d_kv|d_head|dim_head|kv_channels|attention_head_size",
        HEAD_SIZE,
    ),
    (r"(v|qk_nope|qk_rope|index|linear_key|linear_value|linear)_head_dim", HEAD_SIZE),
    (r"(q|kv|o)_lora_rank|gated_norm_rank|adapter_rank", 16),
    (r"qk_head_dim", 2 * HEAD_SIZE),
    (r"index_n_heads", 2),
    (r"rotary_dim", 4),
    (r"query_pre_attn_scalar", HEAD_SIZE),
    # experts
    (r"(n_routed|num|num_local|moe_num)_experts|zero_expert_num", 4),
    (r"num_experts_per_tok(en)?|moe_(top_?k|k)|top_k_experts", 2),
    (r"n_group|topk_group|num_expert_group|o_groups", 1),
    # how far attention reaches: shorter than the texts, so that it matters
    (r"sliding_window(_size)?|attention_window_size|index_topk", 6),
    (r"attention_window|attention_chunk_size|local_attention|keep_window_size", 8),
    (r"window_size|local_radius", 5),
    (r"local_attention_window_len", 16),
    # positions
    (r"(max_|max_encoder_|max_decoder_|t2u_max_)?position_embeddings|n_positions|n_ctx", 128),
    (r"max_seq_len|max_(source|target)_positions|original_max_position_embeddings", 128),
    (r"context_length|model_max_length|num_position_embeddings", 128),
    # state-space layers: heads times their size make the expanded width
    (r"mamba_n_heads|n_mamba_heads|mamba_num_heads", 8),
    (r"mamba_(d_head|head_?dim)|time_step_rank|mamba_dt_rank|mamba_d_state|ssm_state_size", 8),
    (r"state_size|(mamba_)?chunk_size", 8),
    (r"mamba_d_ssm|attention_hidden_size", 2 * HIDDEN),
    (r"mamba_n_?groups|n_groups", 1),
    # pictures and sounds: built, never shown any
    (r"image_size|crop_size", 32),
    (r"num_mel_bins|feature_size|input_feat_size", 16),
    (r"codebook_(size|dim)|num_filters|base_channels|upsample_initial_channel", 16),
)

_SPECIAL_TOKENS = {"pad": 0, "bos": 1, "eos": 2, "decoder_start": 2, "cls": 1, "sep": 2, "unk": 3}
_LAYER_LISTS = re.compile(
    r"layer_types|mlp_layer_types|layers_block_type|indexer_types|attn_layers"
)


def tiny_config(model_type: str, **changes: Any) -> PreTrainedConfig:
    """Make the tiny configuration of a model type."""
    return _shrunk(CONFIG_MAPPING[model_type], {**CHANGES.get(model_type, {}), **changes})


def fields_of(config_class: Any) -> set[str]:
    """Names of what a configuration can be given; up to transformers 5.8 none is a dataclass."""
    if dataclasses.is_dataclass(config_class):
        return {field.name for field in dataclasses.fields(config_class)}
    return set(inspect.signature(config_class.__init__).parameters) - {"self", "kwargs", "args"}


def _shrunk(config_class: Any, changes: dict[str, Any]) -> PreTrainedConfig:
    fields = fields_of(config_class)
    parts = _parts(config_class, changes)
    plain = {name: value for name, value in changes.items() if name not in parts}
    # Some defaults do not fit together: then the changes come first.
    try:
        default = config_class()
    except Exception:  # noqa: BLE001  each configuration raises its own
        default = config_class(**plain, **parts)
    layers = plain.get("num_hidden_layers") or LAYERS
    tiny: dict[str, Any] = {}
    for name in sorted(fields - set(parts)):
        value = _tiny(name, _value(default, name), layers)
        if value is not None:
            tiny[name] = value
    shared = _value(default, "num_key_value_heads") != _value(default, "num_attention_heads")
    if "num_key_value_heads" in tiny and not shared:
        tiny["num_key_value_heads"] = tiny["num_attention_heads"]
    return config_class(**{**tiny, **parts, **plain})


def _value(config: PreTrainedConfig, name: str) -> Any:
    """Read a field; one that differs between layers refuses to be read as an attribute."""
    try:
        return getattr(config, name, None)
    except Exception:  # noqa: BLE001  the class is not a public name
        return vars(config).get(name)


def _parts(config_class: Any, changes: dict[str, Any]) -> dict[str, PreTrainedConfig]:
    """Shrink the nested configurations."""
    parts: dict[str, PreTrainedConfig] = {}
    try:
        default = config_class()
    except Exception:  # noqa: BLE001  see _shrunk
        default = None
    for name in config_class.sub_configs or {}:
        inner = getattr(default, name, None)
        of_part = changes.get(name, {})
        if of_part is None or (inner is None and not of_part):
            continue
        inner_class = (
            CONFIG_MAPPING[of_part["model_type"]] if "model_type" in of_part else type(inner)
        )
        general = CHANGES.get(inner_class.model_type, {})
        own = {key: value for key, value in of_part.items() if key != "model_type"}
        parts[name] = _shrunk(inner_class, {**general, **own})
    return parts


def _tiny(name: str, value: Any, layers: int) -> Any:
    """Return the tiny value of a field, None to leave it as it is."""
    if name.endswith(("_token_id", "_token_index", "_token_ids")):
        return _token_id(name, value)
    if name == "rope_parameters" and isinstance(value, dict):
        return _tiny_rope(value)
    if isinstance(value, (list, tuple)):
        return _tiny_list(name, list(value), layers)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    for pattern, small in _RULES:
        if re.fullmatch(pattern, name):
            return min(value, small) if value > 0 else None
    return None


def _token_id(name: str, value: Any) -> Any:
    """Keep special tokens in the vocabulary, and those of pictures and sounds out of the texts."""
    role = re.sub(r"_token_(ids?|index)$", "", name)
    if value is None:
        return None
    if isinstance(value, list):
        return [_SPECIAL_TOKENS.get(role, N_VOCABULARY - 1)]
    if role in _SPECIAL_TOKENS:
        return 0 if (role, value) == ("decoder_start", 0) else _SPECIAL_TOKENS[role]
    free = sum(map(ord, role)) % 30
    return N_VOCABULARY - 1 - free


def _tiny_list(name: str, values: list[Any], layers: int) -> list[Any] | None:
    """Let a list with an entry per layer keep all its kinds of entries."""
    if not _LAYER_LISTS.fullmatch(name) or not values:
        return None
    kinds = list(dict.fromkeys(values))
    if set(values[:layers]) == set(kinds):
        return values[:layers]
    return [kinds[i % len(kinds)] for i in range(layers)]


def _tiny_rope(value: dict[str, Any]) -> dict[str, Any] | None:
    """Divide the rotated pairs of a head among time, height and width as before."""
    section = value.get("mrope_section")
    if section is None:
        return None
    pairs = HEAD_SIZE // 2
    shares = [max(1, round(pairs * part / sum(section))) for part in section]
    shares[0] += pairs - sum(shares)
    return {**value, "mrope_section": shares}
