"""What architectures were like in older versions of transformers, as far as tests need to know."""

from __future__ import annotations

import pytest
import transformers

from support.architectures.building import Case, all_cases
from support.versions import older_than

_CASES = {case.name: case for case in all_cases()}

# The version from which on a case can be compared, and what is in the way before.
_SINCE = {
    "blt/BltForCausalLM": (
        "5.21",
        "its patches are cut where the random model is surprised: elsewhere than the test expects",
    ),
    "deepseek_v32/DeepseekV32ForCausalLM": (
        "5.17",
        "its SDPA looks ahead in padded batches (a fault of transformers), eager does not",
    ),
    "mllama/MllamaForCausalLM": ("5.0", "its configuration cannot be made small"),
    "t5gemma/T5GemmaForConditionalGeneration": ("5.0", "its configuration cannot be made small"),
    "zamba/ZambaForCausalLM": ("5.0", "it cannot be run with a batch of this size"),
}

# The version from which on the module asks transformers for its attention function.
_CAPTURED_SINCE = {
    "diffllama/DiffLlamaForCausalLM": "5.9",
    "jamba/JambaForCausalLM": "5.0",
    "longt5/LongT5ForConditionalGeneration": "5.15",
    "modernbert/ModernBertForMaskedLM": "5.9",
}


def case_or_skip(name: str) -> Case:
    """Return a case; skip the test that asks where it cannot be had, and say why."""
    if name not in _CASES:
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    since, reason = _SINCE.get(name, ("0", ""))
    if older_than(since):
        pytest.skip(f"transformers before {since}: {reason}")
    return _CASES[name]


def path_here(case: str, path: str) -> str:
    """How the weights of a case come about with the transformers that is installed."""
    replayed = path == "capture" and older_than(_CAPTURED_SINCE.get(case, "0"))
    return "replay" if replayed else path
