"""Every model type of transformers' language-model classes, as a tiny model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
)
from transformers.models.auto import modeling_auto

from support.architectures.shrinking import fields_of, tiny_config

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_AUTO: dict[str, tuple[Any, dict[str, Any]]] = {
    "CausalLM": (AutoModelForCausalLM, modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),
    "Seq2SeqLM": (
        AutoModelForSeq2SeqLM,
        modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    ),
    "MaskedLM": (AutoModelForMaskedLM, modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES),
}

GAINS = (2.0, 1.2, 0.7, 3.5)
"""Scales of the weights tried, until attention is neither flat nor all on one key."""


@dataclass(frozen=True)
class Case:
    """One model class of one model type.

    Attributes
    ----------
    model_type : str
    autos : tuple of str
        The auto classes that lead to it, without their prefix ``AutoModelFor``.
    class_name : str
    """

    model_type: str
    autos: tuple[str, ...]
    class_name: str

    @property
    def name(self) -> str:
        """What the case is called in files and on the command line."""
        return f"{self.model_type}/{self.class_name}"


def all_cases() -> list[Case]:
    """List the classes of every model type, sorted by type. Classes with two ways in count once."""
    found: dict[tuple[str, str], list[str]] = {}
    for auto, (_, names) in _AUTO.items():
        for model_type, classes in names.items():
            class_name = classes if isinstance(classes, str) else classes[0]
            found.setdefault((model_type, class_name), []).append(auto)
    return [
        Case(model_type, tuple(autos), name) for (model_type, name), autos in sorted(found.items())
    ]


def build(case: Case, *, gain: float = GAINS[0], seed: int = 0) -> PreTrainedModel:
    """Build the tiny model of a case, its weights drawn with a standard deviation of `gain`."""
    auto = _AUTO[case.autos[0]][0]
    causal = case.autos[0] == "CausalLM"
    fields = fields_of(CONFIG_MAPPING[case.model_type])
    # An encoder's language-model head looks back only when it is told to.
    changes = {"is_decoder": True} if causal and "is_decoder" in fields else {}
    config = tiny_config(case.model_type, **changes)
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = 0  # checkpoints say so, defaults do not always
    torch.manual_seed(seed)
    model = auto.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and not re.search(r"(?<![a-z])emb", name):
                parameter.normal_(0, gain * parameter.shape[-1] ** -0.5)
            elif re.search(r"sink|temp$", name):  # some start at zero: nothing would be seen
                parameter.normal_()
    return model.eval()
