"""Run as a program: models spread over devices that are not there, and what they answer.

In a process of its own: torch makes up such a device for good, and asks once how many there are.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import dispatch_model

from glasshead_backend import Lens
from support.answers import GRADIENTS, answers
from support.devices import boards
from support.tiny_models import build, tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DECODER = {
    "model.embed_tokens": 0,
    "model.rotary_emb": 0,
    "model.layers.0": 0,
    "model.layers.1": 1,
    "model.layers.2": 0,
    "model.norm": 1,
    "lm_head": 1,
}
ENCODER_DECODER = {
    "shared": 0,
    "encoder": 0,
    "decoder.embed_tokens": 0,
    "decoder.block.0": 0,
    "decoder.block.1": 1,
    "decoder.block.2": 1,
    "decoder.final_layer_norm": 1,
    "decoder.dropout": 1,
    "lm_head": 0,
}
PLACES = {"llama": DECODER, "t5": ENCODER_DECODER}


def spread(model_type: str, devices: tuple[str, str]) -> PreTrainedModel:
    """Put the layers of a tiny model on two devices."""
    where: dict[str, Any] = {name: devices[at] for name, at in PLACES[model_type].items()}
    model: Any = build(model_type).double()
    return dispatch_model(model, where, main_device=devices[0], force_hooks=True)


def main(file: Path, model_type: str) -> None:
    """Ask everything; what takes gradients of a model of which one device is the CPU."""
    with boards():
        found = answers(Lens(spread(model_type, ("board:0", "board:1")), tokenizer()), GRADIENTS)
        found |= answers(Lens(spread(model_type, ("cpu", "board:0")), tokenizer()))
    torch.save(found, file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
