"""A part of docs/architectures.md, measured anew: attention of many architectures equals eager."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers

from support.architectures.building import all_cases
from support.architectures.checking import check
from support.architectures.table import types_listed, version_of
from support.architectures.versions import case_or_skip, path_here

TABLE = Path(__file__).parents[2] / "docs" / "architectures.md"
CASES = {case.name: case for case in all_cases()}

# Name, and how each kind's weights come about.
EXACT = {
    # recomputed from query and key
    "diffllama/DiffLlamaForCausalLM": {"self": "capture"},
    "deepseek_v32/DeepseekV32ForCausalLM": {"self": "capture"},
    "gemma2/Gemma2ForCausalLM": {"self": "capture"},
    "gpt_oss/GptOssForCausalLM": {"self": "capture"},
    "llama4_text/Llama4ForCausalLM": {"self": "capture"},
    "modernbert/ModernBertForMaskedLM": {"self": "capture"},
    # with layers that have no attention
    "jamba/JambaForCausalLM": {"self": "capture"},
    "minimax/MiniMaxForCausalLM": {"self": "capture"},
    "qwen3_next/Qwen3NextForCausalLM": {"self": "capture"},
    "zamba/ZambaForCausalLM": {"self": "capture"},
    # with keys that are not the text's: the encoder's, summaries of blocks
    "deepseek_v4/DeepseekV4ForCausalLM": {"self": "capture"},
    "t5gemma2/T5Gemma2ForConditionalGeneration": dict.fromkeys(
        ("encoder", "decoder", "cross"), "capture"
    ),
    # with a module that ignores the padding
    "blt/BltForCausalLM": {"self": "capture"},
    # by the model's own eager function: sinks of a kind of their own
    "granite_swa/GraniteSWAForCausalLM": {"self": "eager"},
    "inkling2_text/Inkling2ForCausalLM": {"self": "eager"},
    # encoder-decoders
    "nllb-moe/NllbMoeForConditionalGeneration": dict.fromkeys(
        ("encoder", "decoder", "cross"), "capture"
    ),
    "t5gemma/T5GemmaForConditionalGeneration": dict.fromkeys(
        ("encoder", "decoder", "cross"), "capture"
    ),
    "bigbird_pegasus/BigBirdPegasusForConditionalGeneration": {
        "encoder": "replay",
        "decoder": "capture",
        "cross": "capture",
    },
    # modules that keep their attention to themselves
    "deberta-v2/DebertaV2ForMaskedLM": {"self": "replay"},
    "falcon/FalconForCausalLM": {"self": "replay"},
    "gpt_neo/GPTNeoForCausalLM": {"self": "replay"},
    "squeezebert/SqueezeBertForMaskedLM": {"self": "replay"},
    "xlnet/XLNetLMHeadModel": {"self": "replay"},
    "fsmt/FSMTForConditionalGeneration": dict.fromkeys(("encoder", "decoder", "cross"), "replay"),
    "prophetnet/ProphetNetForConditionalGeneration": dict.fromkeys(
        ("encoder", "decoder", "cross"), "replay"
    ),
    # bands and blocks
    "led/LEDForConditionalGeneration": {
        "encoder": "unfold",
        "decoder": "replay",
        "cross": "replay",
    },
    "longformer/LongformerForMaskedLM": {"self": "unfold"},
    "longt5/LongT5ForConditionalGeneration": {
        "encoder": "unfold",
        "decoder": "capture",
        "cross": "capture",
    },
    # padding or prompts before the text
    "cpmant/CpmAntForCausalLM": {"self": "unfold"},
    "pegasus_x/PegasusXForConditionalGeneration": {
        "encoder": "unfold",
        "decoder": "capture",
        "cross": "capture",
    },
}


# Of which it is not known what some block adds to the residual stream, and why.
UNCLEAR = {
    "blt/BltForCausalLM": "layers in several lists, one behind the other",
    "deepseek_v4/DeepseekV4ForCausalLM": "several streams",
    "inkling2_text/Inkling2ForCausalLM": "the first layer begins the stream anew",
    "pegasus_x/PegasusXForConditionalGeneration": "a layer adds some rows of a module's output",
    "squeezebert/SqueezeBertForMaskedLM": "layers that are not called as modules",
    "t5gemma2/T5Gemma2ForConditionalGeneration": "self and cross attention are one block",
    "zamba/ZambaForCausalLM": "attention that feeds a state space",
}


@pytest.mark.parametrize("name", EXACT)
def test_attention_equals_eager_alone_and_padded_and_logits_stay(name: str) -> None:
    result = check(case_or_skip(name))
    assert result.status == "exact", result.reason
    assert {kind: found.paths for kind, found in result.kinds.items()} == {
        kind: [path_here(name, path)] for kind, path in EXACT[name].items()
    }
    for found in result.kinds.values():
        assert found.padded is not None
        assert found.alone.problem == found.padded.problem == ""
    assert result.row_maximum > 1.5 * result.uniform, "a flat pattern would hide mistakes"
    assert "wrong" not in result.contributions
    assert ("refused" in result.contributions) == (name in UNCLEAR), result.contributions


@pytest.mark.parametrize("name", ["mamba/MambaForCausalLM", "fnet/FNetForMaskedLM"])
def test_a_model_without_attention_is_told_so(name: str) -> None:
    result = check(case_or_skip(name))
    assert result.status == "none"
    assert "no attention" in result.reason


def test_the_table_lists_every_model_type() -> None:
    page = TABLE.read_text()
    if version_of(page) != transformers.__version__:
        pytest.skip(f"the table was made with transformers {version_of(page)}")
    assert types_listed(page) == {case.model_type for case in CASES.values()}
