"""Run by torchrun: a model whose weights are cut up among processes, and what is said of it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from glasshead_backend import Lens, UnsupportedModelError
from support.tiny_models import tokenizer


def main(folder: Path) -> None:
    """Load a part of the model, run it with the others, and try to look into it."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    model = AutoModelForCausalLM.from_pretrained(folder / "model", tp_plan="auto")
    with torch.no_grad():
        logits = model(torch.arange(4, 20)[None]).logits
    try:
        said = repr(Lens(model, tokenizer()))
    except UnsupportedModelError as error:
        said = str(error)
    own = model.get_parameter("model.layers.0.self_attn.q_proj.weight")
    rows = getattr(own, "to_local", lambda: own)().shape[0]
    logits = getattr(logits, "full_tensor", lambda: logits)()
    torch.save({"said": said, "rows": rows, "logits": logits}, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
